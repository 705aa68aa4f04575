"""Samples that are made by Langevin dynamics, and their relaxation."""

import numpy as np
import pytest
import torch

from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.polymer import polymer_force_field, quench_polymer, random_walk_chains
from prnn_md.md.quench import QuenchFailure, QuenchProtocol, relax_stress

QUICK = QuenchProtocol(melt_time=4.0, quench_time=4.0)


def test_sample_is_at_rest_free_of_stress_and_reproducible():
    first, again = (quench_polymer(80, 7, QUICK) for _ in range(2))
    assert torch.equal(first.positions, again.positions)
    assert torch.equal(first.box, again.box)
    assert torch.allclose(relax_stress(first, polymer_force_field(first)).box, first.box, atol=1e-10)
    other = quench_polymer(80, 8, QUICK)
    assert not torch.allclose(first.box, other.box)


def test_sample_has_no_stress_by_the_torch_definition():
    sample = quench_polymer(80, 7, QUICK)
    force_field, zero = polymer_force_field(sample), torch.zeros(1, 6, dtype=torch.float64)
    at_rest = (sample.positions, sample.box, sample.types, force_field.neighbours(sample.positions, sample.box))
    assert forces(force_field, *at_rest).abs().max() < 1e-8
    assert biot_stress(force_field, zero, *at_rest).abs().max() < 1e-8


def test_progress_rises_from_zero_to_one():
    told = []
    quench_polymer(80, 7, QUICK, progress=told.append)
    assert 0.0 < told[0] < 0.1
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_chains_have_the_asked_bond_length_and_density():
    sample = random_walk_chains(60, QuenchProtocol(), np.random.default_rng(1))
    bonds = sample.positions[0, sample.bonds[:, 1]] - sample.positions[0, sample.bonds[:, 0]]
    assert bonds.norm(dim=-1).numpy() == pytest.approx(0.97)
    assert 60 / torch.linalg.det(sample.box).item() == pytest.approx(0.85)
    assert len(sample.bonds) == 57


def test_beads_that_make_no_whole_chains_are_refused():
    with pytest.raises(ValueError, match="choose a multiple"):
        random_walk_chains(50, QuenchProtocol(), np.random.default_rng(1))


def test_too_large_a_time_step_breaks_a_bond_and_is_said():
    with pytest.raises(QuenchFailure, match="a bond broke: choose a smaller timestep"):
        quench_polymer(40, 1, QuenchProtocol(timestep=0.2, melt_time=20.0, quench_time=20.0))


def test_too_few_beads_for_the_cutoff_are_said():
    with pytest.raises(QuenchFailure, match="narrower than twice the cutoff: choose more particles"):
        quench_polymer(20, 1, QUICK)
