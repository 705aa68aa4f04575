"""The fibre against Hooke's law at small strains, its own energy, and rotations about its axis."""

import pytest
import torch

from prnn_md.cell import Cell
from prnn_md.materials import Fibre
from prnn_md.mechanics import mandel_rotation, rotation_from_vector, stretch_of

CONSTANTS = {
    "axial_modulus": 200.0,
    "transverse_modulus": 20.0,
    "axial_ratio": 0.25,
    "transverse_ratio": 0.4,
    "shear_modulus": 12.0,
}
AXIS = (1.0, 2.0, -0.5)


def strains(count: int, size: float) -> torch.Tensor:
    return size * torch.randn(count, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def response(cell: Fibre, strain: torch.Tensor) -> torch.Tensor:
    return cell(strain, 0.0, cell.initial_state(strain.shape[:-1]))[0]


def test_small_strains_follow_hookes_law_with_its_constants() -> None:
    size = 1e-6
    cell = Fibre(**CONSTANTS)
    stiffness = torch.stack([response(cell, row) for row in size * torch.eye(6, dtype=torch.float64)]) / size
    compliance = torch.linalg.inv(stiffness)
    assert 1 / compliance[0, 0] == pytest.approx(200.0, rel=1e-4)
    assert 1 / compliance[1, 1] == pytest.approx(20.0, rel=1e-4)
    assert -compliance[0, 1] / compliance[0, 0] == pytest.approx(0.25, rel=1e-4)
    assert -compliance[1, 2] / compliance[1, 1] == pytest.approx(0.4, rel=1e-4)
    assert stiffness[4, 4] / 2 == pytest.approx(12.0, rel=1e-4)
    assert stiffness[5, 5] / 2 == pytest.approx(12.0, rel=1e-4)
    assert stiffness[3, 3] / 2 == pytest.approx(20.0 / 2 / 1.4, rel=1e-4), "isotropic across the axis"


def energy(cell: Fibre, strain: torch.Tensor) -> torch.Tensor:
    """The energy of the class's documentation."""
    mu, lame, alpha, beta, gamma = cell.constants
    stretch = stretch_of(strain)
    square, determinant = stretch @ stretch, torch.linalg.det(stretch)
    four = cell.axis @ square @ cell.axis
    five = (square @ cell.axis).square().sum()
    isotropic = mu / 2 * (square.trace() - 3) - mu * determinant.log() + lame / 2 * (determinant - 1) ** 2
    return isotropic + (alpha + beta * determinant.log() + gamma * (four - 1)) * (four - 1) - alpha / 2 * (five - 1)


def test_the_stress_is_the_derivative_of_the_energy() -> None:
    cell = Fibre(**CONSTANTS, axis=AXIS)
    for strain in strains(5, 0.1):
        strain.requires_grad_(True)
        (expected,) = torch.autograd.grad(energy(cell, strain), strain)
        torch.testing.assert_close(response(cell, strain), expected, rtol=1e-12, atol=1e-12)


def test_turning_it_about_its_axis_changes_nothing_and_about_another_one_does() -> None:
    strain, axis = strains(4, 0.1), torch.tensor(AXIS, dtype=torch.float64)
    cell = Fibre(**CONSTANTS, axis=AXIS)
    for vector, same in ((0.7 * axis / axis.norm(), True), (torch.tensor([0.0, 0.5, 0.0]).double(), False)):
        turned = mandel_rotation(rotation_from_vector(vector))
        agrees = torch.allclose(response(cell, strain @ turned.mT), response(cell, strain) @ turned.mT, atol=1e-10)
        assert agrees is same


def test_a_crushed_item_fails_and_leaves_the_others_alone() -> None:
    cell, strain = Fibre(**CONSTANTS), strains(3, 0.05)
    strain[1, :2] = -1.5  # det U > 0, but two stretches are negative
    strain.requires_grad_(True)
    stress, state = cell(strain, 0.0, cell.initial_state((3,)))
    assert state.failed.tolist() == [False, True, False]
    assert stress[1].isnan().all()
    stress[[0, 2]].sum().backward()
    assert strain.grad.isfinite().all()
    assert torch.linalg.det(stretch_of(strain.detach()))[1] > 0, "a determinant alone would not tell"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"axial_modulus": 0.0}, "axial_modulus must be positive"),
        ({"transverse_ratio": 1.2}, "stiffness is not positive: axial_ratio = 0.25 and transverse_ratio = 1.2"),
        ({"axis": (0.0, 0.0, 0.0)}, "axis must be a direction"),
        ({"axis": (1.0, 0.0)}, "axis must be a direction"),
        ({"units": "bar"}, "units must be one of"),
    ],
)
def test_impossible_constants_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fibre(**{**CONSTANTS, **wrong})


def test_a_path_at_once_is_that_of_single_steps() -> None:
    cell, paths = Fibre(**CONSTANTS), strains(15, 0.1).reshape(3, 5, 6)
    paths[1, 2, 0] = -1.5
    stresses, state = cell.rollout(paths, torch.arange(5.0))
    stepped, after = Cell.rollout(cell, paths, torch.arange(5.0))
    torch.testing.assert_close(stresses, stepped, equal_nan=True)
    assert state.failed.tolist() == after.failed.tolist() == [False, True, False]
    again, _ = cell.rollout(paths[:, :2], torch.arange(2.0), state)
    assert again.isnan().all((1, 2)).tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"got \(3, 5, 6\) and \(4,\)"):
        cell.rollout(paths, torch.arange(4.0))
