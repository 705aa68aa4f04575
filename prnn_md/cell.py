"""The one protocol that all models follow: a cell maps a total strain and its own state to a stress and a new state.

Constitutive models, MD cells, the PRNN itself and recurrent baselines are all cells, so that each can be
embedded in, called by, or compared with any other.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prnn_md.mechanics import Units

Number = float | Tensor


class State:
    """The memory of a cell: a tree of tensors whose leading dimensions are the batch.

    `failed` (bool, (*batch,)) marks items that have no valid stress any more, and defines the batch shape.
    Entries are tensors (*batch, ...) or states whose batch begins with (*batch,); read them as attributes.
    Indexing, cloning, stacking and saving act on the whole tree.
    """

    def __init__(self, failed: Tensor, **entries: "Tensor | State") -> None:
        self._failed = failed
        self._entries = entries
        for name, entry in entries.items():
            shape = entry.batch_shape if isinstance(entry, State) else entry.shape
            if shape[: failed.dim()] != failed.shape:
                raise ValueError(f"State entry '{name}' has shape {tuple(shape)}, batch is {tuple(failed.shape)}.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._entries:
            raise AttributeError(f"The state has no entry '{name}'.")
        return self._entries[name]

    @property
    def failed(self) -> Tensor:
        return self._failed

    @property
    def batch_shape(self) -> torch.Size:
        return self._failed.shape

    @property
    def nbytes(self) -> int:
        """Bytes held by all tensors of the tree."""
        return self._failed.nbytes + sum(entry.nbytes for entry in self._entries.values())

    def map(self, function: Callable[[Tensor], Tensor]) -> "State":
        """The state with `function` applied to every tensor of the tree."""
        entries = {n: e.map(function) if isinstance(e, State) else function(e) for n, e in self._entries.items()}
        return State(function(self._failed), **entries)

    def __getitem__(self, index: Any) -> "State":
        """Select along the leading (batch) dimensions, as for a tensor."""
        return self.map(lambda tensor: tensor[index])

    def clone(self) -> "State":
        return self.map(torch.clone)

    def detach(self) -> "State":
        return self.map(torch.Tensor.detach)

    def to(self, *args: Any, **kwargs: Any) -> "State":
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def tree(self) -> dict[str, Any]:
        """Plain nested dictionary of tensors; `from_tree` inverts it."""
        entries = {n: e.tree() if isinstance(e, State) else e for n, e in self._entries.items()}
        return {"failed": self._failed, **entries}

    @staticmethod
    def from_tree(tree: dict[str, Any]) -> "State":
        entries: dict[str, Any] = {
            name: State.from_tree(entry) if isinstance(entry, dict) else entry for name, entry in tree.items()
        }
        return State(**entries)

    def save(self, path: str | Path) -> None:
        torch.save(self.tree(), path)

    @staticmethod
    def load(path: str | Path) -> "State":
        return State.from_tree(torch.load(path, weights_only=True))

    @staticmethod
    def stack(states: Sequence["State"]) -> "State":
        """Stack states of equal structure along a new first batch dimension."""
        return _combine(states, torch.stack)

    @staticmethod
    def cat(states: Sequence["State"]) -> "State":
        """Concatenate states of equal structure along their first batch dimension."""
        return _combine(states, torch.cat)


def _combine(states: Sequence[State], join: Callable[[list[Tensor]], Tensor]) -> State:
    def join_trees(trees: Sequence[dict[str, Any]]) -> dict[str, Any]:
        joined: dict[str, Any] = {}
        for name, first in trees[0].items():
            parts = [tree[name] for tree in trees]
            joined[name] = join_trees(parts) if isinstance(first, dict) else join(parts)
        return joined

    return State.from_tree(join_trees([state.tree() for state in states]))


class Cell(nn.Module):
    """A material point: strain (*batch, 6) in, Biot stress (*batch, 6) and new state out, Mandel notation.

    Subclasses define `initial_state` and `forward`; what is expensive overrides `rollout` with one fused call.
    `count` says how many distinct samples the module holds: where it is above 1, the last batch dimension is
    the sample, and a PRNN embeds them side by side.
    """

    stress_measure: str = "biot"
    units: Units
    rate_dependent: bool = False
    count: int = 1

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """The state of the undeformed, stress-free material."""
        raise NotImplementedError

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6) and state at the end of an increment of length dt, (*batch,) or a number."""
        raise NotImplementedError

    def set_scales(self, strain: Tensor, stress_scale: Tensor, times: Tensor | None = None) -> None:
        """Fix input and output scales from training strains (paths, T+1, 6), their times, and the stress scale (6,).

        Only data-driven cells need them; a physical cell has its own.
        """

    def reseed(self, *numbers: int) -> None:
        """Draw all random numbers from now on from the cell's own seed and `numbers`, such as epoch and batch.

        Only cells that draw random numbers while they run, such as those with dropout, have anything to do.
        """

    def follow(self, strains: Tensor, times: Tensor) -> tuple[Tensor, State]:
        """As `rollout` from the initial state, for those who do not go on: the state may tell of failures only."""
        return self.rollout(strains, times)

    def digests(self) -> list[bytes] | None:
        """For each sample, what its answers depend on beside the strains; None where they are not to be kept.

        Samples with the same digest have the same answers from the initial state, in whatever process.
        """
        return None

    def penalty(self, state: State) -> Tensor | None:
        """What training adds to the square error of a path (*batch,), by the state at its end; None for nothing."""
        return None

    def stress_and_tangent(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, Tensor, State]:
        """Stress (*batch, 6), consistent tangent dT/dE (*batch, 6, 6), and the new state.

        The default takes six backward passes through one increment.
        """
        with torch.enable_grad():
            strain = strain.detach().requires_grad_(True)
            stress, new_state = self(strain, dt, state.detach())
            rows = [
                torch.autograd.grad(stress[..., i].sum(), strain, retain_graph=True, materialize_grads=True)[0]
                for i in range(6)
            ]
        return stress.detach(), torch.stack(rows, dim=-2), new_state.detach()

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Stresses (*batch, T+1, 6) along strain paths (*batch, T+1, 6), and the state at their end.

        `times` is (T+1,) or (*batch, T+1). Every point is evaluated; the first has dt = 0 and, from the
        initial state, zero strain.
        """
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        stresses = []
        for index, dt in enumerate(time_steps(times).unbind(-1)):
            stress, state = self(strains[..., index, :], dt, state)
            stresses.append(stress)
        return torch.stack(stresses, dim=-2), state


def time_steps(times: Tensor) -> Tensor:
    """Lengths (..., T+1) of the increments that end at each of the times (..., T+1); the first is zero."""
    return torch.diff(times, dim=-1, prepend=times[..., :1])


def chunked_rollout(cell: Cell, strains: Tensor, times: Tensor, chunk: int) -> tuple[Tensor, State]:
    """`cell.rollout` on at most `chunk` items of the first batch dimension at a time, to bound memory."""
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}.")
    per_item_times = times.dim() > 1
    results = []
    for start in range(0, strains.shape[0], chunk):
        part = slice(start, start + chunk)
        results.append(cell.rollout(strains[part], times[part] if per_item_times else times))
    stresses, states = zip(*results, strict=True)
    return torch.cat(stresses), State.cat(states)
