"""The Eindhoven Glassy Polymer model: Eyring flow, softening and hardening at finite strain."""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State, time_steps
from prnn_md.materials.constants import (
    check_not_negative,
    check_path,
    check_positive,
    checked_count,
    is_possible,
    mark_failures,
    no_failures,
)
from prnn_md.materials.glassy_polymer_rollout import roll_out
from prnn_md.materials.glassy_polymer_solver import solved_flow
from prnn_md.materials.kernels.glassy_polymer_flow import FASTEST, find_flow
from prnn_md.materials.viscoelastic import relaxed_mean
from prnn_md.mechanics import biot_from_cauchy, from_mandel, stretch_of, to_mandel, trace, unit_system


class GlassyPolymer(Cell):
    """Maxwell modes that flow as Eyring has it, in parallel with a neo-Hookean spring.

    Cauchy stress = K (J - 1) I + sum of G_i dev B_i + G_r dev B, with B_i the isochoric elastic left Cauchy-Green
    tensor of mode i, and B the total one. Mode i flows by D_i = G_i dev B_i / (2 eta_i), where all viscosities change
    by one factor, eta_i = viscosities[i] (z / sinh z) exp(mu p / tau_0) exp(S R(g)) with z = tau / tau_0. Here tau is
    the equivalent stress of all modes, p the pressure, and R falls from 1 to 0 over the equivalent plastic strain g,
    that of the mode with the highest viscosity.

    `bulk_modulus` K, `shear_moduli` G_i, `hardening_modulus` G_r and `characteristic_stress` tau_0 are in `units`,
    `viscosities` in these times the unit of the paths' times; `pressure_dependence` mu, `age` S and `softening`
    (r_0, r_1, r_2) have no unit. The defaults are about those of polycarbonate in MPa and s. The state holds the
    inverse plastic right Cauchy-Green tensors, `plastic` (*batch, modes, 6), and g, `accumulated` (*batch,).
    An increment is implicit but for R(g), of first order in its length; an item fails where a stretch is not positive.
    Raises ValueError for constants out of range.

    Single increments are written in torch, for any device and precision and for tangents; whole paths on the CPU are
    followed by compiled loops, which they check.

    Source: L. C. A. van Breemen et al., J. Mech. Phys. Solids 59 (2011) 2191; E. T. J. Klompen et al.,
    Macromolecules 38 (2005) 6997 for R.
    """

    rate_dependent = True
    shear_moduli: Tensor
    viscosities: Tensor

    def __init__(
        self,
        bulk_modulus: float = 3750.0,
        shear_moduli: Sequence[float] = (320.0,),
        viscosities: Sequence[float] = (2.1e11,),
        hardening_modulus: float = 26.0,
        characteristic_stress: float = 0.7,
        pressure_dependence: float = 0.08,
        age: float = 27.0,
        softening: Sequence[float] = (0.965, 50.0, -5.0),
        units: str = "MPa",
        count: int = 1,
    ) -> None:
        super().__init__()
        self.units, self.count = unit_system(units), checked_count(count)
        check_positive(bulk_modulus=bulk_modulus, characteristic_stress=characteristic_stress)
        check_not_negative(hardening_modulus=hardening_modulus, pressure_dependence=pressure_dependence, age=age)
        if not len(shear_moduli) == len(viscosities) > 0:
            raise ValueError(
                f"shear_moduli and viscosities need one entry per mode each, got {len(shear_moduli)} and "
                f"{len(viscosities)}."
            )
        for mode, (modulus, viscosity) in enumerate(zip(shear_moduli, viscosities, strict=True)):
            check_positive(**{f"shear_moduli[{mode}]": modulus, f"viscosities[{mode}]": viscosity})
        if len(softening) != 3 or not (softening[0] > 0 and softening[1] > 0 and softening[2] < 1):
            raise ValueError(f"softening needs r_0 > 0, r_1 > 0 and r_2 < 1, got {list(softening)}.")
        self.bulk_modulus, self.hardening_modulus = float(bulk_modulus), float(hardening_modulus)
        self.characteristic_stress = float(characteristic_stress)
        self.pressure_dependence, self.age = float(pressure_dependence), float(age)
        self.softening = (float(softening[0]), float(softening[1]), float(softening[2]))
        self._slowest = max(range(len(viscosities)), key=lambda mode: viscosities[mode])
        moduli, stress = (self.bulk_modulus, self.hardening_modulus), self.characteristic_stress
        self._constants = (*moduli, stress, self.pressure_dependence, self.age, self.softening, self._slowest)
        for name, values in {"shear_moduli": shear_moduli, "viscosities": viscosities}.items():
            self.register_buffer(name, torch.tensor(list(values), dtype=torch.float64), persistent=False)

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Nothing has flowed yet."""
        shape = tuple(batch_shape)
        unit = to_mandel(torch.eye(3).to(self.shear_moduli))
        plastic = unit.expand(*shape, len(self.shear_moduli), 6).clone()
        return no_failures(shape, self.shear_moduli, plastic=plastic, accumulated=self.shear_moduli.new_zeros(shape))

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6) after an increment of length dt; at dt = 0 a jump of the strain."""
        possible = ~state.failed & is_possible(strain)
        kept = torch.where(possible.unsqueeze(-1), strain, 0.0)  # so that no item spoils the gradients of others
        stretch = stretch_of(kept)
        jacobian = torch.linalg.det(stretch)
        isochoric = jacobian.pow(-1 / 3)[..., None, None] * stretch
        pressure = -self.bulk_modulus * (jacobian - 1.0)
        unit = to_mandel(torch.eye(3).to(kept))
        accumulated = torch.where(possible, state.accumulated, 0.0)
        at_rest = -self.pressure_dependence * pressure / self.characteristic_stress - self._age_left(accumulated)
        plastic = torch.where(possible[..., None, None], state.plastic, unit)
        trial = _pushed(plastic, isochoric.unsqueeze(-3))
        duration = torch.as_tensor(dt, dtype=kept.dtype, device=kept.device).expand(jacobian.shape)
        rate = duration.unsqueeze(-1) * self.shear_moduli / self.viscosities
        elastic, log_fluidity = self._flow(trial, at_rest, rate)
        extra = self.hardening_modulus * to_mandel(isochoric @ isochoric.mT)
        driving = self.shear_moduli.unsqueeze(-1) * _deviator(elastic)
        cauchy = driving.sum(-2) + _deviator(extra) - pressure.unsqueeze(-1) * unit
        stress = torch.where(possible.unsqueeze(-1), biot_from_cauchy(cauchy, kept), torch.nan)
        stress, failed = mark_failures(stress, state)
        flow = _factor(rate, log_fluidity).unsqueeze(-1) * _deviator(elastic)
        accumulated = accumulated + _equivalent(flow[..., self._slowest, :])
        plastic = _pushed(elastic, torch.linalg.inv(isochoric).unsqueeze(-3))
        return stress, State(failed, plastic=plastic, accumulated=accumulated)

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As for every cell; on the CPU and in float64 by compiled loops, which can be differentiated once."""
        check_path(strains, times)
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        if strains.device.type != "cpu" or strains.dtype != torch.float64 or times.requires_grad:
            return super().rollout(strains, times, state)
        batch = torch.broadcast_shapes(strains.shape[:-2], state.batch_shape)
        modes, points = len(self.shear_moduli), strains.shape[-2]
        stresses, plastic, accumulated, failed = roll_out(
            self._constants,
            (self.shear_moduli, self.viscosities),
            strains.expand(*batch, points, 6).reshape(-1, points, 6),
            time_steps(times).to(strains).expand(*batch, points).reshape(-1, points),
            (
                state.plastic.expand(*batch, modes, 6).reshape(-1, modes, 6),
                state.accumulated.expand(batch).reshape(-1),
                state.failed.expand(batch).reshape(-1),
            ),
        )
        entries = {"plastic": plastic.reshape(*batch, modes, 6), "accumulated": accumulated.reshape(batch)}
        return stresses.reshape(*batch, points, 6), State(failed.reshape(batch), **entries)

    def _age_left(self, accumulated: Tensor) -> Tensor:
        """S R(g): how much of the logarithm of the viscosity has not been lost to plastic strain (*batch,)."""
        r0, r1, r2 = self.softening
        # log of ((1 + (r0 exp g)^r1) / (1 + r0^r1)), which a power of r1 could overflow
        start = accumulated.new_tensor(r1 * log(r0))
        softplus = torch.nn.functional.softplus
        return self.age * torch.exp((r2 - 1) / r1 * (softplus(start + r1 * accumulated) - softplus(start)))

    def _flow(self, trial: Tensor, at_rest: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Elastic tensors (*batch, modes, 6) after flow, and the logarithm of the fluidity's factor (*batch,).

        They solve B + k (B^2 - tr B / 3 B) = trial for all modes, with the viscosity that belongs to the stress in
        k = dt G / eta; `rate` (*batch, modes) is its part that depends on nothing. The solution is found without
        gradients; one step of Newton's method from there, with the derivative kept fixed, has the gradients of the
        implicit function.
        """
        with torch.no_grad():
            elastic, log_fluidity = self._solved(trial, at_rest, rate)
            stress = (self.shear_moduli.unsqueeze(-1) * _deviator(elastic)).sum(-2)
            ratio = _equivalent(stress) / self.characteristic_stress
            factor = _factor(rate, log_fluidity).unsqueeze(-1)
            flow = _flow_direction(elastic)
            slope = _slope_over_ratio(ratio) / self.characteristic_stress**2 / 2
            of_stress = slope[..., None, None] * self.shear_moduli.unsqueeze(-1) * stress.unsqueeze(-2)
            jacobian = torch.eye(6).to(elastic) + factor.unsqueeze(-1) * _flow_derivative(elastic)
            by_fluidity = torch.linalg.solve(jacobian, (factor * flow).unsqueeze(-1)).squeeze(-1)
            pivot = 1.0 + (of_stress * by_fluidity).sum((-2, -1))
        missing = torch.linalg.solve(jacobian, (elastic + factor * flow - trial).unsqueeze(-1)).squeeze(-1)
        gap = log_fluidity - _log_sinh_over(ratio) - at_rest
        change = -(gap + (of_stress * missing).sum((-2, -1))) / pivot
        elastic = elastic - missing - by_fluidity * change[..., None, None]
        unimodular = torch.linalg.det(from_mandel(elastic)).pow(-1 / 3)  # which an implicit step loses in second order
        return unimodular.unsqueeze(-1) * elastic, log_fluidity + change

    def _solved(self, trial: Tensor, at_rest: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """What `_flow` gives, without gradients, by compiled loops on the CPU, which exported programs do not have."""
        values, axes = torch.linalg.eigh(from_mandel(trial))
        if torch.compiler.is_exporting():
            y, principal = solved_flow(self.shear_moduli, self.characteristic_stress, values, axes, at_rest, rate)
            return to_mandel(axes @ (principal.unsqueeze(-1) * axes.mT)), y
        items, principal, y = at_rest.numel(), torch.empty_like(values), torch.empty_like(at_rest)
        modes = values.shape[-2]
        flat = [
            entry.to("cpu", torch.float64).reshape(items, *entry.shape[at_rest.ndim :]).contiguous()
            for entry in (values, axes, at_rest, rate.expand(*at_rest.shape, modes), y, principal)
        ]
        find_flow(self.shear_moduli.cpu().numpy(), self.characteristic_stress, *(entry.numpy() for entry in flat))
        y, principal = (entry.to(trial) for entry in flat[-2:])
        principal = principal.reshape(values.shape)
        return to_mandel(axes @ (principal.unsqueeze(-1) * axes.mT)), y.reshape(at_rest.shape)


def _factor(rate: Tensor, log_fluidity: Tensor) -> Tensor:
    """k = dt G / eta (..., modes) of each mode; derivatives do not know of its limit, where no stress is left."""
    logarithm = rate.log() + log_fluidity.unsqueeze(-1)
    return (logarithm - (logarithm.detach() - FASTEST).clamp(min=0.0)).exp()


def _pushed(tensor: Tensor, by: Tensor) -> Tensor:
    """F A F^T (..., 6) for tensors A (..., 6) and symmetric F (..., 3, 3)."""
    return to_mandel(by @ from_mandel(tensor) @ by.mT)


def _deviator(tensor: Tensor) -> Tensor:
    return tensor - trace(tensor).unsqueeze(-1) / 3 * to_mandel(torch.eye(3).to(tensor))


def _equivalent(stress: Tensor) -> Tensor:
    """sqrt(s:s / 2) (...,) of deviators (..., 6), with no gradient where it is zero."""
    square = stress.square().sum(-1) / 2
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)


def _flow_direction(elastic: Tensor) -> Tensor:
    """dev(B) B (..., 6)."""
    tensor = from_mandel(elastic)
    return to_mandel(tensor @ tensor) - trace(elastic).unsqueeze(-1) / 3 * elastic


def _flow_derivative(elastic: Tensor) -> Tensor:
    """Its derivative (..., 6, 6) by B."""
    tensor, basis = from_mandel(elastic).unsqueeze(-3), from_mandel(torch.eye(6).to(elastic))
    both = to_mandel(tensor @ basis + basis @ tensor).mT
    unit = to_mandel(torch.eye(3).to(elastic))
    mean = trace(elastic)[..., None, None] / 3
    return both - elastic.unsqueeze(-1) * unit / 3 - mean * torch.eye(6).to(elastic)


def _log_sinh_over(ratio: Tensor) -> Tensor:
    """log(sinh z / z) for z >= 0."""
    return ratio + relaxed_mean(2 * ratio).log()


def _slope_over_ratio(ratio: Tensor) -> Tensor:
    """Its derivative over z, (coth z - 1 / z) / z, 1/3 at zero."""
    small = ratio < 1e-2
    far = torch.where(small, 1.0, ratio)
    series = 1 / 3 - ratio.square() / 45 + 2 * ratio.square().square() / 945
    return torch.where(small, series, (1 / far.tanh() - 1 / far) / far)
