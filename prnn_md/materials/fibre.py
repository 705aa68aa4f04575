"""A transversely isotropic hyperelastic material, such as a fibre."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.materials.constants import (
    check_positive,
    checked_count,
    is_possible,
    no_failures,
)
from prnn_md.materials.memoryless import Memoryless
from prnn_md.mechanics import stretch_of, to_mandel, unit_system


class Fibre(Memoryless):
    """Neo-Hookean material with a preferred direction a, the `axis`.

    The energy per reference volume, with C = U^2, J = det U, I_4 = a.Ca and I_5 = a.C^2 a, is
    mu/2 (tr C - 3) - mu ln J + lambda/2 (J - 1)^2 + (alpha + beta ln J + gamma (I_4 - 1)) (I_4 - 1)
    - alpha/2 (I_5 - 1). Its constants follow from those of small strains: Young's moduli along and across the axis,
    Poisson's ratios of the strains across the axis under stress along it and across it, and the shear modulus along the
    axis. Moduli are in `units`. Raises ValueError for a stiffness that is not positive and for an axis of no length.

    Source: J. Bonet, A. J. Burton, Comput. Methods Appl. Mech. Engrg. 162 (1998) 151.
    """

    axis: Tensor

    def __init__(
        self,
        axial_modulus: float = 230_000.0,
        transverse_modulus: float = 15_000.0,
        axial_ratio: float = 0.2,
        transverse_ratio: float = 0.07,
        shear_modulus: float = 15_000.0,
        axis: Sequence[float] = (1.0, 0.0, 0.0),
        units: str = "MPa",
        count: int = 1,
    ) -> None:
        super().__init__()
        self.units, self.count = unit_system(units), checked_count(count)
        check_positive(axial_modulus=axial_modulus, transverse_modulus=transverse_modulus, shear_modulus=shear_modulus)
        self.constants = _constants(axial_modulus, transverse_modulus, axial_ratio, transverse_ratio, shear_modulus)
        direction = torch.tensor(list(axis), dtype=torch.float64)
        if direction.shape != (3,) or not (direction.isfinite().all() and direction.norm() > 0):
            raise ValueError(f"axis must be a direction of three numbers, got {list(axis)}.")
        self.register_buffer("axis", direction / direction.norm(), persistent=False)

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """A state without memory."""
        return no_failures(batch_shape, self.axis)

    def stress(self, strain: Tensor) -> Tensor:
        """Stress (*batch, 6), NaN where there is no such deformation."""
        mu, lame, alpha, beta, gamma = self.constants
        possible = is_possible(strain)
        stretch = stretch_of(torch.where(possible.unsqueeze(-1), strain, 0.0))
        jacobian = torch.linalg.det(stretch)
        square, along = stretch @ stretch, self.axis.outer(self.axis)
        inverse, unit = torch.linalg.inv(square), torch.eye(3).to(stretch)
        elongation = (square * along).sum((-2, -1)) - 1.0
        of_inverse = -mu + lame * (jacobian - 1.0) * jacobian + beta * elongation
        of_axis = 2.0 * (alpha + beta * jacobian.log() + 2.0 * gamma * elongation)
        second = mu * unit + of_inverse[..., None, None] * inverse + of_axis[..., None, None] * along
        second = second - alpha * (along @ square + square @ along)
        return torch.where(possible.unsqueeze(-1), to_mandel(stretch @ second), torch.nan)


class _Constants(NamedTuple):
    mu: float
    lame: float
    alpha: float
    beta: float
    gamma: float


def _constants(
    axial_modulus: float, transverse_modulus: float, axial_ratio: float, transverse_ratio: float, shear_modulus: float
) -> _Constants:
    """The constants of the energy, whose second derivative at rest is the stiffness of small strains."""
    across, along = 1.0 / transverse_modulus, 1.0 / axial_modulus
    mixed, between = -axial_ratio * along, -transverse_ratio * across
    compliance = torch.tensor(
        [[along, mixed, mixed], [mixed, across, between], [mixed, between, across]], dtype=torch.float64
    )
    if not bool((torch.linalg.eigvalsh(compliance) > 0).all()):
        raise ValueError(
            f"The stiffness is not positive: axial_ratio = {axial_ratio} and transverse_ratio = {transverse_ratio} do "
            "not fit the moduli."
        )
    (c11, c12, _), (_, c22, c23), _ = torch.linalg.inv(compliance).tolist()
    mu, lame, beta = (c22 - c23) / 2, c23, (c12 - c23) / 2
    alpha = mu - shear_modulus
    return _Constants(mu, lame, alpha, beta, (c11 - 2 * mu - lame - 4 * beta + 4 * alpha) / 8)
