"""J2 plasticity against closed forms of pure shear and uniaxial stress; its tangent against differences."""

import math
from functools import partial
from typing import Any

import pytest
import torch

from prnn_md.cell import Cell, State
from prnn_md.materials import J2

SHEAR = torch.tensor([0, 0, 0, 0, 0, math.sqrt(2)], dtype=torch.float64)  # tensor component xy of one
LINEAR: dict[str, Any] = {
    "youngs_modulus": 50.0,
    "poissons_ratio": 0.25,
    "yield_stress": 1.5,
    "hardening_modulus": 3.0,
}
VOCE = LINEAR | {"saturation_stress": 0.6, "saturation_rate": 40.0}
SOFTENING = LINEAR | {"hardening_modulus": 0.5, "saturation_stress": -0.5, "saturation_rate": 20.0}
MODELS = pytest.mark.parametrize("constants", [LINEAR, VOCE, SOFTENING], ids=["linear", "voce", "softening"])


def random_path(paths: int, points: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    steps = 0.02 * torch.randn(paths, points - 1, 6, dtype=torch.float64, generator=generator)
    return torch.cat([steps.new_zeros(paths, 1, 6), steps.cumsum(1)], 1)


def shear_stress(cell: J2, amounts: list[float]) -> list[float]:
    strains = torch.tensor(amounts, dtype=torch.float64)[:, None] * SHEAR
    stresses, _ = cell.rollout(strains, torch.arange(float(len(amounts))))
    assert stresses[:, :5].abs().max() < 1e-12
    return (stresses[:, 5] / math.sqrt(2)).tolist()


def test_pure_shear_loads_unloads_and_yields_again_on_the_other_side() -> None:
    """In pure shear tau_y = sigma_y / sqrt 3, and the slope beyond it is G H / (3 G + H)."""
    shear, hardening = 20.0, 3.0
    ratio = 3 * shear / (3 * shear + hardening)
    gamma_y = 1.5 / math.sqrt(3) / shear
    tau_top = shear * gamma_y + shear * (1 - ratio) * (0.12 - gamma_y)
    gamma_turn = 0.12 - 2 * tau_top / shear
    tau_end = -tau_top - shear * (1 - ratio) * (gamma_turn + 0.1)
    amounts = [gamma / 2 for gamma in (0.0, gamma_y, 0.12, 0.06, gamma_turn, -0.1)]
    expected = [0.0, shear * gamma_y, tau_top, tau_top - shear * 0.06, -tau_top, tau_end]
    assert shear_stress(J2(**LINEAR), amounts) == pytest.approx(expected, abs=1e-12)


@MODELS
def test_uniaxial_stress_follows_the_hardening_law(constants: dict[str, Any]) -> None:
    """With sigma = sigma_y(p): E_xx = sigma/E + p and E_yy = -nu sigma/E - p/2, lateral stress free."""
    cell = J2(**constants)
    plastic = torch.linspace(0.001, 0.2, 40, dtype=torch.float64)
    saturation = constants.get("saturation_stress", 0.0) * (
        1 - torch.exp(-constants.get("saturation_rate", 0) * plastic)
    )
    stress = 1.5 + constants["hardening_modulus"] * plastic + saturation
    axial, lateral = stress / 50.0 + plastic, -0.25 * stress / 50.0 - plastic / 2
    zero = torch.zeros_like(axial)
    strains = torch.stack([axial, lateral, lateral, zero, zero, zero], -1)
    stresses, state = cell.rollout(strains, torch.arange(40.0))
    torch.testing.assert_close(stresses[:, 0], stress, rtol=1e-11, atol=1e-11)
    assert stresses[:, 1:].abs().max() < 1e-11
    assert state.accumulated.item() == pytest.approx(0.2)


@MODELS
def test_proportional_loading_does_not_depend_on_the_number_of_steps(constants: dict[str, Any]) -> None:
    direction = torch.tensor([0.05, -0.02, 0.01, 0.03, -0.06, 0.04], dtype=torch.float64)
    ends = []
    for steps in (1, 2, 17):
        strains = torch.linspace(0, 1, steps + 1, dtype=torch.float64)[:, None] * direction
        stresses, state = J2(**constants).rollout(strains, torch.arange(steps + 1.0))
        ends.append(torch.cat([stresses[-1], state.plastic_strain, state.accumulated[None]]))
    torch.testing.assert_close(ends[0], ends[1])
    torch.testing.assert_close(ends[0], ends[2])


@MODELS
def test_smaller_steps_along_a_bent_path_bring_errors_down_in_proportion(constants: dict[str, Any]) -> None:
    """The return is of first order where the direction of flow turns."""
    ends = {}
    for steps in (40, 80, 160, 5120):
        angle = torch.linspace(0, 1.5 * math.pi, steps + 1, dtype=torch.float64)
        strains = torch.zeros(steps + 1, 6, dtype=torch.float64)
        strains[:, 3], strains[:, 5] = 0.06 * angle.sin(), 0.06 * (1 - angle.cos())
        ends[steps] = J2(**constants).rollout(strains, torch.arange(steps + 1.0))[0][-1]
    errors = [float((ends[steps] - ends[5120]).norm() / ends[5120].norm()) for steps in (40, 80, 160)]
    assert errors[0] < 0.1
    assert [errors[0] / errors[1], errors[1] / errors[2]] == pytest.approx([2.0, 2.0], rel=0.15)


@MODELS
def test_stress_stays_on_or_inside_the_yield_surface(constants: dict[str, Any]) -> None:
    cell = J2(**constants)
    state = cell.initial_state((5,))
    for strain in random_path(5, 20).unbind(1):
        before = state.accumulated
        stress, state = cell(strain, 1.0, state)
        deviator = stress - stress[:, :3].mean(-1, keepdim=True) * torch.tensor([1.0, 1, 1, 0, 0, 0])
        mises = math.sqrt(1.5) * deviator.norm(dim=-1)
        plastic = state.accumulated > before
        torch.testing.assert_close(mises[plastic], cell.strength(state.accumulated)[plastic])
        assert (mises <= cell.strength(state.accumulated) + 1e-12).all()
    assert state.plastic_strain[:, :3].sum(-1).abs().max() < 1e-15
    assert bool((state.accumulated > 0).all())


@MODELS
def test_consistent_tangent_agrees_with_central_differences(constants: dict[str, Any]) -> None:
    cell, path, step = J2(**constants), random_path(5, 12), 1e-6
    _, state = cell.rollout(path[:, :-1], torch.arange(11.0))
    strain = path[:, -1]
    _, tangent, _ = cell.stress_and_tangent(strain, 1.0, state)
    basis = step * torch.eye(6, dtype=torch.float64)
    columns = [(cell(strain + e, 1.0, state)[0] - cell(strain - e, 1.0, state)[0]) / 2 / step for e in basis]
    assert (tangent - torch.stack(columns, -1)).norm() < 1e-7 * tangent.norm()
    torch.testing.assert_close(tangent, tangent.transpose(-1, -2))


def test_tangent_of_the_undeformed_material_is_elastic() -> None:
    cell = J2(**LINEAR)
    _, tangent, _ = cell.stress_and_tangent(torch.zeros(3, 6, dtype=torch.float64), 1.0, cell.initial_state((3,)))
    torch.testing.assert_close(tangent, cell.stiffness.expand(3, 6, 6))


@MODELS
def test_gradient_through_a_history_agrees_with_central_differences(constants: dict[str, Any]) -> None:
    cell = J2(**constants)
    path = random_path(1, 8)[0].requires_grad_(True)
    assert torch.autograd.gradcheck(lambda strains: cell.rollout(strains, torch.arange(8.0))[0], path)


@MODELS
@pytest.mark.parametrize("permuted", [False, True])
def test_compiled_roll_out_and_its_way_back_are_those_of_single_steps(
    constants: dict[str, Any], permuted: bool
) -> None:
    """Also from a state amid a history, and from strains and a state that do not lie in memory one after another."""
    cell, generator = J2(**constants), torch.Generator().manual_seed(2)
    results = []
    for roll_out in (cell.rollout, partial(Cell.rollout, cell)):
        strains = random_path(20, 12)  # more than go side by side
        strains = (strains.permute(1, 2, 0).contiguous().permute(2, 0, 1) if permuted else strains).requires_grad_()
        generator.manual_seed(2)
        plastic = 0.01 * torch.randn(6, 20, generator=generator, dtype=torch.float64).mT
        amount = torch.full((1,), 0.02, dtype=torch.float64).expand(20)
        inputs = [strains, plastic.requires_grad_(), amount.requires_grad_()]
        state = State(torch.zeros(20, dtype=torch.bool), plastic_strain=plastic, accumulated=amount)
        stresses, end = roll_out(strains, torch.arange(12.0), state)
        value = (stresses * torch.linspace(-1, 1, stresses.numel()).reshape(stresses.shape)).sum()
        value = value + end.plastic_strain.square().sum() + end.accumulated.square().sum()
        gradients = torch.autograd.grad(value, inputs)
        results.append([stresses.detach(), end.plastic_strain.detach(), end.accumulated.detach(), *gradients])
    for compiled, stepped in zip(*results, strict=True):
        torch.testing.assert_close(compiled, stepped, rtol=1e-11, atol=1e-11)


def test_failure_is_marked_and_touches_no_other_item() -> None:
    cell, path = J2(**VOCE, count=2), random_path(3, 6)
    healthy, _ = cell.rollout(path, torch.arange(6.0))
    path[1, 2, 0] = math.nan
    path[2, 4, 0] = math.inf
    stresses, state = cell.rollout(path, torch.arange(6.0))
    assert state.failed.tolist() == [False, True, True]
    torch.testing.assert_close(stresses[0], healthy[0])
    assert stresses[1, 2:].isnan().all()
    assert stresses[2, 4:].isnan().all()


def test_states_of_other_shapes_are_broadcast_and_wrong_shapes_refused() -> None:
    cell, path = J2(**LINEAR), random_path(3, 6)
    expected, _ = cell.rollout(path, torch.arange(6.0))
    for shape in ((), (1,)):
        stresses, state = cell.rollout(path, torch.arange(6.0), cell.initial_state(shape))
        assert torch.equal(stresses, expected)
        assert state.batch_shape == (3,)
    stresses, state = cell.rollout(path[0], torch.arange(6.0), cell.initial_state((2,)))
    assert torch.equal(stresses, expected[:1].expand(2, -1, -1))
    assert cell.rollout(path[:0], torch.arange(6.0))[0].shape == (0, 6, 6)
    with pytest.raises(RuntimeError, match="should be broadcastable"):
        cell.rollout(path, torch.arange(6.0), cell.initial_state((2,)))
    with pytest.raises(ValueError, match=r"got \(3, 6, 5\) and \(6,\)"):
        cell.rollout(path[..., :5], torch.arange(6.0))
    with pytest.raises(ValueError, match=r"got \(3, 6, 6\) and \(4,\)"):
        cell.rollout(path, torch.arange(4.0))


@MODELS
def test_failed_items_leave_the_gradients_of_others_and_of_what_was_before_as_they_are(
    constants: dict[str, Any],
) -> None:
    cell, weights = J2(**constants), torch.linspace(-1, 1, 3 * 12 * 6, dtype=torch.float64).reshape(3, 12, 6)
    gradients = []
    for end in (math.nan, 0.0):
        path = random_path(3, 12)
        path[1, 7:] = end
        path.requires_grad_()
        stresses, _ = cell.rollout(path, torch.arange(12.0))
        counted = torch.where(stresses.isfinite(), weights * stresses, 0.0)
        counted[1, 7:] = 0.0
        gradients.append(torch.autograd.grad(counted.sum(), path)[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"yield_stress": 0.0}, "yield_stress must be positive, got 0.0"),
        ({"hardening_modulus": -1.0}, "hardening_modulus must not be negative"),
        ({"saturation_rate": math.nan}, "saturation_rate must not be negative"),
        ({"saturation_stress": -2.0}, "saturation_stress = -2.0 is infinite or softens too much"),
        ({"saturation_stress": math.inf}, "saturation_stress = inf"),
        ({"saturation_stress": -1.0, "saturation_rate": 100.0}, "softens too much"),
        ({"poissons_ratio": 0.6}, "poissons_ratio"),
        ({"units": "bar"}, "units must be one of"),
    ],
)
def test_impossible_constants_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        J2(**options)
