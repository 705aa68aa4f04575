"""Choose some samples of a library, and let dynamics make MD cells of them."""

from collections.abc import Callable
from typing import Any

import torch

from prnn_md.cell import Cell
from prnn_md.md.force_field import ForceField
from prnn_md.md.library import LibraryError
from prnn_md.md.sample import Samples

Dynamics = Callable[..., Cell]
"""Makes a cell of samples and a force field, such as `prnn_md.md.aqs.AQSCell`."""


def cells_of(
    samples: Samples, force_field: ForceField, count: int, seed: int, dynamics: Dynamics | None, **options: Any
) -> Cell:
    """`count` of the samples, drawn without repetition by a generator of `seed`, as cells.

    With as many as there are samples, the seed changes their order only. `dynamics` makes the cell, by default as
    `prnn_md.md.aqs.AQSCell`, and is given the `options`. Raises LibraryError for more cells than there are.
    """
    if not 1 <= count <= len(samples):
        raise LibraryError(f"count must be between 1 and the {len(samples)} cells of the library, got {count}.")
    chosen = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:count]
    if dynamics is None:
        from prnn_md.md.aqs import AQSCell

        dynamics = AQSCell
    return dynamics(samples[chosen], force_field, **options)
