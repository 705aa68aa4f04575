"""Langevin cells: energy and its order, equipartition, stress, replay, gradients and their limits, and failures."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.md.crystals import FCC, FORCE_FIELDS, crystal
from prnn_md.md.energy import biot_stress
from prnn_md.md.failure import CellFailure
from prnn_md.md.force_field_file import read_force_field
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.mechanics import stretch_of, to_mandel

DTYPE = torch.float64
DIRECTION = torch.tensor([1.0, -0.4, -0.3, 0.3, 0.4, 0.2], dtype=DTYPE)
BOLTZMANN = 0.001987191  # kcal/mol/K
EVERYTHING: dict[str, Any] = {"horizon": 1_000_000, "clip": math.inf}
COLD: dict[str, Any] = {"temperature": 0.02, "friction": 20.0}
BACKENDS = pytest.mark.parametrize("backend", ["kernel", "torch"])


def polymer(count: int = 1, bending_stiffness: float = 0.0, **options: Any) -> LangevinCell:
    """Cells of 80 beads, not equilibrated unless asked for."""
    samples = load_library("polymer_80_a")[0][:count]
    force_field = polymer_force_field(samples, bending_stiffness)
    return LangevinCell(samples, force_field, **{"equilibration": 0.0, **options})


def light_and_heavy_argon(count: int, **options: Any) -> LangevinCell:
    """Cells of 32 atoms in kcal/mol and angstrom, every other one four times as heavy."""
    samples = crystal(FCC, 5.4, 2)
    force_field = read_force_field(
        FORCE_FIELDS / "argon.yaml", ["Ar"] * 32, samples.bonds, switch={"inner": 1.2, "outer": 1.5}
    )
    force_field.masses[::2] *= 4.0
    return LangevinCell(samples[[0] * count], force_field, **options)


def free_beads(**options: Any) -> LangevinCell:
    """One crystal of 32 beads without bonds."""
    samples = crystal(FCC, 2 ** (1 / 6) * math.sqrt(2), 2)
    return LangevinCell(samples, polymer_force_field(samples), **{"equilibration": 0.0, **options})


def path_to(amplitude: float, increments: int, count: int = 1) -> Tensor:
    """A straight path (count, T+1, 6)."""
    part = torch.linspace(0, amplitude, increments + 1, dtype=DTYPE)[:, None]
    return (part * DIRECTION / DIRECTION.norm()).expand(count, -1, -1)


def until(end: float, increments: int) -> Tensor:
    return torch.linspace(0, end, increments + 1, dtype=DTYPE)


def place(cell: LangevinCell, state: State) -> tuple[Tensor, Tensor, Any, Any]:
    """Positions, boxes, types and neighbours of deformed cells (count,)."""
    stretch = stretch_of(state.strain)
    x, box = state.positions @ stretch.mT, stretch @ cell.sample_box
    return x, box, cell.types, cell.force_field.neighbours(x, box)


def kinetic_energy(cell: LangevinCell, state: State) -> Tensor:
    return 0.5 * (cell.force_field.masses[:, None] * state.velocities.square()).sum((-1, -2))


def total_energy(cell: LangevinCell, state: State) -> Tensor:
    """Energies (count,) by the definition of the potential energy in torch."""
    return cell.force_field(*place(cell, state)) + kinetic_energy(cell, state)


def strained_and_warm(count: int, amplitude: float) -> State:
    """Polymer cells that were strained in contact with a bath."""
    cell = polymer(count, timestep=0.002)
    return cell(path_to(amplitude, 1, count)[:, 1], 2.0, cell.initial_state((count,)))[1]


def energies(cell: LangevinCell, state: State, time: float, points: int) -> tuple[Tensor, Tensor]:
    """Total and kinetic energies (points + 1, count) at equal times, while the strain is held."""
    total, kinetic = [total_energy(cell, state)], [kinetic_energy(cell, state)]
    for _ in range(points):
        _, state = cell(state.strain, time / points, state)
        total.append(total_energy(cell, state))
        kinetic.append(kinetic_energy(cell, state))
    return torch.stack(total), torch.stack(kinetic)


def with_gradients(state: State) -> State:
    """The state with gradients for positions, velocities and strain."""
    tree = state.detach().clone().tree()
    for name in ("positions", "velocities", "strain"):
        tree[name].requires_grad_()
    return State.from_tree(tree)


def weights_like(stress: Tensor) -> Tensor:
    return torch.randn(stress.shape, generator=torch.Generator().manual_seed(5), dtype=DTYPE)


def gradients(
    cell: LangevinCell, path: Tensor, times: Tensor, weight: Tensor, state: State | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of weighted stresses along a path by its strains, and by the first positions and velocities."""
    state = with_gradients(cell.initial_state((cell.count,)) if state is None else state)
    path = path.clone().requires_grad_()
    stress, _ = cell.rollout(path, times, state)
    inputs = [path, state.positions, state.velocities]
    found = torch.autograd.grad((stress * weight).sum(), inputs, materialize_grads=True)
    return found[0], found[1], found[2]


def close(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Whether the largest difference is within the tolerance times the largest number."""
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())


# Energy


def test_without_friction_the_energy_stays_within_1e_7_over_800_steps() -> None:
    """The strain is held; kinetic and potential energy exchange ten thousand times what the sum changes by."""
    cell = polymer(4, friction=0.0, timestep=1e-4)
    total, kinetic = energies(cell, strained_and_warm(4, 0.02), 0.08, 25)
    assert ((total - total[0]).abs().amax(0) <= 1e-7 * total[0].abs()).all()
    assert (kinetic.amax(0) - kinetic.amin(0) >= 1e4 * (total - total[0]).abs().amax(0)).all()


def test_without_friction_the_energy_does_not_drift_in_a_long_run() -> None:
    """5000 ordinary steps: their last fifth has the mean energy of the first, but for what the energy fluctuates by."""
    cell = polymer(2, friction=0.0, timestep=0.002)
    total, _ = energies(cell, strained_and_warm(2, 0.02), 10.0, 100)
    drift = (total[-20:].mean(0) - total[:20].mean(0)).abs() / total[0]
    assert (drift < 3e-6).all()


def test_half_the_time_step_makes_a_quarter_of_the_energy_error() -> None:
    state, error = strained_and_warm(4, 0.02), []
    for timestep in (0.002, 0.001, 0.0005):
        total, _ = energies(polymer(4, friction=0.0, timestep=timestep), state, 0.2, 25)
        error.append((total - total[0]).square().mean().sqrt())
    for coarse, fine in itertools.pairwise(error):
        assert float(coarse / fine) == pytest.approx(4.0, rel=0.05)


# Temperature


def test_every_particle_and_direction_has_half_k_t_of_kinetic_energy() -> None:
    """In K and kcal/mol, with two masses. Cells are independent, which gives the standard errors.

    Time steps of 4 fs shift the kinetic energy by (omega dt)^2 / 4, less than 1e-3 here.
    """
    count, points, temperature = 16, 40, 60.0
    cell = light_and_heavy_argon(count, temperature=temperature, timestep=4.0, friction=0.01, equilibration=1000.0)
    state, zero, seen = cell.initial_state((count,)), torch.zeros(count, 6, dtype=DTYPE), []
    for _ in range(points):
        _, state = cell(zero, 240.0, state)  # 2.4 times the time in which friction alone forgets a velocity
        seen.append(state.velocities.square())
    share = torch.stack(seen).mean(0) * cell.force_field.masses[:, None] / (BOLTZMANN * temperature)  # (count, N, 3)
    of_groups = torch.stack([share[:, ::2].mean(1), share[:, 1::2].mean(1)], 1)  # (count, 2, 3)
    error = of_groups.std(0) / math.sqrt(count)
    assert (error < 0.025).all()
    assert ((of_groups.mean(0) - 1.0).abs() < 4.0 * error).all()
    total = of_groups.mean((1, 2))
    assert abs(float(total.mean()) - 1.0) < 3.0 * float(total.std()) / math.sqrt(count)
    expected_error = math.sqrt(2.0 / (count * points))  # of the mean square of normal numbers
    deviations = (share.mean(0) - 1.0) / expected_error  # of 32 particles in 3 directions
    assert deviations.abs().max() < 4.5
    assert 0.8 < float(deviations.std()) < 1.2


def test_the_first_velocities_are_those_of_the_temperature() -> None:
    cell = polymer(16, temperature=0.7)
    share = cell.initial_state((16,)).velocities.square() / 0.7
    assert float(share.mean()) == pytest.approx(1.0, abs=4.0 * math.sqrt(2.0 / share.numel()))


# Two engines, batches, replay


@pytest.mark.parametrize(
    ("make", "timestep"),
    [
        (polymer, 0.004),
        (lambda **options: polymer(bending_stiffness=3.0, **options), 0.004),
        (lambda **options: light_and_heavy_argon(2, **{"equilibration": 0.0, **options}), 2.0),
    ],
    ids=["polymer", "stiff polymer", "argon"],
)
def test_kernels_and_torch_give_the_same_stresses_and_states(
    make: Callable[..., LangevinCell], timestep: float
) -> None:
    """Seven steps an increment: the window of half of them ends in a rounding."""
    results = []
    for backend in ("kernel", "torch"):
        cell = make(backend=backend, timestep=timestep, seed=3)
        assert cell.compiled == (backend == "kernel")
        with torch.no_grad():
            results.append(cell.rollout(path_to(0.02, 3, cell.count), until(21 * timestep, 3)))
    (stress, state), (expected, other) = results
    assert close(stress, expected, 1e-10)
    assert close(state.positions, other.positions, 1e-10)
    assert close(state.velocities, other.velocities, 1e-10)
    assert torch.equal(state.random, other.random)


@BACKENDS
def test_a_cell_of_a_batch_is_the_same_alone(backend: str) -> None:
    """Round-off only in torch, where neighbours are listed for all cells together."""
    paths = torch.stack([path_to(amplitude, 2, 3) for amplitude in (0.02, -0.01)])
    together, alone = (polymer(count, backend=backend, seed=2) for count in (3, 1))
    times = until(0.04, 2)
    with torch.no_grad():
        stress, state = together.rollout(paths, times)
        for path, sample in ((1, 0), (0, 2)):
            start = together.initial_state((3,))[sample : sample + 1]
            alone.sample_box, box = together.sample_box[sample : sample + 1], alone.sample_box
            expected, end = alone.rollout(paths[path, sample][None], times, start)
            alone.sample_box = box
            tolerance = 0.0 if backend == "kernel" else 1e-11
            assert close(stress[path, sample], expected[0], tolerance)
            assert close(state.positions[path, sample], end.positions[0], tolerance)
            assert close(state.velocities[path, sample], end.velocities[0], tolerance)
            assert torch.equal(state.random[path, sample], end.random[0])


def test_paths_of_one_batch_may_have_times_of_their_own() -> None:
    cell, path = polymer(2), path_to(0.02, 3, 2)
    times = torch.stack([until(0.3, 3), torch.tensor([0.0, 0.11, 0.3, 0.32], dtype=DTYPE)])
    together, _ = cell.rollout(torch.stack([path, path]), times[:, None].expand(2, 2, 4))
    for k in range(2):
        assert torch.equal(together[k], cell.rollout(path, times[k])[0])
    with pytest.raises(ValueError, match="same times"):
        polymer(2, backend="torch").rollout(torch.stack([path, path]), times[:, None].expand(2, 2, 4))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    path, times = path_to(0.02, 2, 3), until(0.2, 2)
    assert torch.equal(polymer(3, threads=threads).rollout(path, times)[0], polymer(3).rollout(path, times)[0])


@BACKENDS
def test_two_halves_and_single_increments_are_one_rollout(backend: str) -> None:
    cell, path, times = polymer(2, backend=backend), path_to(0.03, 4, 2), until(0.04, 4)
    with torch.no_grad():
        whole, end = cell.rollout(path, times)
        first, middle = cell.rollout(path[:, :3], times[:3])
        second, last = cell.rollout(path[:, 2:], times[2:], middle)
        assert close(torch.cat([first, second[:, 1:]], 1), whole, 1e-12)
        assert torch.equal(second[:, 0], first[:, -1]), "where no time passes, the stress is the last one"
        assert close(last.positions, end.positions, 1e-12)
        assert torch.equal(last.random, end.random)
        state = cell.initial_state((2,))
        for index in range(5):
            stress, state = cell(path[:, index], 0.01 if index else 0.0, state)
            assert close(stress, whole[:, index], 1e-11) or not index
        assert close(state.velocities, end.velocities, 1e-11)


@BACKENDS
def test_a_state_replays_the_same_numbers(backend: str, tmp_path: Path) -> None:
    cell, path, times = polymer(2, backend=backend), path_to(0.02, 2, 2), until(0.02, 2)
    with torch.no_grad():
        _, state = cell(path[:, 0], 0.02, cell.initial_state((2,)))
        copy = state.clone()
        state.save(tmp_path / "state.pt")
        first, end = cell.rollout(path, times, state)
        for again in (state, copy, State.load(tmp_path / "state.pt")):
            stress, other = cell.rollout(path, times, again)
            assert torch.equal(stress, first)
            assert torch.equal(other.velocities, end.velocities)
        moved_on, _ = cell.rollout(path, times, State.from_tree({**copy.tree(), "random": end.random}))
        assert not torch.allclose(moved_on[:, -1], first[:, -1]), "later steps have other noise"


def test_noise_depends_on_the_seed_and_on_the_sample() -> None:
    path, times = path_to(0.0, 1, 1), until(0.2, 1)
    first, again, other = (polymer(seed=seed).rollout(path, times)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first[:, 1], other[:, 1])
    samples = load_library("polymer_80_a")[0][[0, 0]]
    twins = LangevinCell(samples, polymer_force_field(samples), equilibration=0.0)
    stress, _ = twins.rollout(path.expand(2, -1, -1), times)
    assert not torch.allclose(stress[0, 1], stress[1, 1])


# Stress


def test_the_stress_of_one_step_is_virial_and_kinetic_part() -> None:
    """Against the energy's derivative by the strain, and m v (x) v turned into a Biot stress."""
    cell, path = polymer(3), path_to(0.05, 1, 3)[:, 1]
    state = cell(path, 0.5, cell.initial_state((3,)))[1]
    stress, state = cell(path, cell.timestep, state)
    x, box, types, neighbours = place(cell, state)
    static = biot_stress(cell.force_field, path, state.positions, cell.sample_box, types, neighbours)
    back = torch.linalg.inv(stretch_of(path))
    kinetic = torch.einsum("n,kna,knb->kab", cell.force_field.masses, state.velocities, state.velocities)
    both = 0.5 * (kinetic @ back + back @ kinetic) / torch.linalg.det(cell.sample_box)[:, None, None]
    assert box.shape == (3, 3, 3) and x.shape == (3, 80, 3)
    assert close(stress, static - to_mandel(both), 1e-10)


@BACKENDS
@pytest.mark.parametrize(("window", "measured"), [(1e-9, 1), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_the_stress_is_the_mean_over_the_last_part_of_the_steps(backend: str, window: float, measured: int) -> None:
    """Eight steps at once, and one by one on the same straight way with the mean taken by hand."""
    cell, single = (polymer(backend=backend, timestep=0.004, window=part) for part in (window, 1.0))
    with torch.no_grad():
        first, second = path_to(0.03, 2)[:, 1], path_to(0.03, 2)[:, 2]
        _, state = single(first, 0.02, single.initial_state((1,)))
        stress, end = cell(second, 8 * 0.004, state)
        steps = []
        for k in range(1, 9):
            one, state = single(first + k / 8 * (second - first), 0.004, state)
            steps.append(one)
    assert close(end.velocities, state.velocities, 1e-11)
    assert close(stress, torch.stack(steps[-measured:]).mean(0), 1e-10)


def test_the_mean_stress_of_the_second_half_of_the_equilibration_is_subtracted() -> None:
    cell, raw = polymer(2, equilibration=0.4), polymer(2, window=1.0)
    stress, state = raw.rollout(torch.zeros(2, 3, 6, dtype=DTYPE), until(0.4, 2))
    assert close(cell.residual_stress, stress[:, 2], 1e-12)
    start = cell.initial_state((2,))
    assert torch.equal(start.positions, state.positions)
    assert torch.equal(start.random, state.random)
    zero = torch.zeros(2, 6, dtype=DTYPE)
    measured, _ = cell(zero, 0.2, start)
    plain, _ = polymer(2)(zero, 0.2, state)
    assert close(measured, plain - cell.residual_stress, 1e-12)
    assert cell(zero, 0.0, start)[0].abs().max() == 0.0


def test_increments_are_divided_into_steps_no_longer_than_the_time_step() -> None:
    """The random state counts steps: 0.1 takes 20 of 0.005, and 0.101 takes 21."""
    cell = polymer()
    for time, steps in ((0.1, 20), (0.101, 21), (0.001, 1), (0.0, 0)):
        start = cell.initial_state((1,))
        state = cell(torch.zeros(1, 6, dtype=DTYPE), time, start)[1]
        assert (state.random - start.random).tolist() == [[0, steps]]


# Gradients


def test_gradients_agree_with_differences_in_cold_overdamped_dynamics() -> None:
    """By strains, positions and velocities, over 240 steps, with nothing cut or clipped.

    Chaos is excluded by another measurement: a small push of all beads does not grow along the way.
    """
    cell, path, times = polymer(**COLD, **EVERYTHING), path_to(0.02, 3), until(1.2, 3)
    start = cell(path[:, 0], 2.0, cell.initial_state((1,)))[1]
    generator = torch.Generator().manual_seed(1)
    push = torch.randn(start.positions.shape, generator=generator, dtype=DTYPE)
    pushed = State.from_tree({**start.tree(), "positions": start.positions + 1e-6 * push})
    apart = cell.rollout(path, times, pushed)[1].positions - cell.rollout(path, times, start)[1].positions
    assert (apart.norm(dim=(-1, -2)) < 1e-6 * push.norm(dim=(-1, -2))).all()

    stress, _ = cell.rollout(path, times, start)
    weight = weights_like(stress)
    by_strain, by_position, by_velocity = gradients(cell, path, times, weight, start)

    def differences(h: float) -> Tensor:
        """By the 18 strains that follow the first, (1, 18)."""
        steps = h * torch.eye(18, dtype=DTYPE).reshape(18, 1, 3, 6)
        steps = torch.cat([torch.zeros(18, 1, 1, 6, dtype=DTYPE), steps], 2)
        many = start.map(lambda tensor: tensor.expand(18, *tensor.shape))
        up, down = (cell.rollout(path + sign * steps, times, many)[0] for sign in (1.0, -1.0))
        return ((up - down) * weight).sum((-1, -2)).mT / (2.0 * h)

    assert close(differences(2e-6), differences(1e-6), 1e-6), "the step of the differences matters"
    assert close(by_strain[:, 1:].flatten(1), differences(1e-6), 1e-6)

    for name, gradient in (("positions", by_position), ("velocities", by_velocity)):
        h = 1e-6 * push
        up, down = (
            cell.rollout(path, times, State.from_tree({**start.tree(), name: start.tree()[name] + sign * h}))[0]
            for sign in (1.0, -1.0)
        )
        difference = ((up - down) * weight).sum((-1, -2)) / 2e-6
        assert close((gradient * push).sum((-1, -2)), difference, 1e-5), name


def test_gradients_agree_with_differences_in_a_warm_crystal() -> None:
    """Little friction: beads swing, and none leaves its place.

    Chaos is excluded by differences with half the step, which agree.
    """
    cell, times = free_beads(temperature=0.05, friction=0.1, **EVERYTHING), until(0.6, 3)
    path, start = path_to(0.01, 3), cell.initial_state((1,))
    weight = weights_like(cell.rollout(path, times, start)[0])
    by_strain, _, _ = gradients(cell, path, times, weight, start)
    direction = weights_like(path)
    direction[:, 0] = 0.0

    def difference(h: float) -> float:
        up, down = (cell.rollout(path + sign * h * direction, times, start)[0] for sign in (1.0, -1.0))
        return float(((up - down) * weight).sum() / (2.0 * h))

    assert difference(1e-5) == pytest.approx(difference(5e-6), rel=1e-5), "the step of the differences matters"
    assert float((by_strain * direction).sum()) == pytest.approx(difference(5e-6), rel=1e-5)


def test_the_gradient_by_the_first_strain_takes_the_cell_there() -> None:
    """A path and a state that begin at another strain: the difference moves both."""
    cell, times = polymer(**COLD, **EVERYTHING), until(0.2, 2)
    path, start = path_to(0.02, 2), cell.initial_state((1,))
    weight = weights_like(cell.rollout(path, times, start)[0])
    by_strain, _, _ = gradients(cell, path, times, weight, start)
    values = []
    for sign in (1.0, -1.0):
        moved = path.clone()
        moved[:, 0] += sign * 1e-6 * DIRECTION
        state = State.from_tree({**start.tree(), "strain": moved[:, 0]})
        values.append((cell.rollout(moved, times, state)[0] * weight).sum())
    expected = float((values[0] - values[1]) / 2e-6)
    assert float((by_strain[:, 0] * DIRECTION).sum()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("horizon", [1_000_000, 9, 5])
def test_kernels_and_torch_give_the_same_gradients(horizon: int) -> None:
    """The path has 12 steps; the horizon ends within increments."""
    found = []
    for backend in ("kernel", "torch"):
        cell = polymer(2, backend=backend, clip=math.inf, horizon=horizon)
        path, times = path_to(0.02, 3, 2), until(0.06, 3)
        found.append(gradients(cell, path, times, weights_like(path)))
    for kernel, expected in zip(*found, strict=True):
        assert close(kernel, expected, 1e-10)


@BACKENDS
def test_the_gradient_of_single_increments_is_that_of_the_rollout(backend: str) -> None:
    cell, path, times = polymer(backend=backend, **EVERYTHING), path_to(0.02, 3), until(0.06, 3)
    weight = weights_like(path)
    expected, _, _ = gradients(cell, path, times, weight)
    strains, state, total = path.clone().requires_grad_(), cell.initial_state((1,)), torch.zeros((), dtype=DTYPE)
    for index in range(4):
        stress, state = cell(strains[:, index], 0.02 if index else 0.0, state)
        total = total + (stress * weight[:, index]).sum()
    (by_strain,) = torch.autograd.grad(total, strains)
    assert close(by_strain, expected, 1e-10)


@pytest.mark.parametrize(("name", "value", "step"), [("epsilon", 1.1, 1e-5), ("bond_stiffness", 28.0, 1e-2)])
def test_the_gradient_by_parameters_agrees_with_differences(name: str, value: float, step: float) -> None:
    """In torch, against kernels with other parameters; differences with half the step agree."""
    cell = polymer(backend="torch", trainable=[name], parameters={name: value}, **COLD, **EVERYTHING)
    path, times = path_to(0.02, 2), until(0.04, 2)
    weight = weights_like(path)
    stress, _ = cell.rollout(path, times)
    (gradient,) = torch.autograd.grad((stress * weight).sum(), cell.trained_parameters)

    def difference(h: float) -> float:
        up, down = (polymer(parameters={name: value + sign * h}, **COLD).rollout(path, times)[0] for sign in (1, -1))
        return float(((up - down) * weight).sum() / (2.0 * h))

    assert difference(2.0 * step) == pytest.approx(difference(step), rel=1e-6), "the step of the differences matters"
    assert float(gradient.sum()) == pytest.approx(difference(step), rel=1e-6)


# Limits of the gradient


@BACKENDS
def test_the_gradient_goes_back_through_horizon_steps_only(backend: str) -> None:
    """Three increments of four steps; the loss is the last stress."""
    path, times = path_to(0.02, 3), until(0.06, 3)
    weight = torch.zeros_like(path)
    weight[:, -1] = 1.0
    whole, short, exact = (
        gradients(polymer(backend=backend, clip=math.inf, horizon=h), path, times, weight) for h in (1000, 4, 8)
    )
    cell = polymer(backend=backend, **EVERYTHING)
    middle = cell.rollout(path[:, :3], times[:3])[1].detach()
    alone, _, _ = gradients(cell, path[:, 2:], times[2:], weight[:, 2:], middle)
    assert close(short[0][:, 3], alone[:, 1], 1e-11), "the last increment, from a state that is given"
    assert short[0][:, :2].abs().max() == 0.0
    assert exact[0][:, 0].abs().max() == 0.0
    assert exact[0][:, 1].abs().max() > 0.0
    for cut in (short, exact):
        assert cut[1].abs().max() == 0.0 and cut[2].abs().max() == 0.0
    assert whole[1].abs().max() > 0.0 and whole[2].abs().max() > 0.0


def test_a_horizon_as_long_as_the_path_keeps_the_gradient_by_the_first_state_with_kernels() -> None:
    path, times = path_to(0.02, 2), until(0.04, 2)
    weight = weights_like(path)
    exact, whole = (gradients(polymer(clip=math.inf, horizon=h), path, times, weight) for h in (8, 1000))
    for found, expected in zip(exact, whole, strict=True):
        assert torch.equal(found, expected)


def test_a_horizon_as_long_as_the_path_keeps_the_gradient_by_the_first_state_with_torch() -> None:
    path, times = path_to(0.02, 2), until(0.04, 2)
    weight = weights_like(path)
    exact, whole = (
        gradients(polymer(backend="torch", clip=math.inf, horizon=h), path, times, weight) for h in (8, 1000)
    )
    for found, expected in zip(exact, whole, strict=True):
        assert close(found, expected, 1e-10)


def test_the_gradient_is_clipped_at_each_step() -> None:
    """With the smallest of clips, the loss in the last of 20 steps: as long as it is clipped, its size does not matter.

    What remains at the beginning is then a direction times the clip: it doubles with the clip, and not with the loss.
    """
    path, times = path_to(0.02, 1), until(0.1, 1)
    weight = torch.zeros_like(path)
    weight[:, 1] = 1.0

    def at_the_beginning(clip: float, scale: float) -> Tensor:
        cell = polymer(window=1e-9, horizon=1000, clip=clip)
        return gradients(cell, path, times, scale * weight)[1]

    small = at_the_beginning(1e-6, 1.0)
    assert close(at_the_beginning(1e-6, 3.0), small, 1e-6)
    assert close(at_the_beginning(2e-6, 1.0), 2.0 * small, 1e-6)


@BACKENDS
def test_clipping_bounds_the_gradient_however_large_the_loss(backend: str) -> None:
    """What passes the clip is at most multiplied by the one step before it, where bonds are of stiffness 1e3."""
    path, times = path_to(0.01, 1), until(0.06, 1)
    weight = torch.zeros_like(path)
    weight[:, 1] = 1e6

    def at_the_beginning(clip: float) -> Tensor:
        cell = polymer(backend=backend, temperature=1.5, window=1e-9, horizon=1000, clip=clip)
        return gradients(cell, path, times, weight)[1]

    free = at_the_beginning(math.inf)
    assert free.norm() > 1e6
    assert torch.equal(at_the_beginning(1e12), free), "a clip that nothing reaches changes nothing"
    assert 0.1 < at_the_beginning(1.0).norm() < 20.0


def test_kernels_and_torch_clip_alike() -> None:
    path, times = path_to(0.02, 2), until(0.08, 2)
    weight = weights_like(path)
    kernel, expected = (
        gradients(polymer(backend=backend, horizon=1000, clip=10.0), path, times, weight)
        for backend in ("kernel", "torch")
    )
    for found, other in zip(kernel, expected, strict=True):
        assert close(found, other, 1e-8)


# Errors and failures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"timestep": 0.0}, "timestep=0.0"),
        ({"friction": -1.0}, "friction=-1.0"),
        ({"window": 0.0}, "window=0.0"),
        ({"window": 1.1}, "window=1.1"),
        ({"equilibration": -1.0}, "equilibration=-1.0"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"horizon": 0}, "horizon=0"),
        ({"timestep": math.nan}, "timestep=nan"),
        ({"on_failure": "ignore"}, "on_failure is one of raise, mask"),
        ({"backend": "numpy"}, "backend is one of auto, kernel, torch"),
        ({"trainable": ["epsilon"], "backend": "kernel"}, "use backend=torch"),
        ({"parameters": {"charge": 1.0}}, "no parameter 'charge'"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        polymer(**options)


def test_strain_that_jumps_and_times_that_go_back_are_refused() -> None:
    cell, path = polymer(), path_to(0.02, 2)
    with pytest.raises(ValueError, match="changes in no time"):
        cell.rollout(path, torch.zeros(3))
    with pytest.raises(ValueError, match="changes in no time"):
        cell(path[:, 1], 0.0, cell.initial_state((1,)))
    with pytest.raises(ValueError, match="go back"):
        cell.rollout(path, torch.tensor([0.0, 0.1, 0.05]))
    with pytest.raises(ValueError, match="of size 1"):
        cell.initial_state((2,))


@BACKENDS
def test_unstable_time_steps_are_an_error(backend: str) -> None:
    """One short step is fine, many long ones are not."""
    cell = free_beads(backend=backend, timestep=0.5, temperature=1.0)
    with pytest.raises(CellFailure, match="MD cell 0, path 0, increment 2: .*unstable.*smaller time steps"):
        cell.rollout(torch.zeros(1, 3, 6, dtype=DTYPE), torch.tensor([0.0, 0.001, 20.0]))


@pytest.mark.parametrize(
    "backend",
    [
        "kernel",
        "torch",
    ],
)
def test_particles_that_have_flown_off_are_an_error_before_numbers_are_infinite(backend: str) -> None:
    """Ten long steps, after which the stress is beyond 1e20."""
    with pytest.raises(CellFailure, match="unstable"):
        free_beads(backend=backend, timestep=0.5, temperature=1.0).rollout(
            torch.zeros(1, 2, 6, dtype=DTYPE), until(5.0, 1)
        )


def test_unstable_time_steps_name_cell_path_and_increment() -> None:
    cell = free_beads(timestep=0.5, temperature=1.0)
    times = torch.tensor([[[0.0, 0.001, 0.002]], [[0.0, 0.001, 20.0]]])
    with pytest.raises(CellFailure) as caught:
        cell.rollout(torch.zeros(2, 1, 3, 6, dtype=DTYPE), times)
    assert (caught.value.cell, caught.value.path, caught.value.increment) == (0, 1, 2)


@BACKENDS
def test_unstable_time_steps_are_masked(backend: str) -> None:
    cell = free_beads(backend=backend, timestep=0.5, temperature=1.0, on_failure="mask")
    with torch.no_grad():
        stress, state = cell.rollout(torch.zeros(1, 3, 6, dtype=DTYPE), torch.tensor([0.0, 0.001, 20.0]))
    assert stress[0, 1].isfinite().all() and stress[0, 2].isnan().all()
    assert state.failed.tolist() == [True] and cell.failures == 1


@BACKENDS
def test_unstable_time_steps_of_bonded_beads_say_so(backend: str) -> None:
    with pytest.raises(CellFailure, match="MD cell 0, path 0, increment 1: .*time step"):
        polymer(backend=backend, timestep=0.04).rollout(torch.zeros(1, 2, 6, dtype=DTYPE), until(0.6, 1))


def paths_of_which_two_fail() -> Tensor:
    """(3, 2, 4, 6): a good path; one that tears the second cell at point 2; one that flattens the first at point 3."""
    paths = path_to(0.02, 3, 2).expand(3, 2, 4, 6).clone()
    paths[1, 1, 2:, 0] = 0.9
    paths[2, 0, 3, 1] = -0.5
    return paths


@BACKENDS
def test_failures_are_masked_marked_and_counted(backend: str) -> None:
    cell, times = polymer(2, backend=backend, on_failure="mask"), until(0.06, 3)
    with torch.no_grad():
        stress, state = cell.rollout(paths_of_which_two_fail(), times)
        expected, end = polymer(2, backend=backend).rollout(path_to(0.02, 3, 2), times)
    assert state.failed.tolist() == [[False, False], [False, True], [True, False]]
    assert cell.failures == 2
    assert stress[1, 1, 2:].isnan().all() and stress[2, 0, 3].isnan().all()
    assert stress[1, 1, 1].isfinite().all() and stress[2, 0, 1:3].isfinite().all()
    for path, sample in ((0, 0), (0, 1), (1, 0), (2, 1)):
        assert close(stress[path, sample], expected[sample], 1e-11), "failures of others change nothing"
        assert close(state.velocities[path, sample], end.velocities[sample], 1e-11)


@BACKENDS
def test_stresses_before_a_failure_are_kept_from_the_first_point_on(backend: str) -> None:
    with torch.no_grad():
        cell = polymer(2, backend=backend, on_failure="mask")
        stress, _ = cell.rollout(paths_of_which_two_fail(), until(0.06, 3))
    assert (stress[:, :, 0] == 0.0).all()


@pytest.mark.parametrize(
    "backend",
    [
        "kernel",
        "torch",
    ],
)
def test_what_has_failed_has_no_stress_any_more(backend: str) -> None:
    cell = polymer(2, backend=backend, on_failure="mask")
    with torch.no_grad():
        paths = paths_of_which_two_fail()
        _, state = cell.rollout(paths, until(0.06, 3))
        back = path_to(0.02, 3, 2)[:, 3].expand(3, 2, 6)
        later, state = cell(back, 0.02, state)
    assert state.failed.tolist() == [[False, False], [False, True], [True, False]]
    assert later.isnan().all(-1).tolist() == state.failed.tolist()
    assert cell.failures == 2, "what has failed is counted once"


@BACKENDS
def test_masked_failures_leave_finite_gradients(backend: str) -> None:
    """And those of the good paths as they are."""
    times, paths = until(0.06, 3), paths_of_which_two_fail().requires_grad_()
    cell = polymer(2, backend=backend, on_failure="mask", **EVERYTHING)
    stress, _ = cell.rollout(paths, times)
    (by_strain,) = torch.autograd.grad(stress.nan_to_num().sum(), paths)
    assert by_strain.isfinite().all()
    assert by_strain[1, 1, 2:].abs().max() == 0.0 and by_strain[2, 0, 3].abs().max() == 0.0
    path = path_to(0.02, 3, 2)
    expected, _, _ = gradients(cell, path, times, torch.ones_like(path))
    for index, sample in ((0, 0), (0, 1), (1, 0), (2, 1)):
        assert close(by_strain[index, sample], expected[sample], 1e-10)
