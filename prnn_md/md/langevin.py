"""Langevin MD cells: finite temperature and a real strain rate, with a truncated gradient."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.cell import Number, State, time_steps
from prnn_md.md.batched.langevin import BatchedLangevin
from prnn_md.md.batched.noise import keys_of, normals
from prnn_md.md.batched.replay import replayed
from prnn_md.md.failure import CONVERGED
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.langevin import Bath
from prnn_md.md.kernels.langevin import rollout as kernel_rollout
from prnn_md.md.kernels.langevin import rollout_adjoint as kernel_adjoint
from prnn_md.md.md_cell import Backend, MDCell, OnFailure, Parameters, as_numpy
from prnn_md.md.sample import Samples
from prnn_md.md.units import thermal_energy, time_factor
from prnn_md.mechanics import LJ, from_mandel, stretch_of, to_mandel

SKIN = 0.3
REDUCED = {"temperature": 0.3, "timestep": 0.005, "friction": 1.0, "equilibration": 5.0}  # epsilon/k_B, tau
REAL = {"temperature": 300.0, "timestep": 1.0, "friction": 0.001, "equilibration": 2000.0}  # K, fs
FIRST_STEPS = 1 << 20  # numbers of steps kept free, of which the first one makes the velocities


class LangevinCell(MDCell):
    """`count` microstructures at finite temperature, strained at the rate of the path.

    BAOAB steps of at most `timestep` at `temperature`, with `friction` (1/time); times are in tau or fs, temperatures
    in epsilon/k_B or K. The stress of an increment is the mean over the last part `window` of its steps. At first the
    samples are equilibrated for the time `equilibration`; their mean stress in its second half is subtracted. What is
    left out is as in `REDUCED` or `REAL`.

    The gradient goes back through at most `horizon` steps, clipped to the norm `clip` at each of them: trajectories of
    hot particles part so fast that longer gradients mean nothing. The noise of each sample is a function of `seed` and
    the number of the step, the same on all paths. `trainable` parameters need the torch backend, and change neither the
    equilibrated state nor the stress that is subtracted. The last arguments are those of `MDCell`.
    """

    rate_dependent = True
    residual_stress: Tensor
    equilibrated_velocities: Tensor
    first_random: Tensor

    def __init__(
        self,
        samples: Samples,
        force_field: ForceField,
        temperature: float | None = None,
        timestep: float | None = None,
        friction: float | None = None,
        window: float = 0.5,
        equilibration: float | None = None,
        clip: float = 1e3,
        horizon: int = 200,
        seed: int = 0,
        threads: int | None = None,
        on_failure: OnFailure = "raise",
        backend: Backend = "auto",
        trainable: Sequence[str] = (),
        parameters: Parameters | None = None,
    ) -> None:
        super().__init__(samples, force_field, backend, trainable, parameters, threads, on_failure)
        defaults = REDUCED if force_field.units is LJ else REAL
        temperature = defaults["temperature"] if temperature is None else temperature
        timestep = defaults["timestep"] if timestep is None else timestep
        friction = defaults["friction"] if friction is None else friction
        equilibration = defaults["equilibration"] if equilibration is None else equilibration
        for name, value, fine in (
            ("temperature", temperature, temperature >= 0.0),
            ("timestep", timestep, timestep > 0.0),
            ("friction", friction, friction >= 0.0),
            ("window", window, 0.0 < window <= 1.0),
            ("equilibration", equilibration, equilibration >= 0.0),
            ("clip", clip, clip > 0.0),
            ("horizon", horizon, horizon >= 1),
        ):
            if not fine:
                raise ValueError(f"{name}={value} is no possible value of Langevin dynamics.")
        if self.trainable:
            reason = "kernels give no gradients by parameters of Langevin dynamics"
            if backend == "kernel":
                raise ValueError(f"trainable: {reason}: use backend=torch or auto.")
            self._reason_for_torch = reason
        self.timestep, self.equilibration = timestep, equilibration
        self.time_factor = time_factor(force_field.units)
        energy = thermal_energy(force_field.units, temperature)
        self.bath = Bath(energy, friction / self.time_factor, window, SKIN, clip, horizon)
        seeds = torch.arange(self.count) + (seed << 32)
        random = torch.stack([seeds, torch.full_like(seeds, FIRST_STEPS)], -1).to(self.sample_box.device)
        draws = normals(keys_of(random[:, 0]), torch.zeros_like(random[:, 0]), self.types.numel())
        velocities = draws * (energy / force_field.masses[:, None]).sqrt()
        self.register_buffer("residual_stress", self.sample_box.new_zeros(self.count, 6), persistent=False)
        self.register_buffer("equilibrated_velocities", velocities, persistent=False)
        self.register_buffer("first_random", random, persistent=False)
        if equilibration > 0.0:
            self._equilibrate()

    @torch.no_grad()
    def _equilibrate(self) -> None:
        """Run at rest for a while; the mean stress of the second half is the residual one."""
        half = 0.5 * self.equilibration * torch.ones(self.count, 2, dtype=torch.float64)
        strains, bath = self.sample_box.new_zeros(self.count, 2, 6), self.bath
        self.bath = bath._replace(window=1.0)
        with self.at_rest():
            stresses, state = self._follow(strains, half.to(strains), self.initial_state((self.count,)))
        self.bath = bath
        self.residual_stress = stresses[:, 1]
        self.sample_positions, self.equilibrated_velocities = state.positions, state.velocities
        self.first_random = state.random

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Undeformed, equilibrated cells.

        `positions` and `velocities` (*batch, count, N, 3), the former carried back to the undeformed box; `strain` and
        `stress` (*batch, count, 6), the last ones; `random` (*batch, count, 2), seed and number of the next step.
        """
        shape = self.checked_batch(batch_shape)
        zero = self.sample_box.new_zeros(*shape, 6)

        def spread(tensor: Tensor) -> Tensor:
            return tensor.expand(*shape, *tensor.shape[1:]).clone()

        return State(
            torch.zeros(shape, dtype=torch.bool, device=zero.device),
            positions=spread(self.sample_positions),
            velocities=spread(self.equilibrated_velocities),
            strain=zero,
            stress=zero.clone(),
            random=spread(self.first_random),
        )

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Mean Biot stress (*batch, count, 6) over the end of an increment of length dt, and the new state."""
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
        items, times = strains.reshape(-1, *strains.shape[-2:]), lengths.reshape(-1, lengths.shape[-1])
        before, failed = state.strain.reshape(-1, 6), state.failed.reshape(-1).clone()
        self._check_rest(torch.cat([before[:, None], items], 1), times)
        steps = torch.ceil(times / self.timestep - 1e-6).long()
        length = torch.where(steps > 0, times / steps.clamp(min=1), 0.0) * self.time_factor
        y, v = (tensor.reshape(len(items), -1, 3) for tensor in (state.positions, state.velocities))
        random = state.random.reshape(-1, 2).clone()
        work = self._kernels if self.compiled else self._batched
        stresses, y, v, done = work(items, before, y, v, random, steps, length, failed)
        last, filled = state.stress.reshape(-1, 6), []
        for t in range(items.shape[1]):  # no time, no news
            news = stresses[:, t] - self._residual(len(items))
            last = torch.where((steps[:, t] > 0)[:, None], news, last)
            filled.append(torch.where((t < done)[:, None], last, torch.nan))
        answer = torch.stack(filled, 1)
        new = {"positions": y, "velocities": v, "strain": items[:, -1], "stress": last, "random": random}
        shaped = {name: tensor.reshape(getattr(state, name).shape) for name, tensor in new.items()}
        return answer.reshape(strains.shape), State(failed.reshape(batch), **shaped)

    def _residual(self, items: int) -> Tensor:
        return self.residual_stress[self.samples_of(items)]

    def _check_rest(self, strains: Tensor, times: Tensor) -> None:
        """ValueError for strains (I, T+1, 6) that change in no time (I, T)."""
        jumps = strains.detach().diff(dim=1).abs().amax(-1) > 1e-12
        if bool((jumps & (times == 0.0)).any()):
            raise ValueError("The strain changes in no time: cells at a real strain rate need times that go on.")

    def _kernels(
        self, strains: Tensor, before: Tensor, y: Tensor, v: Tensor, random: Tensor, steps: Tensor, length: Tensor,
        failed: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        result: tuple[Tensor, Tensor, Tensor, Tensor] = _Rollout.apply(  # type: ignore[no-untyped-call]
            strains, before, y, v, random, steps, length, failed, self
        )
        return result

    def _batched(
        self, strains: Tensor, before: Tensor, y: Tensor, v: Tensor, random: Tensor, steps: Tensor, length: Tensor,
        failed: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        if bool((steps != steps[:1]).any()) or bool((length != length[:1]).any()):
            raise ValueError("backend=torch takes all cells through the same times; give all paths the same times.")
        engine = BatchedLangevin(self, self.bath, random, steps.sum(1))
        stretch, taken, stresses = stretch_of(before), torch.zeros_like(random[:, 0]), []
        status, done = torch.zeros_like(random[:, 0]), torch.where(failed, 0, strains.shape[1])
        for t in range(strains.shape[1]):
            after, going = stretch_of(strains[:, t]), ~failed & (status == CONVERGED)
            count, dt = int(steps[0, t]), float(length[0, t])
            if count:
                fixed = (taken, count, dt, going)
                stress, y, v, found = replayed(
                    engine.increment, (stretch, after, y, v), self.trained_parameters, *fixed
                )
                taken = taken + count
                status = torch.where(going, found, status)
                done = torch.where(going & (found != CONVERGED), t, done)
                stress = torch.where((~failed & (status == CONVERGED))[:, None, None], stress, torch.nan)
            else:
                stress = torch.full_like(after, torch.nan)
            stresses.append(self.stress_factor * to_mandel(stress))
            stretch = after
        random[:, 1] += torch.where(failed, 0, steps.sum(1))
        failed |= self.note_failures(status, done)
        return torch.stack(stresses, 1), y, v, done


class _Rollout(torch.autograd.Function):
    """Stresses (I, T, 6), last y and v (I, N, 3) and the increments done (I,) by kernels, one core an item.

    Updates `random` and `failed` in place.
    """

    @staticmethod
    def forward(
        ctx: Any, strains: Tensor, before: Tensor, y: Tensor, v: Tensor, random: Tensor, steps: Tensor, length: Tensor,
        failed: Tensor, cell: LangevinCell,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        y, v = y.detach().clone(), v.detach().clone()
        first, path = as_numpy(stretch_of(before)), as_numpy(stretch_of(strains))
        items, increments = strains.shape[:2]
        keep = increments if any(ctx.needs_input_grad) else 0
        stresses = np.full((items, increments, 3, 3), np.nan)
        kept_y, kept_v = (np.zeros((items, keep, *y.shape[1:])) for _ in range(2))
        work = (~failed).nonzero().flatten().tolist()
        field, box, count, dt = cell.field, as_numpy(cell.sample_box), as_numpy(steps), as_numpy(length)
        arguments = (
            (
                y[k].numpy(),
                v[k].numpy(),
                random[k].numpy(),
                box[k % cell.count],
                field,
                cell.bath,
                first[k],
                path[k],
                count[k],
                dt[k],
                stresses[k],
                kept_y[k],
                kept_v[k],
            )
            for k in work
        )
        status, done = torch.zeros(items, dtype=torch.int64), torch.zeros(items, dtype=torch.int64)
        for k, (code, reached) in zip(work, cell.side_by_side(kernel_rollout, arguments), strict=True):
            status[k], done[k] = code, reached
            if code:
                stresses[k, reached:] = np.nan
        failed |= cell.note_failures(status, done)
        ctx.cell, ctx.arrays, ctx.kept = cell, (first, path, count, dt, box, field), (kept_y, kept_v)
        ctx.reached, ctx.random = done, as_numpy(random.clone())
        ctx.mark_non_differentiable(done)
        return cell.stress_factor * to_mandel(torch.from_numpy(stresses)), y, v, done

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_stress: Tensor, by_y: Tensor, by_v: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        cell, (first, path, count, dt, box, field), (kept_y, kept_v) = ctx.cell, ctx.arrays, ctx.kept
        gradients = as_numpy(cell.stress_factor * from_mandel(by_stress))
        by_y, by_v = by_y.detach().clone().contiguous(), by_v.detach().clone().contiguous()
        stopped = ctx.reached < path.shape[1]
        by_y[stopped], by_v[stopped] = 0.0, 0.0
        by_strain = np.zeros((len(path), path.shape[1] + 1, 3, 3))
        arguments = (
            (
                kept_y[k, :end],
                kept_v[k, :end],
                ctx.random[k, 0],
                ctx.random[k, 1],
                box[k % cell.count],
                field,
                cell.bath,
                first[k],
                path[k, :end],
                count[k, :end],
                dt[k, :end],
                gradients[k, :end],
                by_strain[k, : end + 1],
                by_y[k].numpy(),
                by_v[k].numpy(),
            )
            for k, end in enumerate(ctx.reached.tolist())
        )
        list(cell.side_by_side(kernel_adjoint, arguments))
        found = to_mandel(torch.from_numpy(by_strain))
        return found[:, 1:], found[:, 0], by_y, by_v, None, None, None, None, None
