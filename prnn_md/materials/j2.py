"""J2 plasticity in three dimensions with isotropic hardening, by radial return."""

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State
from prnn_md.materials.constants import (
    check_not_negative,
    check_path,
    check_positive,
    checked_count,
    mark_failures,
    no_failures,
)
from prnn_md.materials.elastic import isotropic_moduli, isotropic_stiffness
from prnn_md.materials.j2_rollout import roll_out
from prnn_md.materials.kernels.j2 import ITERATIONS
from prnn_md.mechanics import deviatoric_projector, unit_system


class J2(Cell):
    """Von Mises plasticity on the Biot strain, E = elastic + plastic part, with isotropic hardening.

    The yield stress is yield_stress + hardening_modulus p + saturation_stress (1 - exp(-saturation_rate p)),
    with p the accumulated plastic strain and Voce's term absent by default; a negative saturation_stress
    softens. Stresses and moduli are in `units`. The state holds `plastic_strain` (*batch, 6), deviatoric, and
    `accumulated` (*batch,). Raises ValueError for constants without a unique return to the yield surface.

    Source: J. C. Simo, T. J. R. Hughes, Computational Inelasticity (1998), chapter 3; E. Voce, Metallurgia 51
    (1955) 219.
    """

    stiffness: Tensor
    deviator: Tensor

    def __init__(
        self,
        youngs_modulus: float = 50.0,
        poissons_ratio: float = 0.38,
        yield_stress: float = 1.5,
        hardening_modulus: float = 1.0,
        saturation_stress: float = 0.0,
        saturation_rate: float = 0.0,
        units: str = "epsilon/sigma^3",
        count: int = 1,
    ) -> None:
        super().__init__()
        self.units, self.count = unit_system(units), checked_count(count)
        bulk_modulus, self.shear_modulus = isotropic_moduli(youngs_modulus, poissons_ratio)
        check_positive(yield_stress=yield_stress)
        check_not_negative(hardening_modulus=hardening_modulus, saturation_rate=saturation_rate)
        self.yield_stress, self.hardening_modulus = float(yield_stress), float(hardening_modulus)
        self.saturation_stress, self.saturation_rate = float(saturation_stress), float(saturation_rate)
        self._smallest_slope = self._check_saturation()
        elastic, saturation = (bulk_modulus, self.shear_modulus), (self.saturation_stress, self.saturation_rate)
        self._constants = (*elastic, self.yield_stress, self.hardening_modulus, *saturation, self._smallest_slope)
        self.register_buffer("stiffness", isotropic_stiffness(bulk_modulus, self.shear_modulus), persistent=False)
        self.register_buffer("deviator", deviatoric_projector(), persistent=False)

    def _check_saturation(self) -> float:
        """The least slope of trial stress over plastic increment, which must be positive."""
        slope = 3 * self.shear_modulus + self.hardening_modulus
        slope += min(0.0, self.saturation_stress * self.saturation_rate)
        if not (0 < self.yield_stress + self.saturation_stress < inf and slope > 0):
            raise ValueError(
                f"saturation_stress = {self.saturation_stress} is infinite or softens too much: "
                "yield_stress + saturation_stress must be positive, and so must "
                "3 G + hardening_modulus + saturation_stress * saturation_rate."
            )
        return slope

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """No plastic strain yet."""
        shape = tuple(batch_shape)
        plastic_strain, accumulated = self.stiffness.new_zeros(*shape, 6), self.stiffness.new_zeros(shape)
        return no_failures(shape, self.stiffness, plastic_strain=plastic_strain, accumulated=accumulated)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6) returned radially to the yield surface; dt has no influence."""
        trial = (strain - state.plastic_strain) @ self.stiffness
        deviator = trial @ self.deviator
        square = deviator.square().sum(-1)
        strength = self.strength(state.accumulated)
        yields = 1.5 * square > strength.square()
        # Where nothing yields, constants replace the norm, whose gradient may not be finite, and the excess.
        norm = torch.where(yields, square, 1.0).sqrt()
        excess = torch.where(yields, 1.5**0.5 * norm - strength, 0.0)
        increment = self._plastic_increment(excess, state.accumulated)
        flow = 1.5**0.5 * (increment / norm).unsqueeze(-1) * deviator
        stress, failed = mark_failures(trial - 2 * self.shear_modulus * flow, state)
        plastic_strain = state.plastic_strain + flow
        return stress, State(failed, plastic_strain=plastic_strain, accumulated=state.accumulated + increment)

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As for every cell; on the CPU and in float64 by compiled loops, which can be differentiated once.

        ValueError for strains without six components, or with other times.
        """
        check_path(strains, times)
        if strains.device.type != "cpu" or strains.dtype != torch.float64:
            return super().rollout(strains, times, state)
        if state is None:
            state = self.initial_state(strains.shape[:-2])
        elif state.batch_shape != strains.shape[:-2]:
            batch = torch.broadcast_shapes(strains.shape[:-2], state.batch_shape)
            strains, failed = strains.expand(*batch, *strains.shape[-2:]), state.failed.expand(batch)
            plastic_strain, accumulated = state.plastic_strain.expand(*batch, 6), state.accumulated.expand(batch)
            state = State(failed, plastic_strain=plastic_strain, accumulated=accumulated)
        stresses, plastic_strain, accumulated, failed = roll_out(
            self._constants, strains, state.plastic_strain, state.accumulated, state.failed
        )
        return stresses, State(failed, plastic_strain=plastic_strain, accumulated=accumulated)

    def strength(self, accumulated: Tensor) -> Tensor:
        """Yield stress (*batch,) after the accumulated plastic strain (*batch,)."""
        saturation = -self.saturation_stress * torch.expm1(-self.saturation_rate * accumulated)
        return self.yield_stress + self.hardening_modulus * accumulated + saturation

    def _plastic_increment(self, excess: Tensor, accumulated: Tensor) -> Tensor:
        """Increment of accumulated plastic strain (*batch,) that takes the excess off the trial stress.

        Closed form for linear hardening. With saturation, a Newton step taken at the converged root gives the
        implicit derivative, so that nothing is differentiated through the iteration.
        """
        linear = 3 * self.shear_modulus + self.hardening_modulus
        fading = self.saturation_stress * torch.exp(-self.saturation_rate * accumulated)
        if self.saturation_stress * self.saturation_rate == 0.0:
            return excess / linear
        with torch.no_grad():
            root = self._root(excess, linear, fading)
        return root + self._residual(root, excess, linear, fading) / self._slope(root, linear, fading)

    def _root(self, excess: Tensor, linear: float, fading: Tensor) -> Tensor:
        """Newton's iteration kept inside a shrinking bracket; NaN for items that do not converge."""
        low, high = torch.zeros_like(excess), excess / self._smallest_slope
        root, tolerance = high / 2, 1e-13 * (excess + self.yield_stress)
        for _ in range(ITERATIONS):
            residual = self._residual(root, excess, linear, fading)
            if not torch.compiler.is_exporting() and not bool((residual.abs() > tolerance).any()):
                break
            low, high = torch.where(residual > 0, root, low), torch.where(residual < 0, root, high)
            newton = root + residual / self._slope(root, linear, fading)
            root = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        residual = self._residual(root, excess, linear, fading)
        return torch.where(residual.abs() <= 1e3 * tolerance, root, torch.nan)

    def _residual(self, increment: Tensor, excess: Tensor, linear: float, fading: Tensor) -> Tensor:
        return excess - linear * increment + fading * torch.expm1(-self.saturation_rate * increment)

    def _slope(self, increment: Tensor, linear: float, fading: Tensor) -> Tensor:
        return linear + fading * self.saturation_rate * torch.exp(-self.saturation_rate * increment)
