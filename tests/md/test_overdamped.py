"""Overdamped cells: their steps, gradients by all there is, limits of slow and fast strain, and failures."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.md.aqs import AQSCell
from prnn_md.md.crystals import FCC, FORCE_FIELDS, crystal
from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.failure import CellFailure
from prnn_md.md.force_field_file import read_force_field
from prnn_md.md.library import load_library
from prnn_md.md.overdamped import OverdampedCell
from prnn_md.md.polymer import polymer_force_field
from prnn_md.mechanics import stretch_of

DTYPE = torch.float64
DIRECTION = torch.tensor([1.0, -0.4, -0.3, 0.3, 0.4, 0.2], dtype=DTYPE)
DIRECTION /= DIRECTION.norm()
MEGAPASCAL = 6947.695  # of 1 kcal/mol/angstrom^3
BACKENDS = pytest.mark.parametrize("backend", ["kernel", "torch"])


def polymer(count: int = 1, bending_stiffness: float = 0.0, **options: Any) -> OverdampedCell:
    """Cells of 80 beads; steps of 2.5e-4 are stable at friction 1."""
    samples = load_library("polymer_80_a")[0][:count]
    options = {"friction": 1.0, "steps": 4, **options}
    return OverdampedCell(samples, polymer_force_field(samples, bending_stiffness), **options)


def disordered_argon(**options: Any) -> OverdampedCell:
    """32 atoms in kcal/mol and angstrom, moved a little from the places of a crystal."""
    samples = crystal(FCC, 5.4, 2)
    move = 0.1 * torch.randn(samples.positions.shape, generator=torch.Generator().manual_seed(0), dtype=DTYPE)
    field = read_force_field(
        FORCE_FIELDS / "argon.yaml", ["Ar"] * 32, samples.bonds, switch={"inner": 1.2, "outer": 1.5}
    )
    return OverdampedCell(samples.moved(samples.positions + move, samples.box), field, **options)


def path_to(amplitude: float, increments: int, count: int = 1) -> Tensor:
    """A straight path (count, T+1, 6)."""
    return (torch.linspace(0, amplitude, increments + 1, dtype=DTYPE)[:, None] * DIRECTION).expand(count, -1, -1)


def until(end: float, increments: int) -> Tensor:
    return torch.linspace(0, end, increments + 1, dtype=DTYPE)


def random_like(tensor: Tensor, seed: int = 5) -> Tensor:
    return torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed), dtype=DTYPE)


def deformed(cell: OverdampedCell, strain: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Any, Any]:
    """Positions, boxes, types and neighbours at strains (count, 6)."""
    stretch = stretch_of(strain)
    x, box = y @ stretch.mT, stretch @ cell.sample_box
    return x, box, cell.types, cell.force_field.neighbours(x, box)


def close(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Whether the largest difference is within the tolerance times the largest number."""
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())


# Steps


@BACKENDS
def test_an_increment_is_an_affine_strain_and_steps_along_the_forces(backend: str) -> None:
    """Against the same steps by forces and stress of the energy's definition; friction 2, ten steps in 0.004."""
    cell, strain = polymer(2, backend=backend, friction=2.0, steps=10), path_to(0.03, 1, 2)[:, 1]
    with torch.no_grad():
        stress, state = cell(strain, 0.004, cell.initial_state((2,)))
    y, back = cell.sample_positions, torch.linalg.inv(stretch_of(strain))
    for _ in range(10):
        force = forces(cell.force_field, *deformed(cell, strain, y))
        y = y + 0.004 / 10 / 2.0 * force @ back.mT
    assert close(state.positions, y, 1e-12)

    def stress_at(e: Tensor, positions: Tensor) -> Tensor:
        _, _, types, neighbours = deformed(cell, e, positions)
        return biot_stress(cell.force_field, e, positions, cell.sample_box, types, neighbours)

    rest = stress_at(torch.zeros(2, 6, dtype=DTYPE), cell.sample_positions)
    assert close(stress, stress_at(strain, y) - rest, 1e-9)


@BACKENDS
def test_in_no_time_the_strain_is_affine(backend: str) -> None:
    """In MPa, of a material in kcal/mol and angstrom."""
    cell, strain = disordered_argon(backend=backend), path_to(0.03, 1)[:, 1]
    with torch.no_grad():
        stress, state = cell(strain, 0.0, cell.initial_state((1,)))
    y, box = cell.sample_positions, cell.sample_box
    both = []
    for e in (strain, torch.zeros_like(strain)):
        _, _, types, neighbours = deformed(cell, e, y)
        both.append(biot_stress(cell.force_field, e, y, box, types, neighbours))
    assert close(state.positions, y, 1e-14)
    assert close(stress, MEGAPASCAL * (both[0] - both[1]), 1e-6)


def test_the_energy_goes_down_with_every_increment_at_held_strain() -> None:
    cell, state = polymer(4, steps=10), polymer(4).initial_state((4,))
    strain, energy = path_to(0.06, 1, 4)[:, 1], []
    for _ in range(30):
        energy.append(cell.force_field(*deformed(cell, strain, state.positions)))
        _, state = cell(strain, 0.002, state)
    assert (torch.stack(energy).diff(dim=0) < 0.0).all()


def test_only_time_over_friction_matters() -> None:
    path = path_to(0.03, 2, 2)
    fast, _ = polymer(2, friction=1.0).rollout(path, until(0.002, 2))
    slow, _ = polymer(2, friction=50.0).rollout(path, until(0.1, 2))
    assert close(slow, fast, 1e-11)


# Two engines, batches, steps


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (polymer, 0.001),
        (lambda **options: polymer(2, bending_stiffness=3.0, **options), 0.001),
        (lambda **options: disordered_argon(friction=0.01, steps=4, **options), 0.005),
    ],
    ids=["polymer", "stiff polymer", "argon"],
)
def test_kernels_and_torch_give_the_same_stresses_and_states(make: Callable[..., OverdampedCell], step: float) -> None:
    results = []
    for backend in ("kernel", "torch"):
        cell = make(backend=backend)
        assert cell.compiled == (backend == "kernel")
        with torch.no_grad():
            results.append(cell.rollout(path_to(0.03, 4, cell.count), until(4 * step, 4)))
    (stress, state), (expected, other) = results
    assert close(stress, expected, 1e-10)
    assert close(state.positions, other.positions, 1e-10)


@BACKENDS
def test_a_cell_of_a_batch_is_the_same_alone(backend: str) -> None:
    """Round-off only in torch, where neighbours are listed for all cells together."""
    samples = load_library("polymer_80_a")[0]
    force_field, times = polymer_force_field(samples), until(0.003, 3)
    options: dict[str, Any] = {"steps": 4, "backend": backend}
    together = OverdampedCell(samples[:3], force_field, **options)
    paths = torch.stack([path_to(amplitude, 3, 3) for amplitude in (0.03, -0.02)])
    with torch.no_grad():
        stress, state = together.rollout(paths, times)
        for path, sample in ((1, 0), (0, 2)):
            alone = OverdampedCell(samples[[sample]], force_field, **options)
            expected, end = alone.rollout(paths[path, sample][None], times)
            tolerance = 0.0 if backend == "kernel" else 1e-11
            assert close(stress[path, sample], expected[0], tolerance)
            assert close(state.positions[path, sample], end.positions[0], tolerance)


@BACKENDS
def test_a_rollout_is_a_loop_over_increments(backend: str) -> None:
    """With times of its own for each item."""
    cell, path = polymer(2, backend=backend), path_to(0.04, 4, 2)
    times = torch.stack([until(0.004, 4), torch.tensor([0.0, 0.0005, 0.0005, 0.001, 0.002], dtype=DTYPE)])
    with torch.no_grad():
        whole, end = cell.rollout(path, times)
        state = cell.initial_state((2,))
        for index in range(5):
            dt = times[:, index] - times[:, max(index - 1, 0)]
            stress, state = cell(path[:, index], dt, state)
            assert close(stress, whole[:, index], 1e-11) or not index
        assert close(state.positions, end.positions, 1e-13)
        _, middle = cell.rollout(path[:, :3], times[:, :3])
        second, _ = cell.rollout(path[:, 2:], times[:, 2:], middle)
        assert close(second[:, 1:], whole[:, 3:], 1e-11)


@BACKENDS
def test_chains_moved_by_box_vectors_change_nothing(backend: str) -> None:
    cell, path, times = polymer(2, backend=backend), path_to(0.03, 2, 2), until(0.002, 2)
    whole = torch.randint(-2, 3, (2, 4, 3), generator=torch.Generator().manual_seed(0)).double()
    moves = (whole @ cell.sample_box.mT).repeat_interleave(20, 1)
    start = cell.initial_state((2,))
    with torch.no_grad():
        expected, end = cell.rollout(path, times, start)
        stress, state = cell.rollout(path, times, State(start.failed, positions=start.positions + moves))
    assert close(stress, expected, 1e-10)
    assert close(state.positions - moves, end.positions, 1e-10)


@BACKENDS
def test_free_atoms_may_be_anywhere_among_their_images(backend: str) -> None:
    cell, path, times = disordered_argon(backend=backend, friction=0.01, steps=4), path_to(0.03, 2), until(0.01, 2)
    moves = torch.randint(-2, 3, (1, 32, 3), generator=torch.Generator().manual_seed(1)).double()
    moves = moves @ cell.sample_box.mT
    start = cell.initial_state((1,))
    with torch.no_grad():
        expected, end = cell.rollout(path, times, start)
        stress, state = cell.rollout(path, times, State(start.failed, positions=start.positions + moves))
    assert close(stress, expected, 1e-10)
    assert close(state.positions - moves, end.positions, 1e-10)


# Gradients: no event can hide in them, since differences with half the step agree (and with the gradient)


def loss_of(cell: OverdampedCell, path: Tensor, times: Tensor, positions: Tensor) -> Tensor:
    """A weighted sum of all stresses and of the last positions, for each item (*batch,)."""
    failed = torch.zeros(positions.shape[:-2], dtype=torch.bool)
    stress, end = cell.rollout(path, times, State(failed, positions=positions))
    weight, of_end = random_like(stress[(0,) * (stress.dim() - 2)]), random_like(end.positions[(0,) * failed.dim()])
    return (stress * weight).sum((-1, -2)) + (end.positions * of_end).sum((-1, -2))


def checked_difference(function: Callable[[float], Tensor], h: float) -> Tensor:
    """Central difference of a function at zero, whose step does not matter."""
    coarse, fine = ((function(s) - function(-s)) / (2.0 * s) for s in (2.0 * h, h))
    assert close(fine, coarse, 1e-6), "the step of the differences matters"
    return fine


@BACKENDS
def test_the_gradient_by_strains_agrees_with_differences(backend: str) -> None:
    """By each of them with kernels, along two directions with torch; the last increment takes no time."""
    cell, path = polymer(backend=backend), path_to(0.04, 3)
    times = torch.tensor([0.0, 0.001, 0.002, 0.002], dtype=DTYPE)
    start = cell.sample_positions
    strains = path.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(cell, strains, times, start).sum(), strains)
    each = torch.eye(24, dtype=DTYPE).reshape(24, 1, 4, 6)
    some = random_like(torch.empty(2, 1, 4, 6))
    directions = each if backend == "kernel" else some
    many = start.expand(len(directions), *start.shape)
    with torch.no_grad():
        expected = checked_difference(lambda s: loss_of(cell, path + s * directions, times, many).flatten(), 1e-6)
    assert close((gradient * directions).flatten(1).sum(1), expected, 1e-6)


@BACKENDS
def test_the_gradient_by_positions_agrees_with_differences(backend: str) -> None:
    cell, path, times = polymer(2, backend=backend), path_to(0.04, 3, 2), until(0.003, 3)
    start = cell.sample_positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(cell, path, times, start).sum(), start)
    direction = random_like(start, 2)
    with torch.no_grad():
        expected = checked_difference(lambda s: loss_of(cell, path, times, start + s * direction), 1e-6)
    assert close((gradient * direction).sum((-1, -2)), expected, 1e-6)


@BACKENDS
@pytest.mark.parametrize(
    ("name", "value", "step"),
    [("epsilon", 1.1, 1e-5), ("sigma", 1.01, 1e-6), ("bond_stiffness", 28.0, 1e-2), ("angle_stiffness", 2.0, 1e-3)],
)
def test_the_gradient_by_parameters_agrees_with_differences(backend: str, name: str, value: float, step: float) -> None:
    """Differences of cells that get other parameters later, as in training: the stress at rest changes with them.

    One of the increments takes no time.
    """
    bending = 3.0 if name == "angle_stiffness" else 0.0
    cell = polymer(bending_stiffness=bending, backend=backend, trainable=[name], parameters={name: value})
    path, times = path_to(0.04, 3), torch.tensor([0.0, 0.001, 0.001, 0.002], dtype=DTYPE)
    loss = loss_of(cell, path, times, cell.sample_positions)
    (gradient,) = torch.autograd.grad(loss.sum(), cell.force_field.value(name))

    def with_change(s: float) -> Tensor:
        cell.force_field.set_value(name, value + s)
        with torch.no_grad():
            return loss_of(cell, path, times, cell.sample_positions)

    expected = checked_difference(with_change, step)
    assert float(gradient.sum()) == pytest.approx(float(expected), rel=1e-6)


def test_kernels_and_torch_give_the_same_gradients() -> None:
    """By strains, positions and two parameters at once, of two cells on two paths."""
    found = []
    for backend in ("kernel", "torch"):
        cell = polymer(2, backend=backend, trainable=["epsilon", "bond_stiffness"])
        path = torch.stack([path_to(0.04, 2, 2), path_to(-0.03, 2, 2)]).requires_grad_()
        start = cell.sample_positions.expand(2, 2, 80, 3).clone().requires_grad_()
        loss = loss_of(cell, path, until(0.002, 2), start).sum()
        found.append(torch.autograd.grad(loss, [path, start, *cell.trained_parameters]))
    for kernel, expected in zip(*found, strict=True):
        assert close(kernel, expected, 1e-10)


def test_the_gradient_of_single_increments_is_that_of_the_rollout() -> None:
    cell, path, times = polymer(2, trainable=["epsilon"]), path_to(0.04, 3, 2), until(0.003, 3)
    strains, weight = path.clone().requires_grad_(), random_like(path)
    inputs = [strains, *cell.trained_parameters]
    expected = torch.autograd.grad((cell.rollout(strains, times)[0] * weight).sum(), inputs)
    state, total = cell.initial_state((2,)), torch.zeros((), dtype=DTYPE)
    for index in range(4):
        stress, state = cell(strains[:, index], 0.001 if index else 0.0, state)
        total = total + (stress * weight[:, index]).sum()
    for single, whole in zip(torch.autograd.grad(total, inputs), expected, strict=True):
        assert close(single, whole, 1e-10)


# Slow and fast


def test_slow_strain_gives_the_stress_of_quasi_static_cells() -> None:
    """On a path so short that quasi-static cells come back to where they were: no event lies on it."""
    samples, path = load_library("polymer_80_a")[0][:4], path_to(0.004, 2, 4)
    aqs = AQSCell(samples, polymer_force_field(samples), force_tolerance=1e-9)
    expected, end = aqs.rollout(path, torch.zeros(3))
    returned, _ = aqs.rollout(path.flip(1), torch.zeros(3), end)
    assert returned[:, -1].abs().max() < 1e-7 * expected.abs().max()
    errors = []
    for time in (0.05, 0.2, 1.5):
        stress, state = polymer(4, steps=round(2500 * time)).rollout(path, until(2 * time, 2))
        errors.append(float((stress - expected).norm() / expected.norm()))
    assert errors[0] > 3.0 * errors[1] > 9.0 * errors[2]
    assert errors[2] < 1e-6
    assert (state.positions - end.positions).abs().max() < 1e-6


def test_fast_strain_gives_more_stress_on_average() -> None:
    """Sixteen cells at three rates; the error of the mean is that of the differences between pairs of the same cell."""
    path, along = path_to(0.06, 6, 16), []
    for time in (0.005, 0.05, 0.5):
        stress, _ = polymer(16, steps=max(4, round(2500 * time))).rollout(path, until(6 * time, 6))
        along.append(stress[:, -1] @ DIRECTION)
    for fast, slow in itertools.pairwise(along):
        difference = fast - slow
        assert float(difference.mean()) > 4.0 * float(difference.std()) / 4.0


# Errors and failures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"friction": 0.0}, "friction must be positive"),
        ({"friction": -1.0}, "friction must be positive"),
        ({"steps": 0}, "steps at least 1"),
        ({"on_failure": "ignore"}, "on_failure is one of raise, mask"),
        ({"backend": "numpy"}, "backend is one of auto, kernel, torch"),
        ({"trainable": ["charge"]}, "no parameter 'charge'"),
        ({"parameters": {"epsilon": [1.0, 2.0]}}, "epsilon has 1 entries, got 2"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        polymer(**options)


def test_a_batch_that_does_not_end_in_the_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="of size 2"):
        polymer(2).rollout(path_to(0.01, 1, 3), until(0.001, 1))


@BACKENDS
def test_steps_that_are_too_long_name_cell_path_and_increment(backend: str) -> None:
    """The second cell on the second path has a long second increment."""
    cell, path = polymer(2, backend=backend), path_to(0.02, 3, 2).expand(2, 2, 4, 6)
    times = until(0.003, 3).repeat(2, 2, 1)
    times[1, 1, 2:] += 0.1
    with pytest.raises(CellFailure, match="MD cell 1, path 1, increment 2: .*unstable.*more steps") as caught:
        cell.rollout(path, times)
    assert (caught.value.cell, caught.value.path, caught.value.increment) == (1, 1, 2)


def four_paths() -> tuple[Tensor, Tensor]:
    """Paths (4, 2, 4, 6) and times: a good one, and three on which one cell fails, in ways of their own.

    The second cell takes too long steps to point 2; the first is torn there; the first is flattened at point 3.
    """
    paths = path_to(0.02, 3, 2).expand(4, 2, 4, 6).clone()
    times = until(0.003, 3).repeat(4, 2, 1)
    times[1, 1, 2:] += 0.1
    paths[2, 0, 2, 0] = 0.9
    paths[3, 0, 3, 1] = -0.5
    return paths, times


GOOD = [(0, 0), (0, 1), (1, 0), (2, 1), (3, 1)]
FAILING = [(1, 1, 2), (2, 0, 2), (3, 0, 3)]  # and at which point


@BACKENDS
def test_failures_are_masked_marked_and_counted(backend: str) -> None:
    cell, (paths, times) = polymer(2, backend=backend, on_failure="mask"), four_paths()
    with torch.no_grad():
        stress, state = cell.rollout(paths, times)
        expected, _ = polymer(2, backend=backend).rollout(path_to(0.02, 3, 2), until(0.003, 3))
        later, state = cell(paths[:, :, 1], 0.001, state)
    assert state.failed.tolist() == [[False, False], [False, True], [True, False], [True, False]]
    assert cell.failures == 3
    for path, sample, first in FAILING:
        assert stress[path, sample, :first].isfinite().all()
        assert stress[path, sample, first:].isnan().all()
    for path, sample in GOOD:
        assert close(stress[path, sample], expected[sample], 1e-11), "failures of others change nothing"
    assert later.isnan().all(-1).tolist() == state.failed.tolist()


@BACKENDS
def test_masked_failures_leave_finite_gradients(backend: str) -> None:
    """And those of the good paths, and of the parameters, are as if there were no others."""
    paths, times = four_paths()
    options: dict[str, Any] = {"backend": backend, "trainable": ["epsilon", "bond_stiffness"]}
    paths.requires_grad_()
    cell = polymer(2, on_failure="mask", **options)
    stress, _ = cell.rollout(paths, times)
    bad = [stress[path, sample, first:].nan_to_num().sum() for path, sample, first in FAILING]
    total = sum((stress[path, sample].sum() for path, sample in GOOD), torch.stack(bad).sum())
    by_paths, *found = torch.autograd.grad(total, [paths, *cell.trained_parameters])
    assert all(by_paths[path, sample].abs().max() == 0.0 for path, sample, _ in FAILING)
    by_path = torch.stack([torch.stack([by_paths[p, k] for p, k in GOOD if k == sample]).sum(0) for sample in range(2)])

    good, whole = path_to(0.02, 3, 2).clone().requires_grad_(), polymer(2, trainable=options["trainable"])
    alone, _ = whole.rollout(good, until(0.003, 3))
    total = torch.stack([alone[sample] for _, sample in GOOD]).sum()
    expected = torch.autograd.grad(total, [good, *whole.trained_parameters])
    for gradient, other in zip((by_path, *found), expected, strict=True):
        assert close(gradient, other, 1e-9)
