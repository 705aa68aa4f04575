"""Thermodynamics-based networks: the stress is the derivative of an energy, and memory dissipates."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State, time_steps
from prnn_md.mechanics import UNIT_SYSTEMS, Units
from prnn_md.surrogates.networks import Perceptron, Potential, largest_norm

Network = Callable[[Tensor], Tensor]


class ThermodynamicNetwork(Cell):
    """Free energy psi(E, z) with internal variables z that no data tell; T = dpsi/dE, dissipation D = -dpsi/dz . dz.

    psi is a network less its value and slope at rest, so that the virgin state has neither energy nor stress. Memory
    evolves along a clock, time or, if not `rate_dependent`, the length of the strain path:
    `soft`: dz = f(E, z, dE / d clock) d clock, with a network f; D >= 0 is only learnt, by the penalty on D < 0.
    `gsm`: dz = dphi/dx d clock at x = -dpsi/dz, a generalised standard material. phi is convex with its least value at
    x = 0, so that D >= 0 holds for any weights.

    Strains are taken in units of their largest norm in training, stresses in their mean scale, times in those of a
    path: buffers that `set_scales` fixes, one before. The state holds the last `strain` (*batch, 6), the internal
    `variables` (*batch, variables), the energy `dissipated` (*batch,) and `violation` (*batch,), its negative part.

    Source: F. Masi, I. Stefanou, Comput. Methods Appl. Mech. Engrg. 398 (2022) 115190 for `soft`; B. Halphen, Q. S.
    Nguyen, J. Mecanique 14 (1975) 39 for generalised standard materials.
    """

    strain_scale: Tensor
    stress_scale: Tensor
    time_scale: Tensor

    def __init__(
        self,
        mode: Literal["soft", "gsm"],
        variables: int,
        width: int,
        layers: int,
        seed: int,
        rate_dependent: bool = False,
        penalty: float = 1.0,
        units: str = "epsilon/sigma^3",
    ) -> None:
        super().__init__()
        if mode not in ("soft", "gsm"):
            raise ValueError(f"mode must be soft or gsm, got '{mode}'.")
        if min(variables, width, layers) < 1:
            raise ValueError(f"variables, width and layers must be at least 1, got {variables}, {width} and {layers}.")
        self.mode, self.variables, self.rate_dependent, self.penalty_weight = mode, variables, rate_dependent, penalty
        self.units = UNIT_SYSTEMS.get(units, Units(units))
        generator = torch.Generator().manual_seed(seed)
        self.energy = Potential(6 + variables, width, layers, generator)
        self.evolution: Perceptron | Potential
        if mode == "soft":
            self.evolution = Perceptron(12 + variables, width, layers, variables, generator)
        else:
            self.evolution = Potential(variables, width, layers, generator, convex=True)
        for name in ("strain_scale", "stress_scale", "time_scale"):
            self.register_buffer(name, torch.ones((), dtype=torch.float64))

    def set_scales(self, strain: Tensor, stress_scale: Tensor, times: Tensor | None = None) -> None:
        """ValueError if there is no strain at all."""
        self.strain_scale.copy_(largest_norm(strain))
        self.stress_scale.copy_(stress_scale.mean())
        if times is not None:
            self.time_scale.copy_((times[..., -1] - times[..., 0]).mean())

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """At rest, all internal variables zero."""
        shape = tuple(batch_shape)
        zeros = self.strain_scale.new_zeros(*shape, 6 + self.variables)
        none = zeros.new_zeros(shape)
        return State(none.bool(), strain=zeros[..., :6], variables=zeros[..., 6:], dissipated=none, violation=none)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6) after the memory has followed the increment, explicitly."""
        return self._follow(strain, dt, state, self.energy.prepared(), self._evolution())

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As for every cell, with the networks prepared once for all increments."""
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        stresses, networks = [], (self.energy.prepared(), self._evolution())
        for strain, dt in zip(strains.unbind(-2), time_steps(times).unbind(-1), strict=True):
            stress, state = self._follow(strain, dt, state, *networks)
            stresses.append(stress)
        return torch.stack(stresses, dim=-2), state

    def _evolution(self) -> Network:
        return self.evolution.prepared() if isinstance(self.evolution, Potential) else self.evolution

    def _follow(
        self, strain: Tensor, dt: Number, state: State, of_energy: Network, evolution: Network
    ) -> tuple[Tensor, State]:
        new, old = strain / self.strain_scale, state.strain / self.strain_scale
        change = new - old
        if self.rate_dependent:
            clock = torch.as_tensor(dt, dtype=new.dtype, device=new.device).expand(new.shape[:-1]) / self.time_scale
        else:
            square = change.square().sum(-1)
            clock = torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)
        ticks = clock.unsqueeze(-1)
        force = -of_energy(torch.cat([new, state.variables], -1))[..., 6:]
        if self.mode == "gsm":
            flow = evolution(force)
        else:
            pace = change / torch.where(ticks > 0, ticks, 1.0)
            flow = evolution(torch.cat([old, state.variables, pace], -1))
        variables = state.variables + ticks * flow
        dissipation = self.strain_scale * self.stress_scale * (force * (variables - state.variables)).sum(-1)
        stress = self.stress_scale * of_energy(torch.cat([new, variables], -1))[..., :6]
        return stress, State(
            state.failed,
            strain=strain,
            variables=variables,
            dissipated=state.dissipated + dissipation,
            violation=state.violation + torch.relu(-dissipation),
        )

    def penalty(self, state: State) -> Tensor:
        """The negative dissipation of the path, over the scale of energies."""
        return self.penalty_weight * state.violation / (self.strain_scale * self.stress_scale)
