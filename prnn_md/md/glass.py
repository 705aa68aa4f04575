"""The binary Lennard-Jones glass of Kob and Andersen as MD cells."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from prnn_md.cell import Cell
from prnn_md.md.choice import Dynamics, cells_of
from prnn_md.md.force_field import ForceField
from prnn_md.md.force_field_file import read_force_field
from prnn_md.md.md_cell import Backend, Parameters
from prnn_md.md.prepared import prepared_library
from prnn_md.md.quench import Progress, QuenchProtocol, quench
from prnn_md.md.sample import Samples

FORCE_FIELD = Path(__file__).with_name("force_fields") / "glass.yaml"
PROTOCOL = QuenchProtocol(
    density=1.2,
    melt_temperature=1.0,
    melt_time=100.0,
    glass_from=0.8,
    glass_to=0.01,
    quench_time=400.0,
    bulk_modulus=80.0,
    skin=0.4,
)


def glass_force_field(samples: Samples) -> ForceField:
    """Pairs of two types with a smooth cutoff, in reduced units."""
    return read_force_field(FORCE_FIELD, [("A", "B")[kind] for kind in samples.types.tolist()], samples.bonds)


def random_mixture(particles: int, density: float, rng: np.random.Generator) -> Samples:
    """Four particles of type A for each of type B, anywhere in a cubic box."""
    edge = (particles / density) ** (1.0 / 3.0)
    types = torch.from_numpy(rng.permutation((np.arange(particles) % 5 == 4).astype(np.int64)))
    positions = torch.from_numpy(rng.uniform(0.0, edge, (1, particles, 3)))
    return Samples(positions, edge * torch.eye(3, dtype=torch.float64)[None], types=types)


def quench_glass(particles: int, seed: int, protocol: QuenchProtocol, progress: Progress | None = None) -> Samples:
    """One glass sample at rest, free of stress; types are the same in all samples of that size."""
    mixture = random_mixture(particles, protocol.density, np.random.default_rng(particles))
    edge = float(mixture.box[0, 0, 0])
    places = np.random.default_rng([seed, 2]).uniform(0.0, edge, (1, particles, 3))
    start = mixture.moved(torch.from_numpy(places), mixture.box)
    return quench(start, glass_force_field(start), seed, protocol, progress)


def glass_cells(
    library: str = "a",
    particles: int = 300,
    count: int = 16,
    seed: int = 0,
    quench_time: float = PROTOCOL.quench_time,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` cells, built when first asked for; the sets "a" and "b" are independent of each other.

    They are cooled to the glass within `quench_time` (tau).
    """
    first, protocol = {"a": 0, "b": 1000}[library], replace(PROTOCOL, quench_time=float(quench_time))
    recipe = {"library": library, "particles": particles, "protocol": asdict(protocol), "file": FORCE_FIELD.read_text()}

    def make(number: int, report: Progress) -> Samples:
        return quench_glass(particles, first + number, protocol, report)

    samples = prepared_library("glass", recipe, count, seed, make)
    return cells_of(
        samples,
        glass_force_field(samples),
        count,
        seed,
        dynamics,
        backend=backend,
        trainable=trainable,
        parameters=parameters,
    )
