"""The thermodynamics-based network against the laws that it claims, for weights that nobody has trained."""

import pytest
import torch
from torch import Tensor

from prnn_md.cell import Cell, State
from prnn_md.surrogates import ThermodynamicNetwork

SCALE = torch.linspace(0.5, 1.5, 6, dtype=torch.float64)


def paths(*shape: int, size: float = 0.04) -> Tensor:
    """Random walks from zero strain, (*shape, 6) with time the last of `shape`."""
    generator = torch.Generator().manual_seed(5)
    steps = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
    return size * (steps.cumsum(-2) - steps[..., :1, :]) / shape[-1] ** 0.5


def network(mode: str = "gsm", seed: int = 0, wild: float = 1.0, **options) -> ThermodynamicNetwork:
    """With weights `wild` times as large as at the start of training."""
    cell = ThermodynamicNetwork(mode, variables=4, width=10, layers=2, seed=seed, **options)
    cell.set_scales(paths(20, 12), SCALE, torch.linspace(0, 2, 12, dtype=torch.float64))
    with torch.no_grad():
        for weights in cell.parameters():
            weights.mul_(wild)
    return cell


@pytest.mark.parametrize("mode", ["soft", "gsm"])
def test_the_virgin_state_has_no_stress_and_stays_as_it_is(mode: str) -> None:
    cell = network(mode)
    state = cell.initial_state((3,))
    for _ in range(3):
        stress, state = cell(torch.zeros(3, 6, dtype=torch.float64), 0.1, state)
        assert stress.abs().max() < 1e-15
        assert state.variables.abs().max() < 1e-15
        assert state.dissipated.abs().max() < 1e-15


@pytest.mark.parametrize("wild", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("rate_dependent", [False, True])
def test_a_generalised_standard_material_dissipates_for_any_weights(wild: float, rate_dependent: bool) -> None:
    strains, times = paths(30, 40), torch.linspace(0, 2, 40, dtype=torch.float64)
    for seed in range(5):
        cell = network("gsm", seed, wild, rate_dependent=rate_dependent)
        state, before = cell.initial_state((30,)), torch.zeros(30, dtype=torch.float64)
        scale = cell.strain_scale * cell.stress_scale
        for strain, dt in zip(strains.unbind(1), times.diff(prepend=times[:1]), strict=True):
            _, state = cell(strain, dt, state)
            assert (state.dissipated - before).min() >= -1e-15 * scale
            before = state.dissipated
        assert state.violation.max() <= 1e-14 * scale
        assert before.min() > 0


def test_the_soft_one_does_not_and_is_told_so_by_the_penalty() -> None:
    cell = network("soft", penalty=2.0)
    _, state = cell.rollout(paths(30, 40), torch.linspace(0, 2, 40, dtype=torch.float64))
    assert state.violation.max() > 0
    expected = 2.0 * state.violation / (cell.strain_scale * SCALE.mean())
    torch.testing.assert_close(cell.penalty(state), expected)


def test_the_stress_is_the_derivative_of_the_energy() -> None:
    cell, generator = network(), torch.Generator().manual_seed(1)
    strain = paths(5, 3)[:, 2].requires_grad_(True)
    variables = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    memory = {"strain": strain.detach(), "variables": variables}  # no increment, so that memory stands
    state = State.from_tree(cell.initial_state((5,)).tree() | memory)
    inputs = torch.cat([strain / cell.strain_scale, variables], -1)
    energy = cell.strain_scale * cell.stress_scale * cell.energy(inputs)
    (expected,) = torch.autograd.grad(energy.sum(), strain)
    stress, _ = cell(strain, 0.0, state)
    torch.testing.assert_close(stress, expected)


@pytest.mark.parametrize("convex", [False, True])
def test_the_gradient_of_a_potential_is_its_derivative(convex: bool) -> None:
    potential = network("gsm").evolution if convex else network("gsm").energy
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(7, 4 if convex else 10, generator=generator, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(potential(inputs).sum(), inputs)
    torch.testing.assert_close(potential.gradient(inputs), expected)
    assert potential(torch.zeros_like(inputs[0])) == 0
    if convex:
        assert potential(inputs).min() >= 0
        one, other = inputs.detach()[:3], inputs.detach()[3:6]
        assert (potential((one + other) / 2) <= (potential(one) + potential(other)) / 2).all()


@pytest.mark.parametrize("mode", ["soft", "gsm"])
@pytest.mark.parametrize("rate_dependent", [False, True])
def test_tangent_and_memory_are_those_of_a_cell(mode: str, rate_dependent: bool) -> None:
    cell = network(mode, rate_dependent=rate_dependent)
    strains, times = paths(3, 10), torch.linspace(0, 2, 10, dtype=torch.float64)
    stresses, _ = cell.rollout(strains, times)
    _, state = cell.rollout(strains[:, :9], times[:9])
    dt = times[9] - times[8]
    stress, tangent, _ = cell.stress_and_tangent(strains[:, 9], dt, state)
    torch.testing.assert_close(stress, stresses[:, 9])
    step = 1e-6 * torch.eye(6, dtype=torch.float64)
    moved = [cell(strains[:, 9] + s, dt, state)[0] - cell(strains[:, 9] - s, dt, state)[0] for s in step]
    differences = torch.stack(moved, -1).detach() / 2e-6
    torch.testing.assert_close(tangent, differences, rtol=0, atol=1e-6 * float(differences.abs().max()))


def test_without_rates_only_the_path_counts() -> None:
    cell, strains = network(), paths(3, 10)
    slow, fast = (cell.rollout(strains, span * torch.arange(10.0, dtype=torch.float64))[0] for span in (1.0, 100.0))
    torch.testing.assert_close(slow, fast)
    rated = network(rate_dependent=True)
    slow, fast = (rated.rollout(strains, span * torch.arange(10.0, dtype=torch.float64))[0] for span in (0.01, 0.1))
    assert (slow - fast).abs().max() > 1e-3 * slow.abs().max()


@pytest.mark.parametrize("mode", ["soft", "gsm"])
def test_all_its_weights_learn(mode: str) -> None:
    cell = network(mode)
    stresses, state = cell.rollout(paths(4, 12), torch.linspace(0, 2, 12, dtype=torch.float64))
    (stresses.square().mean() + cell.penalty(state).mean()).backward()
    learnt = [name for name, weights in cell.named_parameters() if weights.grad is not None and weights.grad.any()]
    assert {name.split(".")[0] for name in learnt} == {"energy", "evolution"}
    assert all(weights.grad.isfinite().all() for weights in cell.parameters() if weights.grad is not None)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be soft or gsm, got 'hard'"):
        ThermodynamicNetwork("hard", 1, 1, 1, 0)
    with pytest.raises(ValueError, match="variables, width and layers must be at least 1, got 0, 1 and 1"):
        ThermodynamicNetwork("gsm", 0, 1, 1, 0)
    with pytest.raises(ValueError, match="zero everywhere"):
        network().set_scales(torch.zeros(2, 3, 6), SCALE)


def test_other_cells_have_no_penalty() -> None:
    assert Cell().penalty(network().initial_state((2,))) is None
