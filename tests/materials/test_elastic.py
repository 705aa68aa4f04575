"""Elastic cells against textbook relations of crystals and isotropic solids."""

import math
from typing import Any

import pytest
import torch

from prnn_md.cell import Cell
from prnn_md.materials import Elastic
from prnn_md.mechanics import LJ, MPA, mandel_rotation, rotation_from_vector

COPPER: dict[str, Any] = {"c11": 168.4e3, "c12": 121.4e3, "c44": 75.4e3}  # MPa


def cubic(**options: Any) -> Elastic:
    return Elastic(**COPPER, units="MPa", **options)


def strains(*shape: int) -> torch.Tensor:
    return 0.05 * torch.randn(*shape, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_uniaxial_stress_gives_youngs_modulus_and_poissons_ratio() -> None:
    cell = Elastic(youngs_modulus=200.0, poissons_ratio=0.3)
    strain = 0.01 * torch.tensor([1.0, -0.3, -0.3, 0, 0, 0], dtype=torch.float64)
    stress, _ = cell(strain, 1.0, cell.initial_state(()))
    torch.testing.assert_close(stress, torch.tensor([2.0, 0, 0, 0, 0, 0], dtype=torch.float64))


def test_pure_shear_gives_twice_the_shear_modulus() -> None:
    cell = Elastic(youngs_modulus=200.0, poissons_ratio=0.25)
    strain = torch.tensor([0, 0, 0, 0, 0.02, 0], dtype=torch.float64)
    stress, _ = cell(strain, 1.0, cell.initial_state(()))
    torch.testing.assert_close(stress, 2 * 80.0 * strain)


@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 1.0), (1.0, -2.0, 3.0)])
def test_cubic_youngs_modulus_depends_on_direction(direction: tuple[float, float, float]) -> None:
    """1/E = S11 - 2 (S11 - S12 - S44/2) (l1^2 l2^2 + l2^2 l3^2 + l3^2 l1^2) (J. F. Nye, 1985)."""
    c11, c12, c44 = COPPER.values()
    s11 = (c11 + c12) / (c11 - c12) / (c11 + 2 * c12)
    s12 = -c12 / (c11 - c12) / (c11 + 2 * c12)
    x, y, z = (value**2 / sum(other**2 for other in direction) for value in direction)
    expected = 1 / (s11 - 2 * (s11 - s12 - 0.5 / c44) * (x * y + y * z + z * x))
    axis = torch.linalg.cross(torch.tensor(direction, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[0])
    angle = math.acos(math.sqrt(x) * math.copysign(1, direction[0]))
    rotation = rotation_from_vector(axis * angle / axis.norm().clamp(min=1e-12))
    turned = mandel_rotation(rotation)
    stiffness = turned @ cubic().stiffness @ turned.T
    assert 1 / torch.linalg.inv(stiffness)[0, 0].item() == pytest.approx(expected, rel=1e-10)


def test_cubic_stiffness_is_unchanged_by_a_quarter_turn_only() -> None:
    stiffness = cubic().stiffness
    for angle, same in ((math.pi / 2, True), (math.pi / 4, False)):
        turned = mandel_rotation(rotation_from_vector(torch.tensor([0, 0, angle], dtype=torch.float64)))
        assert torch.allclose(turned @ stiffness @ turned.T, stiffness) is same


def test_isotropic_is_the_cubic_with_zener_ratio_one() -> None:
    young, poisson = 210.0, 0.3
    lame, shear = young * poisson / (1 + poisson) / (1 - 2 * poisson), young / 2 / (1 + poisson)
    same = Elastic(c11=lame + 2 * shear, c12=lame, c44=shear)
    torch.testing.assert_close(Elastic(young, poisson).stiffness, same.stiffness)


def test_tangent_is_the_derivative_of_the_stress() -> None:
    cell = cubic()
    strain, state = strains(2, 3), cell.initial_state((2, 3))
    stress, tangent, _ = cell.stress_and_tangent(strain, 1.0, state)
    other_stress, other_tangent, _ = Cell.stress_and_tangent(cell, strain, 1.0, state)
    torch.testing.assert_close(stress, other_stress)
    torch.testing.assert_close(tangent, other_tangent)


def test_an_item_that_is_not_finite_fails_alone_and_stays_failed() -> None:
    cell = Elastic(count=4)
    strain = strains(2)
    strain[1, 3] = math.nan
    _, state = cell(strain, 1.0, cell.initial_state((2,)))
    stress, state = cell(strains(2), 1.0, state)
    assert state.failed.tolist() == [False, True]
    assert stress[0].isfinite().all()
    assert stress[1].isnan().all()


def test_units_name_the_system_of_the_constants() -> None:
    assert Elastic().units is LJ
    assert cubic().units is MPA


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"youngs_modulus": -1.0, "poissons_ratio": 0.3}, "youngs_modulus must be positive, got -1.0"),
        ({"youngs_modulus": math.inf, "poissons_ratio": 0.3}, "youngs_modulus"),
        ({"youngs_modulus": 1.0, "poissons_ratio": 0.5}, "poissons_ratio must lie between"),
        ({"youngs_modulus": 1.0}, "all of one set"),
        ({"youngs_modulus": 1.0, "poissons_ratio": 0.3, "c11": 1.0}, "none of the other; got .*c11"),
        ({"c11": 1.0, "c12": 2.0, "c44": 1.0}, r"c11 > \|c12\|"),
        ({"c11": 1.0, "c12": 0.5, "c44": 0.0}, "c44 must be positive"),
        ({"units": "GPa"}, "units must be one of epsilon/sigma.3, MPa, got 'GPa'"),
        ({"count": 0}, "count must be at least 1"),
    ],
)
def test_impossible_constants_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Elastic(**options)
