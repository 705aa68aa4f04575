"""Athermal quasi-static MD cells: the energy minimum follows the strain, and the stress has an exact gradient."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from prnn_md.cell import Number, State
from prnn_md.md.batched.aqs import BatchedAQS
from prnn_md.md.compiled_aqs import CompiledAQS
from prnn_md.md.digests import sample_digests
from prnn_md.md.force_field import ForceField
from prnn_md.md.md_cell import Backend, MDCell, OnFailure, Parameters
from prnn_md.md.parameter_gradients import parameter_gradients
from prnn_md.md.plastic_events import CHOICES, AtEvents, event_weights, largest_moves
from prnn_md.md.sample import Samples
from prnn_md.mechanics import EV_ANGSTROM, KCAL_ANGSTROM, LJ, from_mandel, stretch_of, to_mandel

TOLERANCES = {LJ.stress: 1e-3, KCAL_ANGSTROM.stress: 2e-5, EV_ANGSTROM.stress: 1e-3}
"""Root-mean-square forces, about a thousandth of the epsilon/sigma of usual force fields in their units."""


class AQSCell(MDCell):
    """`count` microstructures under athermal quasi-static strain; the last arguments are those of `MDCell`.

    After every increment, box and positions are deformed affinely and the energy is minimised to a root-mean-square
    force of `force_tolerance`, by default as in `TOLERANCES`. The derivative of the stress is that of the branch on
    which the cell is (see `prnn_md.md.kernels.aqs`); it does not see which plastic events happen. Where it does not
    exist, at the edge of an event, it is dropped and counted in `dropped_gradients`. `at_events` says what becomes of
    the gradient of an increment with an event, see `prnn_md.md.plastic_events`: it is kept ("keep"), left out ("skip"),
    made smaller the farther particles moved ("damp"), or follows from the mean tangent of the path's other samples
    ("average"; parameters of the force field have none there).

    `minimiser` is "newton", a truncated Newton method by conjugate gradients, or "fire"; a minimisation takes at most
    `max_evaluations`, and no particle moves farther than `max_move`, in units of length, in one step.
    """

    rate_dependent = False
    residual_stress: Tensor

    def __init__(
        self,
        samples: Samples,
        force_field: ForceField,
        force_tolerance: float | None = None,
        minimiser: Literal["newton", "fire"] = "newton",
        max_evaluations: int = 20_000,
        max_move: float = 0.1,
        at_events: AtEvents = "keep",
        threads: int | None = None,
        on_failure: OnFailure = "raise",
        backend: Backend = "auto",
        trainable: Sequence[str] = (),
        parameters: Parameters | None = None,
    ) -> None:
        super().__init__(samples, force_field, backend, trainable, parameters, threads, on_failure)
        if at_events not in CHOICES:
            raise ValueError(f"at_events must be one of {', '.join(CHOICES)}, got '{at_events}'.")
        self.dropped_gradients, self.at_events = 0, at_events
        tolerance = TOLERANCES[force_field.units.stress] if force_tolerance is None else force_tolerance
        self.minimiser, self.limits = minimiser, (tolerance, max_evaluations, max_move)
        self.register_buffer("residual_stress", self.sample_box.new_zeros(self.count, 6), persistent=False)
        with torch.no_grad():
            self.residual_stress, positions = self._at_rest()
        self.sample_positions = positions

    def digests(self) -> list[bytes] | None:
        if self.trainable:
            return None
        settings = (type(self.engine).__name__, self.minimiser, self.limits, self.types.tolist())
        return sample_digests(
            self.force_field, settings, (self.sample_positions, self.sample_box, self.residual_stress)
        )

    @property
    def engine(self) -> CompiledAQS | BatchedAQS:
        """What does the work."""
        kind = CompiledAQS if self.compiled else BatchedAQS
        return kind(self, self.minimiser, self.limits)

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Undeformed cells; `positions` (*batch, count, N, 3) are carried back to the undeformed box."""
        shape = self.checked_batch(batch_shape)
        positions = self.sample_positions.expand(*shape, *self.sample_positions.shape[1:]).clone()
        return State(torch.zeros(shape, dtype=torch.bool, device=positions.device), positions=positions)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Biot stress (*batch, count, 6) and new state after one increment; `dt` plays no part."""
        stress, state = self.rollout(strain.unsqueeze(-2), torch.zeros(1), state)
        return stress.squeeze(-2), state

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Biot stresses (*batch, count, T+1, 6) along strains of the same shape, all cells in one fused call."""
        strains = self.checked_strains(strains)
        self.check_numbers(strains, times)
        batch = strains.shape[:-2]
        state = self.initial_state(batch) if state is None else state
        items = strains.reshape(-1, *strains.shape[-2:])
        positions = state.positions.detach().reshape(items.shape[0], -1, 3).clone()
        failed = state.failed.reshape(-1).clone()
        stresses = self._follow(items, positions, failed).reshape(strains.shape)
        residual = self._at_rest()[0] if self.trainable else self.residual_stress
        return stresses - residual.unsqueeze(-2), State(
            failed.reshape(batch), positions=positions.reshape(state.positions.shape)
        )

    def stress_and_tangent(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, Tensor, State]:
        """As in `Cell`; the tangent takes one factorisation of each cell's Hessian, and is NaN for a failed cell."""
        with torch.no_grad():
            stress, state = self(strain, dt, state)
            stretches = stretch_of(strain.detach()).reshape(-1, 3, 3)
            positions = state.positions.reshape(len(stretches), -1, 3)
            tangents = self.engine.tangents(positions, stretches, ~state.failed.reshape(-1))
        return stress, self.stress_factor * tangents.reshape(*strain.shape, 6), state

    def _at_rest(self) -> tuple[Tensor, Tensor]:
        """Biot stresses (count, 6) of the undeformed samples, and their positions at the minimum."""
        positions = self.sample_positions.clone()
        failed = torch.zeros(self.count, dtype=torch.bool, device=positions.device)
        zero = self.sample_box.new_zeros(self.count, 1, 6)
        with self.at_rest():
            return self._follow(zero, positions, failed).squeeze(-2), positions

    def _follow(self, strains: Tensor, positions: Tensor, failed: Tensor) -> Tensor:
        stresses: Tensor = _Rollout.apply(  # type: ignore[no-untyped-call]
            strains, positions, failed, self, *self.trained_parameters
        )
        return stresses


class _Rollout(torch.autograd.Function):
    """Biot stresses (items, T, 6) of all items along strains (items, T, 6); updates positions and failed in place."""

    @staticmethod
    def forward(
        ctx: Any, strains: Tensor, positions: Tensor, failed: Tensor, cell: AQSCell, *parameters: Tensor
    ) -> Tensor:
        stretches = stretch_of(strains.detach()).contiguous()
        keep = any(ctx.needs_input_grad)
        engine = cell.engine
        ctx.start = positions.clone() if keep and cell.at_events != "keep" else None
        stresses, kept, status, done = engine.rollout(positions, stretches, ~failed, keep)
        failed |= cell.note_failures(status, done)
        ctx.cell, ctx.engine, ctx.stretches, ctx.kept, ctx.parameters = cell, engine, stretches, kept, parameters
        ctx.valid = stresses.isfinite().all(-1).all(-1)
        return cell.stress_factor * to_mandel(stresses)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cell = ctx.cell
        gradients = cell.stress_factor * from_mandel(gradient)
        upstream = torch.where(ctx.valid[..., None, None], gradients, 0.0)
        gradients = upstream.clone(memory_format=torch.contiguous_format)
        if cell.at_events != "keep":
            gradients *= event_weights(_largest_moves(ctx), cell.at_events)[..., None, None]
        result, moves, dropped = ctx.engine.adjoint(ctx.kept, ctx.stretches, gradients, bool(ctx.parameters))
        if cell.at_events == "average":
            _fill_from_other_samples(ctx, upstream, gradients, result)
        cell.dropped_gradients += dropped
        of_parameters = _parameter_gradients(ctx, gradients, moves) if ctx.parameters else []
        return to_mandel(result), None, None, None, *of_parameters


def _largest_moves(ctx: Any) -> Tensor:
    """See `largest_moves`; what a failed item has moved means nothing."""
    volumes = torch.linalg.det(ctx.cell.sample_box).abs()[ctx.cell.samples_of(len(ctx.kept))]
    back = torch.linalg.inv(torch.where(ctx.valid[..., None, None], ctx.stretches, torch.eye(3).to(ctx.stretches)))
    return largest_moves(ctx.start, ctx.kept @ back.mT, volumes)


def _fill_from_other_samples(ctx: Any, upstream: Tensor, used: Tensor, result: Tensor) -> None:
    """Where an item's own gradient was not `used`, fill in the mean of what the others of the same path would have.

    That is, their tangents at that increment, each at its own strain, times this item's `upstream` gradient (items, T,
    3, 3). It stays zero where no sample of the path has a gradient that was used.
    """
    count = ctx.cell.count
    calm = used.abs().amax((-1, -2)) > 0.0
    items, times = (~calm & (upstream.abs().amax((-1, -2)) > 0.0)).nonzero(as_tuple=True)
    if not len(items):
        return
    others = (items // count * count).unsqueeze(-1) + torch.arange(count, device=items.device)  # of the same path
    asked = calm[others, times.unsqueeze(-1)]
    gradients = torch.where(asked[..., None, None], upstream[items, times].unsqueeze(1), 0.0)
    gradients = gradients.flatten(0, 1).unsqueeze(1).contiguous()
    places = others.flatten(), times.repeat_interleave(count)
    minima, stretches = ctx.kept[places].unsqueeze(1), ctx.stretches[places].unsqueeze(1)
    found, _, _ = ctx.engine.adjoint(minima, stretches, gradients, False)
    answered = (gradients.abs().amax((-1, -2)) > 0.0).reshape(-1, count).sum(1)  # without those that are dropped
    result[items, times] = found.reshape(-1, count, 3, 3).sum(1) / answered.clamp(min=1)[:, None, None]


def _parameter_gradients(ctx: Any, gradients: Tensor, moves: Tensor) -> list[Tensor]:
    """Gradients by the parameters, of the stress dW/dE / V0 at positions that the adjoint moves beyond the strain."""
    cell, used = ctx.cell, gradients.abs().amax((-1, -2)) > 0.0
    box0 = cell.sample_box[cell.samples_of(len(gradients))].unsqueeze(1).expand(*used.shape, 3, 3)[used]
    stretches, x = ctx.stretches[used], ctx.kept[used]
    strain = 0.5 * (gradients + gradients.mT)[used] / torch.linalg.det(box0).abs()[:, None, None]
    carried = strain @ torch.linalg.inv(stretches)  # G U^-1 moves what the stretch U has moved already
    volumes = torch.linalg.det(box0).abs()[:, None, None]
    moved = x @ carried.mT + moves[used] / volumes
    fixed = (cell.force_field, list(ctx.parameters), cell.types)
    return parameter_gradients(*fixed, x, stretches @ box0, moved, carried @ stretches @ box0)
