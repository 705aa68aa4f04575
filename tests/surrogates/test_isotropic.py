"""The isotropic network against what it promises for any weights."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.materials import J2
from prnn_md.mechanics import from_mandel, mandel_rotation, rotation_from_vector, to_mandel, trace
from prnn_md.surrogates import PRNN, IsotropicDecoder, IsotropicNetwork, TaylorEncoder
from prnn_md.surrogates.isotropic import _deviator_of_product

SCALE = torch.linspace(0.5, 1.5, 6, dtype=torch.float64)
TIMES = torch.linspace(0, 2, 31, dtype=torch.float64)


def paths(count: int, size: float = 0.04) -> Tensor:
    """Random walks (count, 31, 6) from zero strain."""
    steps = torch.randn(count, 31, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return size * (steps.cumsum(-2) - steps[:, :1]) / 31**0.5


def network(seed: int = 0) -> IsotropicNetwork:
    """One with a read-out of its own, so that there is a stress."""
    cell = IsotropicNetwork(memory=5, width=8, layers=2, seed=seed)
    cell.set_scales(paths(20), SCALE)
    cell.readout.data = torch.randn(2, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return cell


def refined(strains: Tensor, parts: int) -> Tensor:
    """Paths (count, T+1, 6) with each increment in equal parts."""
    share = torch.arange(1, parts + 1, dtype=torch.float64)[:, None] / parts
    between = strains[:, :-1, None] + share * strains.diff(dim=1)[:, :, None]
    return torch.cat([strains[:, :1], between.flatten(1, 2)], 1)


def rollout(cell: IsotropicNetwork, strains: Tensor) -> Tensor:
    with torch.no_grad():
        return cell.rollout(strains, torch.zeros(strains.shape[1], dtype=torch.float64))[0]


@pytest.mark.parametrize("seed", range(3))
def test_stress_turns_with_the_strain(seed: int) -> None:
    turn = mandel_rotation(rotation_from_vector(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64)))
    cell, strains = network(seed), paths(6)
    stress = rollout(cell, strains)
    assert stress.square().mean().sqrt() > 0.05
    torch.testing.assert_close(rollout(cell, strains @ turn.mT), stress @ turn.mT, rtol=0, atol=1e-12)


def test_the_virgin_state_has_no_stress_and_rest_changes_nothing() -> None:
    cell, strains = network(), paths(3)
    assert rollout(cell, torch.zeros_like(strains)).abs().max() < 1e-7
    _, state = cell.rollout(strains, TIMES)
    stress, still = cell(strains[:, -1], 1.0, state)
    torch.testing.assert_close(still.deviators, state.deviators, rtol=0, atol=1e-7)
    torch.testing.assert_close(stress, rollout(cell, strains)[:, -1], rtol=0, atol=1e-7)


def test_pressure_and_shape_are_both_remembered() -> None:
    cell, strains = network(), paths(3)
    stress = rollout(cell, strains)
    there_and_back = rollout(cell, torch.cat([strains, strains.flip(1)], 1))[:, -1]
    assert trace(stress).abs().max() > 0.01
    assert trace(there_and_back).abs().max() > 0.01
    assert (there_and_back[:, 3:]).abs().max() > 0.01


def test_rates_have_no_influence() -> None:
    cell, strains = network(), paths(3)
    assert torch.equal(cell.rollout(strains, TIMES)[0], cell.rollout(strains, 100 * TIMES)[0])


def test_smaller_steps_converge_to_first_order() -> None:
    cell, strains = network(), paths(4)
    *coarser, finest = (rollout(cell, refined(strains, 2**k))[:, :: 2**k] for k in range(7))
    errors = [float((stress - finest).norm() / finest.norm()) for stress in coarser[:4]]
    assert 0.05 < errors[0] < 0.4
    assert all(0.4 < fine / coarse < 0.6 for coarse, fine in pairwise(errors))


def test_the_state_goes_on_where_it_was() -> None:
    cell, strains = network(), paths(3)
    _, state = cell.rollout(strains[:, :11], TIMES[:11])
    rest, _ = cell.rollout(strains[:, 11:], TIMES[11:], state)
    torch.testing.assert_close(rest, cell.rollout(strains, TIMES)[0][:, 11:], rtol=0, atol=1e-14)


@pytest.mark.parametrize("increment", [1e-4, 0.01])
def test_the_tangent_is_the_derivative_of_the_stress(increment: float) -> None:
    cell, strains = network(), paths(3)
    _, state = cell.rollout(strains, TIMES)
    strain = strains[:, -1] + increment * torch.tensor([1.0, -0.5, 0.2, 0.3, 0.0, -0.7], dtype=torch.float64)
    _, tangent, _ = cell.stress_and_tangent(strain, 0.0, state)
    moved = [
        (cell(strain + step, 0.0, state)[0] - cell(strain - step, 0.0, state)[0]).detach() / 2e-7
        for step in 1e-7 * torch.eye(6, dtype=torch.float64)
    ]
    differences = torch.stack(moved, -1)
    torch.testing.assert_close(tangent, differences, rtol=0, atol=1e-4 * float(differences.abs().max()))


def test_there_is_a_tangent_at_rest_to_begin_with() -> None:
    cell = network()
    _, tangent, _ = cell.stress_and_tangent(torch.zeros(1, 6, dtype=torch.float64), 0.0, cell.initial_state((1,)))
    assert tangent.isfinite().all()
    assert torch.linalg.svdvals(tangent).min() > 0.1


def test_all_its_weights_learn() -> None:
    cell = network()
    cell.rollout(paths(4), TIMES)[0].square().mean().backward()
    assert all(weights.grad.any() for weights in cell.parameters())
    rules = [cell.linear.grad, cell.perceptron.biases[-1].grad.unsqueeze(0)]
    assert all(part.any(0).all() for grad in rules for part in grad.chunk(5, -1)), "each rule of each memory"
    assert cell.mixing.grad.any(1).all(), "all that is mixed"


def test_it_learns_a_plastic_material() -> None:
    strains, material = paths(6), J2()
    stress = material.rollout(strains, TIMES)[0]
    cell, scale = IsotropicNetwork(memory=5, width=8, layers=1, seed=0), stress.flatten(0, 1).std(0)
    cell.set_scales(strains, scale)
    optimizer = torch.optim.Adam(cell.parameters(), lr=0.02)
    for _ in range(120):
        optimizer.zero_grad()
        ((cell.rollout(strains[:4], TIMES)[0] - stress[:4]) / scale).square().mean().backward()
        optimizer.step()
    errors = ((rollout(cell, strains) - stress) / scale).square().mean((1, 2)).sqrt()
    assert errors[:4].max() < 0.35
    assert errors[4:].max() < 0.65, "paths that it has not seen"


def test_an_item_without_a_strain_leaves_the_others_alone() -> None:
    cell, strains = network(), paths(3)
    expected = rollout(cell, strains)
    strains[1, 7:] = torch.nan
    stress = rollout(cell, strains)
    assert stress[1, 7:].isnan().all()
    torch.testing.assert_close(stress[[0, 2]], expected[[0, 2]])


def test_it_works_in_units_of_its_scales() -> None:
    cell, larger = network(), network()
    larger.set_scales(10 * paths(20), 3 * SCALE)
    torch.testing.assert_close(rollout(larger, 10 * paths(4)), 3 * rollout(cell, paths(4)), rtol=0, atol=1e-12)


def test_the_product_is_that_of_tensors() -> None:
    one, other = paths(2, size=1.0)[:, -1]
    expected = from_mandel(one) @ from_mandel(other)
    expected = expected - torch.eye(3, dtype=torch.float64) * expected.trace() / 3
    found = _deviator_of_product() @ torch.outer(one, other).flatten()
    torch.testing.assert_close(found, to_mandel(expected))


def beside_cells() -> PRNN:
    net = IsotropicNetwork(memory=5, width=8, layers=1, seed=0)
    prnn = PRNN(TaylorEncoder, IsotropicDecoder, {"metal": J2(count=3), "net": net}, seed=0)
    prnn.set_scales(paths(20), SCALE)
    return prnn


def test_beside_other_cells_it_starts_without_stress_but_counts_in_the_mean() -> None:
    prnn = beside_cells()
    with torch.no_grad():
        expected = 0.75 * J2().rollout(paths(2), TIMES)[0]
        torch.testing.assert_close(prnn.rollout(paths(2), TIMES)[0], expected)
    torch.testing.assert_close(prnn.cells["net"].stress_scale, 4 * SCALE.mean())


def test_beside_other_cells_its_tangent_counts_too() -> None:
    prnn, strains = beside_cells(), paths(2)
    prnn.cells["net"].readout.data.fill_(0.3)
    _, state = prnn.rollout(strains[:, :9], TIMES[:9])
    _, tangent, _ = prnn.stress_and_tangent(strains[:, 9], 0.1, state)
    torch.testing.assert_close(tangent, Cell.stress_and_tangent(prnn, strains[:, 9], 0.1, state)[1])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="memory, width and layers must be at least 1, got 5, 0 and 1"):
        IsotropicNetwork(memory=5, width=0, layers=1, seed=0)
    with pytest.raises(ValueError, match="zero everywhere"):
        network().set_scales(torch.zeros(2, 3, 6), SCALE)
