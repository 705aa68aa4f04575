"""United-atom polyethylene as MD cells, in kcal/mol and angstrom."""

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
from prnn_md.md.quench import Progress, QuenchProtocol, chain_bonds, quench
from prnn_md.md.sample import Samples

FORCE_FIELD = Path(__file__).with_name("force_fields") / "polyethylene.yaml"
BOND, ANGLE = 1.54, np.radians(114.0)  # angstrom, rad
PROTOCOL = QuenchProtocol(
    density=0.031,  # united atoms per cubic angstrom, 0.72 g/cm^3
    melt_temperature=600.0,
    melt_time=40_000.0,
    glass_from=500.0,
    glass_to=10.0,
    quench_time=100_000.0,
    timestep=2.0,
    friction=0.002,
    pressure_time=1000.0,
    bulk_modulus=0.03,
    caps=(4.0, 3.8, 3.6, 3.4, 3.2, 3.0, 2.5),
    push_time=500.0,
    skin=1.5,
)


def polyethylene_force_field(samples: Samples) -> ForceField:
    """Lennard-Jones pairs, bonds, angles and torsions; ends of chains are CH3, the rest CH2.

    Boxes are hardly wider than twice the cutoff, so that a pair may meet through several images.
    """
    names = [("CH2", "CH3")[kind] for kind in samples.types.tolist()]
    return read_force_field(FORCE_FIELD, names, samples.bonds, several_images=True)


def random_chains(chains: int, length: int, density: float, rng: np.random.Generator) -> Samples:
    """Chains with the right bond lengths and angles and random torsions, in a cubic box, overlaps and all."""
    edge = (chains * length / density) ** (1.0 / 3.0)
    positions = np.concatenate([_chain(length, rng) + rng.uniform(0.0, edge, 3) for _ in range(chains)])
    place = torch.arange(chains * length) % length
    types = ((place == 0) | (place == length - 1)).long()
    box = edge * torch.eye(3, dtype=torch.float64)[None]
    return Samples(torch.from_numpy(positions)[None], box, chain_bonds(chains, length), types)


def _chain(length: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (length, 3) of one chain; torsions are trans in two of three places."""
    along, side = np.linalg.qr(rng.standard_normal((3, 3)))[0][:2]
    places = [np.zeros(3)]
    for _ in range(length - 1):
        places.append(places[-1] + BOND * along)
        other = np.cross(along, side)
        torsion = rng.choice([np.pi, np.pi / 3, -np.pi / 3], p=[2 / 3, 1 / 6, 1 / 6])
        turned = np.cos(torsion) * side + np.sin(torsion) * other
        bend = np.pi - ANGLE
        along, side = np.cos(bend) * along - np.sin(bend) * turned, np.sin(bend) * along + np.cos(bend) * turned
    return np.array(places)


def quench_polyethylene(
    chains: int, length: int, seed: int, protocol: QuenchProtocol, progress: Progress | None = None
) -> Samples:
    """One glass sample at rest, free of stress."""
    start = random_chains(chains, length, protocol.density, np.random.default_rng([seed, 2]))
    return quench(start, polyethylene_force_field(start), seed, protocol, progress)


def polyethylene_cells(
    library: str = "a",
    chains: int = 16,
    chain_length: int = 24,
    count: int = 8,
    seed: int = 0,
    quench_time: float = PROTOCOL.quench_time,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` cells, built when first asked for; the sets "a" and "b" are independent of each other.

    They are cooled to the glass within `quench_time` (fs).
    """
    first, protocol = {"a": 0, "b": 1000}[library], replace(PROTOCOL, quench_time=float(quench_time))
    size = {"chains": chains, "chain_length": chain_length}
    recipe = {"library": library, **size, "protocol": asdict(protocol), "file": FORCE_FIELD.read_text()}

    def make(number: int, report: Progress) -> Samples:
        return quench_polyethylene(chains, chain_length, first + number, protocol, report)

    samples = prepared_library("polyethylene", recipe, count, seed, make)
    return cells_of(
        samples,
        polyethylene_force_field(samples),
        count,
        seed,
        dynamics,
        backend=backend,
        trainable=trainable,
        parameters=parameters,
    )
