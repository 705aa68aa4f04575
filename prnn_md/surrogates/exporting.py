"""A cell as a program of tensor operations in one file, by torch.export."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prnn_md.cell import Cell, State


class _Step(nn.Module):
    """One increment with the state as tensors in the order of `state_entries`."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell
        self.names = [name for name, _ in _leaves(cell.initial_state((1,)).tree())]

    def forward(self, strain: Tensor, dt: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        stress, new = self.cell(strain, dt, State.from_tree(_tree(self.names, state)))
        return stress, *(tensor for _, tensor in _leaves(new.tree()))


def state_entries(cell: Cell) -> list[dict[str, Any]]:
    """Name, type and initial numbers of each tensor of the state of one item, in the order of the program."""
    entries = _leaves(cell.initial_state((1,)).tree())
    return [
        {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "initial": tensor[0].tolist()}
        for name, tensor in entries
    ]


def exported(cell: Cell, file: Path, extra_files: Mapping[str, str]) -> None:
    """Write the cell's increment, for batches of any size, with texts beside it. The parameters become constants."""
    cell = cell.eval().requires_grad_(False)
    arguments = (*_inputs(cell, batch=2, largest=0.01), *_initial(cell, 2))
    size = torch.export.Dim("batch", min=1, max=10**6)
    shapes = {"strain": {0: size}, "dt": {0: size}, "state": tuple({0: size} for _ in arguments[2:])}
    with torch.no_grad():
        program = torch.export.export(_Step(cell), arguments, dynamic_shapes=shapes, strict=False)
    with file.open("wb") as stream:
        torch.export.save(program, stream, extra_files=dict(extra_files))


def difference(cell: Cell, file: Path, largest_strain: float) -> float:
    """The largest difference between cell and file in stress and tangent, relative to the largest number of these.

    Over two increments from the initial state, at random strains (5, 6) of a norm of at most `largest_strain`; NaN
    where either is.
    """
    with file.open("rb") as stream:
        step = torch.export.load(stream).module()
    differences = []
    state, flat = cell.initial_state((5,)), _initial(cell, 5)
    for share in (0.5, 1.0):
        strain, dt = _inputs(cell, 5, share * largest_strain)
        stress, tangent, new = cell.stress_and_tangent(strain, dt, state)
        answer, *new_flat = step(strain, dt, *flat)
        of_file = torch.func.jacrev(lambda e, dt=dt, flat=flat: step(e, dt, *flat)[0].sum(0))(strain).transpose(0, 1)
        for one, other in ((answer, stress), (of_file, tangent)):
            size = max(float(other.abs().max()), 1e-300)
            differences.append(float((one - other).abs().max()) / size)
        state, flat = new, new_flat
    return max(differences, key=lambda number: (isnan(number), number))


def _inputs(cell: Cell, batch: int, largest: float) -> tuple[Tensor, Tensor]:
    draw = torch.randn(batch, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return largest * draw / draw.norm(dim=-1).max(), torch.ones(batch, dtype=torch.float64)


def _initial(cell: Cell, batch: int) -> list[Tensor]:
    return [tensor.clone() for _, tensor in _leaves(cell.initial_state((batch,)).tree())]


def _leaves(tree: Mapping[str, Any], place: str = "") -> list[tuple[str, Tensor]]:
    """Dotted names and tensors of a tree."""
    found: list[tuple[str, Tensor]] = []
    for name, entry in tree.items():
        found += _leaves(entry, f"{place}{name}.") if isinstance(entry, dict) else [(f"{place}{name}", entry)]
    return found


def _tree(names: list[str], tensors: tuple[Tensor, ...]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, tensor in zip(names, tensors, strict=True):
        *places, last = name.split(".")
        node = tree
        for place in places:
            node = node.setdefault(place, {})
        node[last] = tensor
    return tree
