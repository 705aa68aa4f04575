"""Athermal quasi-static MD cells: the energy minimum follows the strain, and the stress has an exact gradient."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State
from prnn_md.md.derivative import rollout, rollout_adjoint, stiffness_matrices
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.minimiser import BROKEN_BOND, CONVERGED, NOT_CONVERGED, NOT_FINITE, SMALL_BOX
from prnn_md.md.neighbours import bonded_partners
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ, from_mandel, stretch_of, to_mandel

FAILURES = {
    BROKEN_BOND: "a bond broke: the strain step is too large; take smaller increments or a smaller amplitude",
    SMALL_BOX: "the box became narrower than twice the cutoff: use cells with more beads or a smaller strain",
    NOT_CONVERGED: "the energy minimisation did not converge: raise max_evaluations or force_tolerance",
    NOT_FINITE: "forces or stress became infinite or NaN: beads overlap; take smaller increments",
}


class CellFailure(RuntimeError):
    """An MD cell could not follow its strain path.

    `cell` is the sample, `path` the position in the batch, `increment` the point on the path, `reason` a sentence
    without its full stop. Whoever knows what the path is called says so, as `prnn_md.training.module` does.
    """

    def __init__(self, cell: int, path: int, increment: int, reason: str) -> None:
        super().__init__(cell, path, increment, reason)
        self.cell, self.path, self.increment, self.reason = cell, path, increment, reason

    def __str__(self) -> str:
        return f"MD cell {self.cell}, path {self.path}, increment {self.increment}: {self.reason}."


class AQSCell(Cell):
    """`count` bead-spring microstructures under athermal quasi-static strain, in reduced units.

    The last batch dimension is the sample: strains are (*batch, count, 6). After every increment, box and
    positions are deformed affinely and the energy is minimised to a root-mean-square force of
    `force_tolerance`; the Biot stress of the undeformed cell is subtracted. The derivative of the stress is that
    of the branch on which the cell is (see `prnn_md.md.derivative`); it does not see which plastic events happen.

    Where that derivative does not exist, at the edge of an event, it is dropped and counted in
    `dropped_gradients`.

    `threads` cells (by default one per processor) are worked on side by side. `on_failure` is "raise", for a
    CellFailure that names cell, path and increment, or "mask", for NaN stresses from there on and a mark in
    `state.failed`.
    """

    units = LJ
    rate_dependent = False
    sample_box: Tensor
    sample_positions: Tensor
    residual_stress: Tensor

    def __init__(
        self,
        samples: Samples,
        force_field: BeadSpring,
        force_tolerance: float = 1e-3,
        max_evaluations: int = 20_000,
        threads: int | None = None,
        on_failure: str = "raise",
    ) -> None:
        super().__init__()
        if on_failure not in ("raise", "mask"):
            raise ValueError(f"on_failure is 'raise' or 'mask', not '{on_failure}'.")
        self.count = len(samples)
        self.force_tolerance = force_tolerance
        self.max_evaluations = max_evaluations
        self.threads = threads or len(os.sched_getaffinity(0))
        self.on_failure = on_failure
        self.dropped_gradients = 0
        self._partners = bonded_partners(samples.bonds.numpy(), samples.positions.shape[1])
        self._force_field = force_field
        self.register_buffer("sample_box", samples.box)
        self.register_buffer("sample_positions", samples.positions)
        self.register_buffer("residual_stress", torch.zeros(self.count, 6, dtype=torch.float64))
        self.residual_stress, state = self.rollout(torch.zeros(self.count, 1, 6, dtype=torch.float64), torch.zeros(1))
        self.residual_stress = self.residual_stress.squeeze(-2)
        self.sample_positions = state.positions

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Undeformed cells; `positions` (*batch, count, N, 3) are carried back to the undeformed box."""
        shape = self._checked_batch(batch_shape)
        positions = self.sample_positions.expand(*shape, *self.sample_positions.shape[1:]).clone()
        return State(torch.zeros(shape, dtype=torch.bool), positions=positions)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Biot stress (*batch, count, 6) and new state after one increment; `dt` plays no part."""
        stress, state = self.rollout(strain.unsqueeze(-2), torch.zeros(1), state)
        return stress.squeeze(-2), state

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Biot stresses (*batch, count, T+1, 6) along strains of the same shape, all cells in one fused call."""
        batch = self._checked_batch(strains.shape[:-2])
        if strains.device.type != "cpu":
            raise ValueError("MD cells run on the processor: choose hardware=cpu.")
        state = self.initial_state(batch) if state is None else state
        items = strains.reshape(-1, *strains.shape[-2:])
        positions = state.positions.detach().reshape(items.shape[0], -1, 3).clone()
        failed = state.failed.reshape(-1).clone()
        stresses: Tensor = _Rollout.apply(items, positions, failed, self)  # type: ignore[no-untyped-call]
        stresses = stresses.reshape(strains.shape) - self.residual_stress.unsqueeze(-2)
        return stresses, State(failed.reshape(batch), positions=positions.reshape(state.positions.shape))

    def stress_and_tangent(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, Tensor, State]:
        """As in `Cell`; the tangent takes one factorisation of each cell's Hessian, and is NaN for a failed cell."""
        with torch.no_grad():
            stress, state = self(strain, dt, state)
        stretches = stretch_of(strain.detach()).reshape(-1, 3, 3).numpy()
        positions = state.positions.reshape(len(stretches), -1, 3).numpy()
        tangents = np.full((len(stretches), 6, 6), np.nan)
        valid = [int(k) for k in (~state.failed).reshape(-1).nonzero()]
        jobs = ((self._tangent, (k, positions[k], stretches[k])) for k in valid)
        for k, tangent in zip(valid, self._side_by_side(jobs), strict=True):
            tangents[k] = tangent
        return stress, torch.from_numpy(tangents).reshape(*strain.shape, 6), state

    def _tangent(self, item: int, y: np.ndarray, stretch: np.ndarray) -> np.ndarray:
        box0 = self.sample_box[item % self.count].numpy()
        basis = from_mandel(torch.eye(6, dtype=torch.float64)).numpy()
        hessian, coupling, born = stiffness_matrices(
            y @ stretch.T, stretch, box0, self._partners, self._force_field, basis
        )
        beads = len(y)
        # Rigid translations cost no energy: give each one a stiffness, which changes nothing else.
        for axis in range(3):
            hessian[axis::3, axis::3] += 1.0 / beads
        nonaffine = scipy.linalg.lu_solve(scipy.linalg.lu_factor(hessian), coupling)
        tangent: np.ndarray = (born - coupling.T @ nonaffine) / abs(np.linalg.det(box0))
        return tangent

    def follow(
        self, item: int, y: np.ndarray, stretches: np.ndarray, stresses: np.ndarray, kept: np.ndarray
    ) -> tuple[int, int]:
        """Roll one cell out (see `derivative.rollout`); returns its status and the increments done."""
        box0 = self.sample_box[item % self.count].numpy()
        limits = (self.force_tolerance, self.max_evaluations)
        status, done, _ = rollout(y, box0, self._partners, self._force_field, stretches, *limits, stresses, kept)
        return status, done

    def carry_back(
        self, item: int, kept: np.ndarray, stretches: np.ndarray, gradients: np.ndarray, result: np.ndarray
    ) -> int:
        """Fill `result` (T, 3, 3) with the gradient of one cell's roll-out with respect to its stretches, from the
        `gradients` (T, 3, 3) with respect to its stresses; returns how many increments had none."""
        box0 = self.sample_box[item % self.count].numpy()
        fixed = (box0, self._partners, self._force_field)
        return rollout_adjoint(kept, *fixed, stretches, gradients, result)

    def fail(self, item: int, increment: int, status: int) -> None:
        """Raise a CellFailure for one item, unless failures are masked."""
        if self.on_failure == "raise":
            path, cell = divmod(item, self.count)
            raise CellFailure(cell, path, increment, FAILURES[status])

    def _side_by_side(self, jobs: Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]) -> Iterator[Any]:
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(function, *arguments) for function, arguments in jobs]
            try:
                yield from (future.result() for future in futures)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _checked_batch(self, batch_shape: Sequence[int]) -> torch.Size:
        if not batch_shape or batch_shape[-1] != self.count:
            raise ValueError(f"The last batch dimension is the sample, of size {self.count}; got {tuple(batch_shape)}.")
        return torch.Size(batch_shape)


class _Rollout(torch.autograd.Function):
    """Biot stresses (items, T, 6) of all items along strains (items, T, 6); updates positions and failed in place."""

    @staticmethod
    def forward(ctx: Any, strains: Tensor, positions: Tensor, failed: Tensor, cell: AQSCell) -> Tensor:
        stretches = stretch_of(strains.detach()).contiguous().numpy()
        items, increments = strains.shape[:2]
        stresses = np.full((items, increments, 3, 3), np.nan)
        keep = increments if ctx.needs_input_grad[0] else 0
        kept = np.zeros((items, keep, positions.shape[1], 3))
        work = [k for k in range(items) if not failed[k]]
        y = positions.numpy()
        jobs = ((cell.follow, (k, y[k], stretches[k], stresses[k], kept[k])) for k in work)
        for k, (status, done) in zip(work, cell._side_by_side(jobs), strict=True):
            if status != CONVERGED:
                cell.fail(k, done, status)
                stresses[k, done:] = np.nan
                failed[k] = True
        ctx.cell, ctx.stretches, ctx.kept = cell, stretches, kept
        ctx.valid = np.isfinite(stresses).all(axis=(2, 3))
        return to_mandel(torch.from_numpy(stresses))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        gradients = np.where(ctx.valid[..., None, None], from_mandel(gradient).numpy(), 0.0)
        result = np.zeros_like(gradients)
        jobs = (
            (ctx.cell.carry_back, (k, ctx.kept[k], ctx.stretches[k], gradients[k], result[k]))
            for k in range(len(result))
        )
        ctx.cell.dropped_gradients += sum(ctx.cell._side_by_side(jobs))
        return to_mandel(torch.from_numpy(result)), None, None, None
