"""AQS cells: states, exact tangent and gradient, failures."""

import pytest
import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.md.aqs import AQSCell
from prnn_md.md.crystals import FCC, argon_force_field, crystal
from prnn_md.md.energy import tangent as torch_tangent
from prnn_md.md.failure import CellFailure
from prnn_md.md.library import load_library
from prnn_md.md.plastic_events import CHOICES, LEAST_MOVE, largest_moves
from prnn_md.md.polymer import polymer_cells, polymer_force_field
from prnn_md.mechanics import stretch_of

DTYPE = torch.float64


def cells(count, tolerance=1e-6, **options):
    samples = load_library("polymer_80_a")[0][:count]
    return AQSCell(samples, polymer_force_field(samples), force_tolerance=tolerance, **options)


def random_path(increments, amplitude, seed=0):
    """A straight path (T+1, 6) in a random direction, of little volume change."""
    direction = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=DTYPE)
    direction[:3] -= 0.8 * direction[:3].mean()
    return torch.linspace(0, amplitude, increments + 1, dtype=DTYPE)[:, None] * direction / direction.norm()


def for_cells(path, count):
    return path.expand(count, *path.shape)


def test_undeformed_cell_is_free_of_stress():
    cell = cells(3)
    stress, state = cell.rollout(torch.zeros(3, 1, 6, dtype=DTYPE), torch.zeros(1))
    assert stress.abs().max() == 0
    assert not state.failed.any()


def test_stepping_equals_rollout():
    cell, path = cells(2), for_cells(random_path(5, 0.04), 2)
    rolled, end = cell.rollout(path, torch.zeros(6))
    state = cell.initial_state((2,))
    for index in range(6):
        stress, state = cell(path[:, index], 0.0, state)
        assert torch.allclose(stress, rolled[:, index], atol=1e-12)
    assert torch.allclose(state.positions, end.positions, atol=1e-12)


def test_batches_threads_and_order_change_nothing():
    cell, one_thread = cells(2, threads=2), cells(2, threads=1)
    paths = torch.stack([for_cells(random_path(4, 0.03, seed), 2) for seed in range(3)])
    together, _ = cell.rollout(paths, torch.zeros(5))
    for index, path in enumerate(paths):
        assert torch.equal(one_thread.rollout(path, torch.zeros(5))[0], together[index])


def test_state_can_be_rolled_back():
    cell, path = cells(2), for_cells(random_path(6, 0.05), 2)
    times = torch.zeros(4)
    _, middle = cell.rollout(path[:, :4], times)
    snapshot = middle.clone()
    first, _ = cell.rollout(path[:, 3:], times, middle)
    again, _ = cell.rollout(path[:, 3:], times, snapshot)
    assert torch.equal(first, again)


def test_tangent_agrees_with_the_torch_definition():
    cell, path = cells(2, 1e-10), random_path(3, 0.02)
    state = cell.initial_state((2,))
    for strain in path:
        _, tangents, state = cell.stress_and_tangent(strain.expand(2, 6), 0.0, state)
    force_field, stretch = cell.force_field, stretch_of(path[-1])
    for k in range(2):
        y, box = state.positions[k], cell.sample_box[k]
        neighbours = force_field.neighbours((y @ stretch.mT)[None], (stretch @ box)[None])
        expected, _ = torch_tangent(force_field, path[-1], y, box, cell.types, neighbours)
        assert torch.allclose(tangents[k], expected, rtol=1e-8, atol=1e-7)


def test_gradient_of_a_rollout_is_the_tangent_at_each_increment():
    cell, path = cells(2, 1e-9), for_cells(random_path(4, 0.02), 2).clone().requires_grad_()
    stress, _ = cell.rollout(path, torch.zeros(5))
    weight = torch.randn(stress.shape, generator=torch.Generator().manual_seed(1), dtype=DTYPE)
    (stress * weight).sum().backward()
    state = cell.initial_state((2,))
    for index in range(5):
        _, tangents, state = cell.stress_and_tangent(path[:, index], 0.0, state)
        expected = torch.einsum("kij,ki->kj", tangents, weight[:, index])
        assert torch.allclose(path.grad[:, index], expected, rtol=1e-5, atol=1e-5)


def test_tangent_agrees_with_central_differences_away_from_plastic_events():
    count, increments, h = 10, 10, 2e-6
    cell, path = cells(count, 1e-10), random_path(increments, 0.02, seed=3)
    state = cell.initial_state((count,))
    compared = 0
    for index in range(1, increments + 1):
        strain, before = path[index].expand(count, 6), state
        _, tangents, state = cell.stress_and_tangent(strain, 0.0, before)
        assert (tangents - tangents.mT).abs().max() <= 1e-8 * tangents.abs().max()
        returned = cell(path[index - 1].expand(count, 6), 0.0, state)[1]
        reversible = (returned.positions - before.positions).abs().amax((-1, -2)) < 1e-5
        steps = h * torch.eye(6, dtype=DTYPE)[:, None, :]
        many = before.map(lambda tensor: tensor.expand(6, *tensor.shape))
        forward, backward = (cell(strain + sign * steps, 0.0, many)[0] for sign in (1, -1))
        differences = ((forward - backward) / (2 * h)).permute(1, 2, 0)
        error = (differences - tangents).norm(dim=(-1, -2)) / tangents.norm(dim=(-1, -2))
        assert (error[reversible] <= 1e-5).all(), (index, error)
        compared += int(reversible.sum())
    assert compared >= 0.8 * count * increments


def test_broken_bond_names_cell_path_and_increment():
    strain = torch.zeros(2, 1, 3, 6, dtype=DTYPE)
    strain[1, 0, 2, 0] = 0.9
    with pytest.raises(CellFailure, match="MD cell 0, path 1, increment 2: .*bond"):
        cells(1).rollout(strain, torch.zeros(3))


def test_box_below_twice_the_cutoff_names_cell_path_and_increment():
    strain = torch.zeros(1, 2, 6, dtype=DTYPE)
    strain[0, 1, 1] = -0.4
    with pytest.raises(CellFailure, match="MD cell 0, path 0, increment 1: .*twice the cutoff"):
        cells(1).rollout(strain, torch.zeros(2))


def test_minimisation_that_does_not_converge_is_said():
    cell = cells(1, max_evaluations=5)
    with pytest.raises(CellFailure, match="increment 1: .*did not converge"):
        cell.rollout(for_cells(random_path(1, 0.05), 1), torch.zeros(2))


def test_masked_failure_is_marked_and_without_gradient():
    cell = cells(2, on_failure="mask")
    strain = torch.zeros(2, 3, 6, dtype=DTYPE)
    strain[:, 1:] = random_path(1, 0.01)[1]
    strain[1, 2, 0] = 0.9
    strain.requires_grad_()
    stress, state = cell.rollout(strain, torch.zeros(3))
    assert state.failed.tolist() == [False, True]
    assert stress[1, 2].isnan().all()
    assert stress[1, :2].isfinite().all()
    stress.nan_to_num().sum().backward()
    assert strain.grad.isfinite().all()
    assert strain.grad[1, 2].abs().max() == 0
    later, state = cell(strain.detach()[:, 1], 0.0, state)
    assert later[1].isnan().all()
    assert later[0].isfinite().all()


def test_wrong_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="of size 2"):
        cells(2).initial_state((3,))


def test_choice_of_cells_depends_on_the_seed_only():
    first, again, other = (polymer_cells("a", 80, 4, seed) for seed in (1, 1, 2))
    assert torch.equal(first.sample_box, again.sample_box)
    assert not torch.equal(first.sample_box, other.sample_box)


@pytest.mark.parametrize("backend", ["kernel", "torch"])
def test_crystals_have_gradients_too(backend: str) -> None:
    """There particles do not move beyond the strain, but for what round-off makes of it."""
    samples = crystal(FCC, 5.27, 4)
    cell = AQSCell(samples, argon_force_field(samples), force_tolerance=1e-9, backend=backend)
    strains = torch.zeros(1, 1, 2, 6, dtype=torch.float64)
    strains[..., 1, 5] = 0.002
    strains.requires_grad_()
    stresses, _ = cell.rollout(strains, torch.zeros(2))
    (gradient,) = torch.autograd.grad(stresses[0, 0, 1, 5], strains)
    _, tangent, _ = cell.stress_and_tangent(strains[:, :, 1], 0.0, cell.initial_state((1, 1)))
    assert cell.dropped_gradients == 0
    torch.testing.assert_close(gradient[0, 0, 1], tangent[0, 0, 5], rtol=1e-6, atol=1e-3)


def follow(cell: AQSCell, path: Tensor, state: State | None = None) -> tuple[Tensor, State, Tensor]:
    """Stress and end of a roll-out with a gradient, and the largest moves, both by sample and increment."""
    stress, end = cell.rollout(path, torch.zeros(path.shape[-2]), state)
    rollout = stress.grad_fn
    while not hasattr(rollout, "kept"):
        rollout = rollout.next_functions[0][0]
    begin = cell.initial_state(path.shape[:-2]) if state is None else state
    start = begin.positions.reshape(-1, *end.positions.shape[-2:])
    back = torch.linalg.inv(stretch_of(path.detach())).reshape(len(start), -1, 3, 3)
    volumes = torch.linalg.det(cell.sample_box).abs()
    return stress, end, largest_moves(start, rollout.kept @ back.mT, volumes).reshape(path.shape[:-1])


def gradient_with(choice: str, weights: Tensor, backend: str = "kernel") -> tuple[Tensor, Tensor]:
    """Gradient by the strain of stresses with these weights (3, T+1, 6), and the largest moves, for three samples."""
    path = for_cells(random_path(weights.shape[1] - 1, 0.1), 3).requires_grad_()
    stress, _, moves = follow(cells(3, at_events=choice, backend=backend), path)
    (gradient,) = torch.autograd.grad((weights * stress).sum(), path)
    return gradient, moves


def test_gradients_at_plastic_events_are_treated_as_chosen() -> None:
    weights = torch.randn(3, 21, 6, generator=torch.Generator().manual_seed(4), dtype=DTYPE)
    (kept, moves), (skipped, _), (damped, _), (averaged, _) = (gradient_with(choice, weights) for choice in CHOICES)
    event = moves > LEAST_MOVE
    assert 0.05 < event.double().mean() < 0.4
    for changed in (skipped, damped, averaged):
        torch.testing.assert_close(changed[~event], kept[~event], rtol=1e-6, atol=1e-6)
    assert not skipped[event].any()
    torch.testing.assert_close(damped[event], kept[event] * (LEAST_MOVE / moves[event])[:, None], rtol=1e-4, atol=1e-4)
    for sample in range(3):  # what all samples answer to the gradient of this one
        answers, _ = gradient_with("keep", weights[sample].expand(3, 21, 6))
        calm = (~event).double()
        mean = (answers * calm[..., None]).sum(0) / calm.sum(0).clamp(min=1.0)[:, None]
        torch.testing.assert_close(averaged[sample][event[sample]], mean[event[sample]], rtol=1e-4, atol=1e-4)


def test_backends_agree_on_gradients_from_other_samples() -> None:
    weights = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(4), dtype=DTYPE)
    by_kernel, moves = gradient_with("average", weights)
    by_torch, _ = gradient_with("average", weights, "torch")
    assert (moves > LEAST_MOVE).any(0).logical_and((moves <= LEAST_MOVE).any(0)).any(), "some have events, some not"
    torch.testing.assert_close(by_torch, by_kernel, rtol=1e-4, atol=1e-4)


def test_samples_without_a_gradient_lend_none() -> None:
    """Of four samples one does not work; the others answer as if it was not there."""
    path = for_cells(random_path(20, 0.1), 4).requires_grad_()
    cell = cells(4, at_events="average", on_failure="mask")
    state = cell.initial_state((4,))
    three = State(torch.tensor([False, False, False, True]), positions=state.positions)
    stress, _, _ = follow(cell, path, three)
    (gradient,) = torch.autograd.grad(stress[:3].sum(), path)
    alone = for_cells(random_path(20, 0.1), 3).requires_grad_()
    stress, _, moves = follow(cells(3, at_events="average"), alone)
    (expected,) = torch.autograd.grad(stress.sum(), alone)
    assert (moves > LEAST_MOVE).any()
    torch.testing.assert_close(gradient[:3], expected, rtol=1e-9, atol=1e-9)
    assert not gradient[3].any()


def test_events_are_seen_where_a_rollout_goes_on() -> None:
    cell, path = cells(3, at_events="skip"), for_cells(random_path(20, 0.1), 3)
    _, _, moves = follow(cell, path.clone().requires_grad_())
    with_event = int((moves > LEAST_MOVE).any(0).nonzero()[0])
    _, state = cell.rollout(path[:, :with_event], torch.zeros(with_event))
    later = path[:, with_event:].clone().requires_grad_()
    stress, _, of_later = follow(cell, later, state)
    torch.testing.assert_close(of_later, moves[:, with_event:], rtol=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(stress.sum(), later)
    assert not gradient[of_later > LEAST_MOVE].any()


def test_what_is_affine_is_no_move() -> None:
    samples = crystal(FCC, 5.27, 4)
    cell = AQSCell(samples, argon_force_field(samples), force_tolerance=1e-9)
    path = torch.zeros(1, 5, 6, dtype=DTYPE)
    path[0, :, 5] = torch.linspace(0.0, 0.02, 5, dtype=DTYPE)
    _, _, moves = follow(cell, path.requires_grad_())
    assert moves.max() < 1e-9


def test_an_unknown_treatment_of_events_is_refused() -> None:
    with pytest.raises(ValueError, match="keep, skip, damp, average, got 'ignore'"):
        cells(1, at_events="ignore")
