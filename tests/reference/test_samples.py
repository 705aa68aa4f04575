"""Samples that LAMMPS makes are what they claim to be."""

from collections.abc import Callable

import pytest
import torch

from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.force_field import ForceField
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ
from prnn_md.reference.systems import PolymerGlass, Silicon, physics

Material = Callable[[str], tuple[Samples, ForceField]]


def test_a_sample_is_at_rest_and_free_of_stress(name: str, material: Material) -> None:
    sample, force_field = material(name)
    at_rest = (sample.positions, sample.box, sample.types, force_field.neighbours(sample.positions, sample.box))
    stress = biot_stress(force_field, torch.zeros(1, 6, dtype=torch.float64), *at_rest).abs().max()
    in_mpa = force_field.units.stress_in_mpa() if force_field.units is not LJ else 1.0
    assert stress * in_mpa < 1e-3
    assert forces(force_field, *at_rest).abs().max() < 1e-5


def test_seeds_make_samples_reproducible_and_different() -> None:
    one, again, other = (PolymerGlass(beads=40, melt_time=2.0, quench_time=5.0).build(seed) for seed in (2, 2, 3))
    assert torch.equal(again.positions, one.positions)
    assert torch.equal(again.box, one.box)
    assert (other.box - one.box).abs().max() > 1e-3


@pytest.mark.acceptance
def test_amorphous_silicon_has_the_density_of_the_crystal_and_no_long_range_order() -> None:
    crystal, amorphous = (Silicon(structure, repeats=2).build(3) for structure in ("crystal", "amorphous"))
    volumes = [float(torch.linalg.det(sample.box[0])) for sample in (crystal, amorphous)]
    assert volumes[1] / volumes[0] == pytest.approx(1.0, abs=0.1)
    energies = []
    for sample in (crystal, amorphous):
        force_field = Silicon().force_field(sample)
        neighbours = force_field.neighbours(sample.positions, sample.box)
        energies.append(float(force_field(sample.positions, sample.box, sample.types, neighbours)) / 64)
    assert energies[0] == pytest.approx(-4.3364, abs=1e-3)
    assert energies[0] + 0.05 < energies[1] < energies[0] + 0.6


def test_a_sample_is_made_of_whole_chains_near_their_rest_length(sample: Samples) -> None:
    assert sample.positions.shape == (1, 80, 3)
    assert len(sample.bonds) == 4 * 19
    ends = sample.positions[0][sample.bonds]
    lengths = (ends[:, 1] - ends[:, 0]).norm(dim=-1)
    assert float(lengths.min()) > 0.9
    assert float(lengths.max()) < 1.05
    assert 0.9 < 80 / float(torch.linalg.det(sample.box[0])) < 1.15


def test_beads_that_make_no_whole_chains_are_refused() -> None:
    with pytest.raises(ValueError, match="50 beads do not make chains of 20: choose a multiple"):
        PolymerGlass(beads=50).build(0)


def test_physics_tells_every_number_and_the_force_field() -> None:
    told = physics(PolymerGlass(beads=40, melt_time=2.0))
    assert (told["system"], told["beads"], told["melt_time"], told["quench_time"]) == ("PolymerGlass", 40, 2.0, 1000.0)
    assert "fene" in str(told["force_field"]).lower()
    assert physics(PolymerGlass(beads=60)) != physics(PolymerGlass(beads=40))
