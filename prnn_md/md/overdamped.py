"""Overdamped MD cells: a few damped steps after each increment, with their exact gradient."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.cell import Number, State, time_steps
from prnn_md.md.aqs import AQSCell
from prnn_md.md.batched import overdamped as batched
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.overdamped import rollout as kernel_rollout
from prnn_md.md.kernels.overdamped import rollout_adjoint as kernel_adjoint
from prnn_md.md.md_cell import Backend, MDCell, OnFailure, Parameters, as_numpy
from prnn_md.md.parameter_gradients import parameter_gradients
from prnn_md.md.sample import Samples
from prnn_md.mechanics import from_mandel, stretch_of, to_mandel


class OverdampedCell(MDCell):
    """`count` microstructures without inertia: friction times velocity is force.

    An increment of length dt deforms box and positions affinely and then takes `steps` explicit steps of dt/steps.
    `friction` is force times time per length, time in the unit of the paths' times, tau or fs. The gradient goes back
    through all steps and increments, so that it also sees which basin a cell falls into. Where an energy goes up, the
    steps are too long, which is an error.

    `trainable` parameters do not change the positions at the beginning, which are at rest with the `parameters` given.
    The last arguments are those of `MDCell`.
    """

    rate_dependent = True
    residual_stress: Tensor

    def __init__(
        self,
        samples: Samples,
        force_field: ForceField,
        friction: float = 5.0,
        steps: int = 20,
        threads: int | None = None,
        on_failure: OnFailure = "raise",
        backend: Backend = "auto",
        trainable: Sequence[str] = (),
        parameters: Parameters | None = None,
    ) -> None:
        if parameters:  # where the samples are not at rest
            at_rest = AQSCell(samples, force_field, threads=threads, backend=backend, parameters=parameters)
            samples = samples.moved(at_rest.sample_positions, samples.box)
        super().__init__(samples, force_field, backend, trainable, parameters, threads, on_failure)
        if not friction > 0.0 or steps < 1:
            raise ValueError(f"friction must be positive and steps at least 1, got {friction} and {steps}.")
        self.friction, self.steps = friction, steps
        self.register_buffer("residual_stress", self.sample_box.new_zeros(self.count, 6), persistent=False)
        with torch.no_grad():
            self.residual_stress = self._at_rest()

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Undeformed cells; `positions` (*batch, count, N, 3) are carried back to the undeformed box."""
        shape = self.checked_batch(batch_shape)
        positions = self.sample_positions.expand(*shape, *self.sample_positions.shape[1:]).clone()
        return State(torch.zeros(shape, dtype=torch.bool, device=positions.device), positions=positions)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Biot stress (*batch, count, 6) and new state after an increment of length dt."""
        lengths = torch.as_tensor(dt, dtype=self.sample_box.dtype).to(self.sample_box).expand(strain.shape[:-1])
        stress, state = self._follow(strain.unsqueeze(-2), lengths.unsqueeze(-1), state)
        return stress.squeeze(-2), state

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Biot stresses (*batch, count, T+1, 6) along strains of the same shape, all cells in one fused call."""
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        return self._follow(strains, time_steps(times.to(self.sample_box)), state)

    def _follow(self, strains: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Stresses and state along strains (*batch, count, T, 6), in increments of these lengths (*batch, count, T)."""
        strains = self.checked_strains(strains)
        lengths, batch = self.checked_lengths(lengths, strains), strains.shape[:-2]
        items = strains.reshape(-1, *strains.shape[-2:])
        y, failed = state.positions.reshape(len(items), -1, 3), state.failed.reshape(-1).clone()
        step = lengths.reshape(items.shape[:-1]) * (1.0 / (self.friction * self.steps))
        stresses, y = self._stresses(items, y, step, failed)
        residual = self._at_rest() if self.trainable else self.residual_stress
        stresses = stresses.reshape(strains.shape) - residual.unsqueeze(-2)
        return stresses, State(failed.reshape(batch), positions=y.reshape(state.positions.shape))

    def _stresses(self, strains: Tensor, y: Tensor, step: Tensor, failed: Tensor) -> tuple[Tensor, Tensor]:
        """Stresses (I, T, 6) and last y (I, N, 3); marks in `failed` (I,) the items that fail."""
        if self.compiled:
            result: tuple[Tensor, Tensor] = _Rollout.apply(  # type: ignore[no-untyped-call]
                strains, y, step, failed, self, *self.trained_parameters
            )
            return result
        stresses, y, status, done = batched.rollout(self, stretch_of(strains), y, step, self.steps, ~failed)
        failed |= self.note_failures(status, done)
        return self.stress_factor * to_mandel(stresses), y

    def _at_rest(self) -> Tensor:
        """Biot stresses (count, 6) of the undeformed samples."""
        zero, failed = self.sample_box.new_zeros(self.count, 1, 6), torch.zeros(self.count, dtype=torch.bool)
        step = self.sample_box.new_zeros(self.count, 1)
        with self.at_rest():
            return self._stresses(zero, self.sample_positions, step, failed.to(zero.device))[0].squeeze(-2)


class _Rollout(torch.autograd.Function):
    """Stresses (I, T, 6) and last y (I, N, 3) by kernels, one core an item."""

    @staticmethod
    def forward(
        ctx: Any, strains: Tensor, y: Tensor, step: Tensor, failed: Tensor, cell: OverdampedCell, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        stretches, y = stretch_of(strains.detach()).contiguous(), y.detach().clone()
        items, increments = strains.shape[:2]
        stresses = np.full((items, increments, 3, 3), np.nan)
        keep = any(ctx.needs_input_grad)
        kept = np.zeros((items, increments if keep else 0, y.shape[1], 3))
        arrays = as_numpy(stretches), as_numpy(step), y.numpy(), as_numpy(cell.sample_box)
        work = (~failed).nonzero().flatten().tolist()
        field, (path, length, places, box) = cell.field, arrays
        arguments = (
            (places[k], box[k % cell.count], field, path[k], length[k], cell.steps, stresses[k], kept[k]) for k in work
        )
        status, done = torch.zeros(items, dtype=torch.int64), torch.zeros(items, dtype=torch.int64)
        for k, (code, count) in zip(work, cell.side_by_side(kernel_rollout, arguments), strict=True):
            status[k], done[k] = code, count
            if code:
                stresses[k, count:] = np.nan
        failed |= cell.note_failures(status, done)
        ctx.cell, ctx.arrays, ctx.kept, ctx.field, ctx.parameters = cell, arrays, kept, field, parameters
        ctx.reached = done
        return cell.stress_factor * to_mandel(torch.from_numpy(stresses)), y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_stress: Tensor, by_y: Tensor) -> tuple[Tensor | None, ...]:
        cell, (path, length, _, box) = ctx.cell, ctx.arrays
        gradients = as_numpy(cell.stress_factor * from_mandel(by_stress))
        by_y, by_strain = by_y.detach().clone().contiguous(), np.zeros(path.shape)
        by_y[ctx.reached < path.shape[1]] = 0.0
        steps, (particles, three) = cell.steps + 1, ctx.kept.shape[2:]
        record = path.shape[1] if ctx.parameters else 0
        places = np.zeros((len(path), record, steps, particles, three))
        weights = np.zeros_like(places)
        arguments = (
            (
                ctx.kept[k, :end],
                box[k % cell.count],
                ctx.field,
                path[k, :end],
                length[k, :end],
                cell.steps,
                gradients[k, :end],
                by_strain[k, :end],
                by_y[k].numpy(),
                places[k, :end],
                weights[k, :end],
            )
            for k, end in enumerate(ctx.reached.tolist())
        )
        list(cell.side_by_side(kernel_adjoint, arguments))
        found = _of_parameters(ctx, gradients, places, weights) if ctx.parameters else []
        return to_mandel(torch.from_numpy(by_strain)), by_y, None, None, None, *found


def _of_parameters(ctx: Any, gradients: np.ndarray, places: np.ndarray, weights: np.ndarray) -> list[Tensor]:
    """Gradients by the parameters: of the forces in all steps, and of the stress at their end."""
    cell, (path, length, _, box) = ctx.cell, ctx.arrays
    fixed = (cell.force_field, list(ctx.parameters), cell.types)
    totals = [torch.zeros_like(parameter) for parameter in ctx.parameters]
    for k, end in enumerate(ctx.reached.tolist()):
        box0, stretches = torch.from_numpy(box[k % cell.count]), torch.from_numpy(path[k, :end])
        boxes, x, moves = stretches @ box0, torch.from_numpy(places[k, :end]), torch.from_numpy(-weights[k, :end])
        moving, steps = torch.from_numpy(length[k, :end]) > 0.0, cell.steps
        ends = x[torch.arange(len(x)), torch.where(moving, steps, 0)]
        g = torch.from_numpy(gradients[k, :end])
        carried = 0.5 * (g + g.mT) / torch.linalg.det(box0).abs() @ torch.linalg.inv(stretches)
        passed, pushed = x[moving, :steps].flatten(0, 1), moves[moving, :steps].flatten(0, 1)
        still = boxes[moving].repeat_interleave(steps, 0)
        through = parameter_gradients(*fixed, passed, still, pushed, torch.zeros_like(still))
        at_end = parameter_gradients(*fixed, ends, boxes, ends @ carried.mT, carried @ boxes)
        totals = [old + one + other for old, one, other in zip(totals, through, at_end, strict=True)]
    return totals
