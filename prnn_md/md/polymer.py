"""The bead-spring polymer: its force field, and cells taken from a library of quenched samples."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prnn_md.cell import Cell
from prnn_md.md.choice import Dynamics, cells_of
from prnn_md.md.force_field import ForceField
from prnn_md.md.force_field_file import read_force_field
from prnn_md.md.library import FOLDER, LibraryError, library_path, load_library
from prnn_md.md.md_cell import Backend, Parameters
from prnn_md.md.prepared import prepared_library
from prnn_md.md.quench import Progress, QuenchProtocol, chain_bonds, quench
from prnn_md.md.sample import Samples

FORCE_FIELD = Path(__file__).with_name("force_fields") / "polymer.yaml"
CHAIN_LENGTH = 20


def polymer_force_field(samples: Samples, bending_stiffness: float = 0.0) -> ForceField:
    """FENE bonds and tapered Lennard-Jones pairs, in reduced units; with a bending stiffness (epsilon) angles too."""
    changes: dict[str, Any] = {"bending": {"k0": bending_stiffness}} if bending_stiffness else {}
    return read_force_field(FORCE_FIELD, ["B"] * samples.positions.shape[1], samples.bonds, **changes)


LIBRARY_KEYS = ("library", "beads", "chain_length", "bending_stiffness")


def library_file(library: str | Path, beads: int, chain_length: int, bending_stiffness: float) -> Path | None:
    """The file of a shipped set of cells, "a" or "b", or of the user's own; None where cells have to be built.

    Raises LibraryError for a file of the user that is not there.
    """
    if Path(library).suffix == ".h5":
        return library_path(library)
    path = FOLDER / f"polymer_{beads}_{library}.h5"
    flexible = chain_length == CHAIN_LENGTH and not bending_stiffness
    return path if flexible and path.exists() else None


def quench_polymer(
    beads: int, seed: int, protocol: QuenchProtocol, bending_stiffness: float = 0.0, progress: Progress | None = None
) -> Samples:
    """One glass sample of `beads` beads at rest, free of stress in all six components.

    `seed` fixes chains and noise. Raises QuenchFailure if a bond breaks or the relaxation does not converge.
    """
    start = random_walk_chains(beads, protocol, np.random.default_rng(seed))
    return quench(start, polymer_force_field(start, bending_stiffness), seed, protocol, progress)


def random_walk_chains(beads: int, protocol: QuenchProtocol, rng: np.random.Generator) -> Samples:
    """Freely jointed chains with bond length 0.97 in a cubic box, overlaps and all.

    Raises ValueError if the beads do not make whole chains.
    """
    if beads % protocol.beads_per_chain:
        raise ValueError(f"{beads} beads do not make chains of {protocol.beads_per_chain}: choose a multiple.")
    chains = beads // protocol.beads_per_chain
    edge = (beads / protocol.density) ** (1.0 / 3.0)
    steps = rng.standard_normal((chains, protocol.beads_per_chain, 3))
    steps *= 0.97 / np.linalg.norm(steps, axis=-1, keepdims=True)
    steps[:, 0] = rng.uniform(0.0, edge, (chains, 3))
    positions = np.cumsum(steps, axis=1).reshape(-1, 3)
    return Samples(
        positions=torch.from_numpy(positions)[None],
        box=edge * torch.eye(3, dtype=torch.float64)[None],
        bonds=chain_bonds(chains, protocol.beads_per_chain),
    )


def polymer_cells(
    library: str | Path = "a",
    beads: int = 160,
    count: int = 32,
    seed: int = 0,
    chain_length: int = CHAIN_LENGTH,
    bending_stiffness: float = 0.0,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` cells of `beads` beads, drawn from a library without repetition by a generator of `seed`.

    `library` names a set, "a" or "b", or is a library file. Sets of 80 and 160 beads in flexible chains of 20 are
    shipped; others, and chains of another `chain_length` or with a `bending_stiffness` (epsilon), are built when they
    are first asked for. The other arguments are those of `prnn_md.md.choice.cells_of`.
    """
    file = library_file(library, beads, chain_length, bending_stiffness)
    if file is not None:
        samples, _ = load_library(file)
        if samples.positions.shape[1] != beads:
            raise LibraryError(f"{library} holds cells of {samples.positions.shape[1]} beads, not {beads}.")
    elif library in ("a", "b"):
        samples = _built(str(library), beads, max(count, 1), seed, chain_length, bending_stiffness)
    else:
        raise LibraryError(f"No set of polymer cells '{library}': choose a or b, or give a file that ends in .h5.")
    force_field = polymer_force_field(samples, bending_stiffness)
    return cells_of(
        samples, force_field, count, seed, dynamics, backend=backend, trainable=trainable, parameters=parameters
    )


def _built(library: str, beads: int, count: int, seed: int, chain_length: int, bending_stiffness: float) -> Samples:
    if beads % chain_length:
        raise LibraryError(f"{beads} beads do not make chains of {chain_length}: choose a multiple.")
    protocol = replace(QuenchProtocol(timestep=0.01), beads_per_chain=chain_length)
    recipe = {"library": library, "beads": beads, "bending": bending_stiffness, "force_field": FORCE_FIELD.read_text()}

    def make(number: int, report: Progress) -> Samples:
        own_seed = 1000 * ("a", "b").index(library) + number
        return quench_polymer(beads, own_seed, protocol, bending_stiffness, report)

    return prepared_library("polymer", {**recipe, "protocol": asdict(protocol)}, count, seed, make)
