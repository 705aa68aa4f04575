"""Linear elasticity, isotropic or cubic."""

from collections.abc import Sequence

import torch
from torch import Tensor

from prnn_md.cell import Number, State
from prnn_md.materials.constants import (
    check_positive,
    checked_count,
    no_failures,
)
from prnn_md.materials.memoryless import Memoryless
from prnn_md.mechanics import deviatoric_projector, unit_system, volumetric_projector


class Elastic(Memoryless):
    """Linear elastic material, T = C E, with isotropic or cubic stiffness.

    Give youngs_modulus and poissons_ratio, or the cubic c11, c12 and c44 (Voigt's convention, axes along the
    crystal's); without any, the isotropic 50 and 0.38 of a bead-spring polymer glass. Moduli are in `units`.
    Raises ValueError for incomplete sets, for both sets at once, and for a stiffness that is not positive.
    """

    stiffness: Tensor

    def __init__(
        self,
        youngs_modulus: float | None = None,
        poissons_ratio: float | None = None,
        c11: float | None = None,
        c12: float | None = None,
        c44: float | None = None,
        units: str = "epsilon/sigma^3",
        count: int = 1,
    ) -> None:
        super().__init__()
        self.units, self.count = unit_system(units), checked_count(count)
        isotropic = {"youngs_modulus": youngs_modulus, "poissons_ratio": poissons_ratio}
        cubic = {"c11": c11, "c12": c12, "c44": c44}
        given = {name: value for name, value in (isotropic | cubic).items() if value is not None}
        if not given:
            given = {"youngs_modulus": 50.0, "poissons_ratio": 0.38}
        if given.keys() == isotropic.keys():
            stiffness = isotropic_stiffness(*isotropic_moduli(**given))
        elif given.keys() == cubic.keys():
            stiffness = cubic_stiffness(**given)
        else:
            raise ValueError(
                "Give either youngs_modulus and poissons_ratio or c11, c12 and c44, "
                f"all of one set and none of the other; got {', '.join(given)}."
            )
        self.register_buffer("stiffness", stiffness, persistent=False)

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """A state without memory."""
        return no_failures(batch_shape, self.stiffness)

    def stress(self, strain: Tensor) -> Tensor:
        """Stress C E (*batch, 6)."""
        return strain @ self.stiffness

    def stress_and_tangent(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, Tensor, State]:
        """Stress (*batch, 6), the constant stiffness (*batch, 6, 6), and the state."""
        stress, new_state = self(strain.detach(), dt, state)
        return stress, self.stiffness.expand(*stress.shape, 6), new_state


def isotropic_moduli(youngs_modulus: float, poissons_ratio: float) -> tuple[float, float]:
    """Bulk and shear modulus, in the unit of Young's modulus."""
    check_positive(youngs_modulus=youngs_modulus)
    if not -1 < poissons_ratio < 0.5:
        raise ValueError(f"poissons_ratio must lie between -1 and 0.5, got {poissons_ratio}.")
    return youngs_modulus / 3 / (1 - 2 * poissons_ratio), youngs_modulus / 2 / (1 + poissons_ratio)


def isotropic_stiffness(bulk_modulus: float, shear_modulus: float) -> Tensor:
    """Stiffness (6, 6) in Mandel notation, 3 K on the volumetric part and 2 G on the deviatoric one."""
    return 3 * bulk_modulus * volumetric_projector() + 2 * shear_modulus * deviatoric_projector()


def cubic_stiffness(c11: float, c12: float, c44: float) -> Tensor:
    """Stiffness (6, 6) in Mandel notation, where the shear entries are 2 c44."""
    check_positive(c44=c44)
    if not (c11 > abs(c12) and c11 + 2 * c12 > 0):
        raise ValueError(f"A cubic stiffness needs c11 > |c12| and c11 + 2 c12 > 0, got c11 = {c11}, c12 = {c12}.")
    stiffness = torch.diag(torch.tensor([c11 - c12] * 3 + [2.0 * c44] * 3, dtype=torch.float64))
    return stiffness + 3 * c12 * volumetric_projector()
