"""LAMMPS as a cell answers in the conventions of all cells, and as our own engine does."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from prnn_md.md.aqs import AQSCell
from prnn_md.md.force_field import ForceField
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ, MPA, from_mandel, rotation_from_vector, to_mandel
from prnn_md.reference.dynamics import Athermal, Thermal
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.lammps_cell import LammpsCell

Material = Callable[[str], tuple[Samples, ForceField]]

DIRECTION = torch.tensor([1.0, -0.5, 0.2, 0.8, -0.6, 1.0], dtype=torch.float64)
HOT = Thermal(temperature=0.2, timestep=0.005, friction=1.0, equilibration=5.0)


def path(largest: float, increments: int) -> Tensor:
    """Strains (1, T+1, 6) in equal steps."""
    level = torch.linspace(0.0, largest, increments + 1, dtype=torch.float64)
    return (level[:, None] * DIRECTION / DIRECTION.norm())[None]


def test_small_strains_follow_hookes_law_with_the_constants_of_the_energy(name: str, material: Material) -> None:
    sample, force_field = material(name)
    ours = AQSCell(sample, force_field, threads=1)
    zero = torch.zeros(1, 6, dtype=torch.float64)
    _, tangent, _ = ours.stress_and_tangent(zero, 0.0, ours.initial_state((1,)))
    cell = LammpsCell(sample, force_field, Athermal(1e-6))
    size = 1e-5
    for direction in torch.eye(6, dtype=torch.float64)[[0, 5]]:
        both = torch.stack([0.0 * direction, size * direction, 0.0 * direction, -size * direction])[None]
        stress = cell.rollout(both, torch.arange(4.0))[0][0]
        slope = (stress[1] - stress[3]) / (2.0 * size)
        expected = tangent[0] @ direction
        assert (slope - expected).norm() < 0.01 * expected.norm()


def test_stresses_are_those_of_our_own_minimiser(material: Material) -> None:
    sample, force_field = material("polymer")
    strains, times = path(8e-3, 4), torch.arange(5.0)
    cell = LammpsCell(sample, force_field, Athermal(1e-7))
    stresses, state = cell.rollout(strains, times)
    assert stresses[0, 0].abs().max() == 0.0
    assert stresses[0, -1].norm() > 0.05
    ours, _ = AQSCell(sample, force_field, force_tolerance=1e-8, threads=1).rollout(strains, times)
    torch.testing.assert_close(stresses, ours, rtol=0, atol=1e-4)
    assert (cell.units, cell.rate_dependent, cell.count) == (LJ, False, 1)
    torch.testing.assert_close(state.strain, strains[:, -1])


def test_increment_by_increment_is_the_whole_path(material: Material) -> None:
    sample, force_field = material("polymer")
    cell = LammpsCell(sample, force_field, Athermal(1e-7))
    strains = path(8e-3, 4)
    whole, last = cell.rollout(strains, torch.arange(5.0))
    state = cell.initial_state((1,))
    for number in range(5):
        stress, state = cell(strains[:, number], float(number > 0), state)
        torch.testing.assert_close(stress, whole[:, number], rtol=0, atol=1e-5)
    torch.testing.assert_close(state.positions, last.positions, rtol=0, atol=1e-4)


def test_a_turned_sample_on_a_turned_path_answers_with_the_turned_stress(material: Material) -> None:
    sample, force_field = material("polymer")
    turn = rotation_from_vector(torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64))
    turned = sample.moved(sample.positions @ turn.T, turn @ sample.box)
    strains = path(8e-3, 2)
    turned_strains = to_mandel(turn @ from_mandel(strains) @ turn.T)
    stress, _ = LammpsCell(sample, force_field, Athermal(1e-7)).rollout(strains, torch.arange(3.0))
    answer, _ = LammpsCell(turned, force_field, Athermal(1e-7)).rollout(turned_strains, torch.arange(3.0))
    torch.testing.assert_close(answer, to_mandel(turn @ from_mandel(stress) @ turn.T), rtol=0, atol=1e-5)


def test_a_sample_that_is_not_free_of_stress_answers_zero_to_no_strain(material: Material) -> None:
    sample, force_field = material("polymer")
    squeezed = sample.moved(0.99 * sample.positions, 0.99 * sample.box)
    cell = LammpsCell(squeezed, force_field, Athermal(1e-5))
    assert cell.residual_stress.abs().max() > 0.5
    assert cell.rollout(torch.zeros(1, 3, 6), torch.arange(3.0))[0].abs().max() < 1e-5


def test_stress_and_time_of_real_materials_are_in_mpa_and_fs(material: Material) -> None:
    sample, force_field = material("argon")
    cell = LammpsCell(sample, force_field, Thermal(10.0, 4.0, 0.01, 4000.0))
    ours = LangevinCell(sample, force_field, 10.0, 4.0, 0.01, equilibration=4000.0, window=0.5, threads=1)
    assert cell.units is MPA
    strains, times = path(0.02, 2), torch.linspace(0.0, 8000.0, 3)
    stress, expected = (c.rollout(strains, times)[0][0, -1] for c in (cell, ours))
    assert (stress - expected).norm() < 0.1 * expected.norm()


def test_noise_follows_from_the_seed(material: Material) -> None:
    sample, force_field = material("polymer")
    strains, times = path(0.02, 2), torch.linspace(0.0, 2.0, 3)
    one, again, other = (LammpsCell(sample, force_field, HOT, seed).rollout(strains, times)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert (one - other).abs().max() > 1e-3


def test_strain_in_no_time_is_refused(material: Material) -> None:
    sample, force_field = material("polymer")
    with pytest.raises(LammpsError, match="path 0, sample 0, increment 1: the strain changes in no time"):
        LammpsCell(sample, force_field, HOT).rollout(path(0.02, 2), torch.zeros(3))


def test_bonds_that_are_about_to_break_are_an_error(material: Material) -> None:
    sample, force_field = material("polymer")
    strains = torch.tensor([[0.0] * 6, [0.6, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)[None]
    with pytest.raises(LammpsError, match=r"path 0, sample 0, increment 1: a bond of length 1\.\d+ is about to break"):
        LammpsCell(sample, force_field, Athermal()).rollout(strains, torch.arange(2.0))


def test_fast_shear_meets_more_stress_than_slow_shear() -> None:
    samples, _ = load_library("polymer_80_a")
    samples = samples[:8]
    cell = LammpsCell(samples, polymer_force_field(samples), HOT)
    strains = torch.zeros(8, 9, 6, dtype=torch.float64)
    strains[..., 5] = torch.linspace(0.0, 0.1, 9, dtype=torch.float64)
    late = [cell.rollout(strains, torch.linspace(0.0, 0.1 / rate, 9))[0][:, 4:, 5].mean(1) for rate in (1e-3, 1e-1)]
    difference = late[1] - late[0]
    assert difference.mean() > 3.0 * difference.std() / len(samples) ** 0.5
