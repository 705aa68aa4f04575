"""The bead-spring polymer as MD cells, taken from a library of quenched samples."""

from collections.abc import Callable
from pathlib import Path

import torch

from prnn_md.cell import Cell
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.library import LibraryError, library_path, load_library


def polymer_library(library: str | Path, beads: int) -> Path:
    """The file of a shipped set of cells, "a" or "b" of that number of beads, or of the user's own."""
    return library_path(library if Path(library).suffix == ".h5" else f"polymer_{beads}_{library}")


def polymer_cells(
    library: str | Path = "a",
    beads: int = 160,
    count: int = 32,
    seed: int = 0,
    dynamics: Callable[..., Cell] | None = None,
) -> Cell:
    """`count` cells of `beads` beads, drawn from a library without repetition by a generator of `seed`.

    `library` names a shipped set ("a" or "b" of that number of beads) or is a library file. `dynamics` makes
    the cell from samples and force field; by default it is `prnn_md.md.aqs.AQSCell`.
    """
    samples, _ = load_library(polymer_library(library, beads))
    if samples.positions.shape[1] != beads:
        raise LibraryError(f"{library} holds cells of {samples.positions.shape[1]} beads, not {beads}.")
    if not 1 <= count <= len(samples):
        raise LibraryError(f"count must be between 1 and the {len(samples)} cells of the library, got {count}.")
    chosen = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:count]
    if dynamics is None:
        from prnn_md.md.aqs import AQSCell

        dynamics = AQSCell
    return dynamics(samples[chosen], BeadSpring.from_yaml())
