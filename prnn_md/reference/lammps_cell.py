"""Samples that LAMMPS deforms, as a cell: slow, and independent of the package's own engine."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State, time_steps
from prnn_md.md.force_field import ForceField
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ, MPA, stretch_of, upper_triangular_box
from prnn_md.reference.dynamics import ReferenceDynamics
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.system import in_lammps, read_sample, set_velocities, velocities_of


class _Rest(NamedTuple):
    positions: Tensor
    velocities: Tensor
    stress: Tensor


class LammpsCell(Cell):
    """`count` samples of one material in LAMMPS, one after another.

    The last batch dimension is the sample: strains are (*batch, count, 6). The Biot stress of the undeformed sample is
    subtracted. Materials in reduced units answer in these, all others in MPa; times are in tau or fs. There are no
    gradients. Noise follows from `seed`, the sample and the number of increments before a call, and is the same on all
    paths: at a temperature, a path in one call and in several are different ones.
    Raises LammpsError, which names path, sample and increment.
    """

    def __init__(self, samples: Samples, force_field: ForceField, dynamics: ReferenceDynamics, seed: int = 0) -> None:
        super().__init__()
        self.samples, self.force_field, self.dynamics, self.seed = samples, force_field, dynamics, seed
        self.count = len(samples)
        self.units = LJ if force_field.units is LJ else MPA
        self.rate_dependent = dynamics.rate_dependent

    @property
    def residual_stress(self) -> Tensor:
        """Biot stress (count, 6) of the undeformed samples, which is subtracted."""
        return self._rest.stress

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Undeformed samples at rest, or in equilibrium.

        `positions` and `velocities` (*batch, count, N, 3); `strain` and `stress` (*batch, count, 6), the last ones;
        `increments` (*batch, count), the number of those so far.
        """
        shape = torch.Size(batch_shape)
        if not shape or shape[-1] != self.count:
            raise ValueError(f"The last batch dimension is the sample, of size {self.count}; got {tuple(shape)}.")
        return State(
            torch.zeros(shape, dtype=torch.bool),
            positions=self._rest.positions.expand(*shape, -1, -1).clone(),
            velocities=self._rest.velocities.expand(*shape, -1, -1).clone(),
            strain=torch.zeros(*shape, 6, dtype=torch.float64),
            stress=torch.zeros(*shape, 6, dtype=torch.float64),
            increments=torch.zeros(shape, dtype=torch.int64),
        )

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Biot stress (*batch, count, 6) at the end of an increment of length dt, and the new state."""
        lengths = torch.as_tensor(dt, dtype=torch.float64).expand(strain.shape[:-1])
        stress, state = self._follow(strain.unsqueeze(-2), lengths.unsqueeze(-1), state)
        return stress.squeeze(-2), state

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Biot stresses (*batch, count, T+1, 6) along strains of the same shape."""
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        return self._follow(strains, time_steps(times.double()).expand(strains.shape[:-1]), state)

    @cached_property
    def _rest(self) -> _Rest:
        found = []
        for number in range(self.count):
            sample, box = self.samples[[number]], self.samples.box[number]
            with _named(f"sample {number} at rest"), in_lammps(sample, self.force_field) as lammps:
                self.dynamics.begin(lammps, self.force_field, self._noise(number, 0))
                stress = self.dynamics.rest(lammps, box)
                found.append((*_configuration(lammps, sample, box), stress))
        return _Rest(*(torch.stack(parts) for parts in zip(*found, strict=True)))

    def _follow(self, strains: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Stresses and state along strains (*batch, count, T, 6), in increments of these lengths (*batch, count, T)."""
        batch, increments = strains.shape[:-2], strains.shape[-2]
        items = strains.detach().double().reshape(-1, increments, 6)
        flat = State(state.failed.reshape(-1), **{n: getattr(state, n).flatten(0, len(batch) - 1) for n in _ENTRIES})
        found = [self._path(k, items[k], lengths.reshape(-1, increments)[k], flat[k]) for k in range(len(items))]
        stresses, positions, velocities = (torch.stack(parts) for parts in zip(*found, strict=True))
        new = {
            "positions": positions,
            "velocities": velocities,
            "strain": items[:, -1],
            "stress": stresses[:, -1],
            "increments": flat.increments + increments,
        }
        shaped = {name: value.reshape(getattr(state, name).shape) for name, value in new.items()}
        return stresses.reshape(strains.shape), State(state.failed.clone(), **shaped)

    def _path(self, item: int, strains: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Stresses (T, 6), positions and velocities (N, 3) of an item along strains (T, 6)."""
        path, number = divmod(item, self.count)
        box, before, stress = self.samples.box[number], state.strain, state.stress
        start = self.samples[[number]].moved(state.positions[None], (stretch_of(before) @ box)[None])
        stresses = []
        with _named(f"path {path}, sample {number}") as place, in_lammps(start, self.force_field) as lammps:
            self.dynamics.begin(lammps, self.force_field, self._noise(number, 1 + int(state.increments)))
            frame, _ = upper_triangular_box(start.box[0])
            set_velocities(lammps, state.velocities @ frame)
            for increment, (strain, dt) in enumerate(zip(strains, lengths.tolist(), strict=True)):
                place.increment = increment
                if dt > 0.0 or not torch.equal(strain, before):  # no time and no strain, no news
                    stress = self.dynamics.increment(lammps, box, before, strain, dt) - self._rest.stress[number]
                before = strain
                stresses.append(stress)
            return torch.stack(stresses), *_configuration(lammps, start, stretch_of(before) @ box)

    def _noise(self, sample: int, increment: int) -> int:
        """A seed as LAMMPS takes it, from 1 to 900 million."""
        return int(np.random.SeedSequence([self.seed, sample, increment]).generate_state(1)[0] % 899_999_999) + 1


_ENTRIES = ("positions", "velocities", "strain", "stress", "increments")


def _configuration(lammps: Any, like: Samples, box: Tensor) -> tuple[Tensor, Tensor]:
    """Positions and velocities (N, 3) of LAMMPS in the frame in which the box is `box`."""
    frame, _ = upper_triangular_box(box)
    return read_sample(lammps, like).positions[0] @ frame.T, velocities_of(lammps) @ frame.T


class _named:
    """Errors in the block say where they happened, and LAMMPS' own become LammpsErrors."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.increment: int | None = None

    def __enter__(self) -> "_named":
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, Exception):
            where = self.place if self.increment is None else f"{self.place}, increment {self.increment}"
            raise LammpsError(f"{where}: {error}.") from error
