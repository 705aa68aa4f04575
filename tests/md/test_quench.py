"""Langevin dynamics and the samples that are made with it."""

import numpy as np
import pytest
import torch

from prnn_md.md.energy import biot_stress, energy, forces
from prnn_md.md.langevin import langevin
from prnn_md.md.neighbours import bonded_partners
from prnn_md.md.quench import QuenchFailure, QuenchProtocol, quench_polymer, random_walk_chains, relax_stress

QUICK = QuenchProtocol(melt_time=4.0, quench_time=4.0)


class Dynamics:
    """A small melt, and how to advance it."""

    def __init__(self, sample, force_field, seed=0):
        self.rng = np.random.default_rng(seed)
        self.x, self.box = sample.positions[0].numpy().copy(), sample.box[0].numpy().copy()
        self.v = np.zeros_like(self.x)
        self.bonds, self.force_field = sample.bonds, force_field
        self.fixed = (bonded_partners(sample.bonds.numpy(), len(self.x)), force_field)

    def run(self, steps, dt, friction=1.0, temperature=0.5, pressure_time=0.0):
        numbers = (steps, dt, friction, (temperature, temperature), pressure_time, 0.0)
        return langevin(self.x, self.v, self.box, *self.fixed, *numbers, self.rng)

    def total_energy(self):
        potential = energy(
            torch.from_numpy(self.x)[None], torch.from_numpy(self.box)[None], self.bonds, self.force_field
        )
        return potential.item() + 0.5 * (self.v**2).sum()

    def pressure(self):
        """Kinetic part and virial, the latter from the derivative of the energy with respect to the strain."""
        x, box = torch.from_numpy(self.x)[None], torch.from_numpy(self.box)[None]
        stress = biot_stress(torch.zeros(1, 6, dtype=torch.float64), x, box, self.bonds, self.force_field)
        kinetic = (self.v**2).sum() / abs(np.linalg.det(self.box))
        return (kinetic - stress[0, :3].sum().item()) / 3


@pytest.fixture
def melt(make_polymer, force_field):
    dynamics = Dynamics(make_polymer(3, chains=8, shear=0.0), force_field)
    assert dynamics.run(2000, 0.002, friction=5.0)
    return dynamics


def test_without_friction_energy_is_conserved_to_second_order_in_the_time_step(melt):
    start = melt.x.copy(), melt.v.copy()
    errors = []
    for dt in (0.004, 0.002):
        melt.x[:], melt.v[:] = start
        before = melt.total_energy()
        worst = 0.0
        for _ in range(20):
            assert melt.run(round(0.05 / dt), dt, friction=0.0)
            worst = max(worst, abs(melt.total_energy() - before))
        errors.append(worst)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.3)


def test_mean_kinetic_energy_is_the_temperature(melt):
    temperatures = []
    for _ in range(400):
        melt.run(50, 0.004, friction=2.0, temperature=0.4)
        temperatures.append((melt.v**2).mean())
    assert np.mean(temperatures) == pytest.approx(0.4, rel=0.03)


def test_heavier_beads_are_slower_at_the_same_temperature(make_polymer, force_field):
    dynamics = Dynamics(make_polymer(3, chains=4, shear=0.0), force_field._replace(mass=4.0))
    assert dynamics.run(4000, 0.004, friction=2.0, temperature=0.4)
    squares = []
    for _ in range(200):
        dynamics.run(50, 0.004, friction=2.0, temperature=0.4)
        squares.append((dynamics.v**2).mean())
    assert 4.0 * np.mean(squares) == pytest.approx(0.4, rel=0.05)


def test_barostat_brings_the_mean_pressure_to_zero(melt):
    def mean_pressure(pressure_time, before):
        melt.run(before, 0.004, temperature=0.3, pressure_time=pressure_time)
        pressures = []
        for _ in range(300):
            melt.run(50, 0.004, temperature=0.3, pressure_time=pressure_time)
            pressures.append(melt.pressure())
        return np.mean(pressures)

    volume = abs(np.linalg.det(melt.box))
    assert abs(mean_pressure(0.0, 2000)) > 0.5
    assert abs(np.linalg.det(melt.box)) == volume
    assert abs(mean_pressure(2.0, 20_000)) < 0.2
    assert 0.85 < len(melt.x) / abs(np.linalg.det(melt.box)) < 1.05


def test_sample_is_at_rest_free_of_stress_and_reproducible(force_field):
    first, again = (quench_polymer(80, 7, force_field, QUICK) for _ in range(2))
    assert torch.equal(first.positions, again.positions)
    assert torch.equal(first.box, again.box)
    assert torch.allclose(relax_stress(first, force_field).box, first.box, atol=1e-10)
    other = quench_polymer(80, 8, force_field, QUICK)
    assert not torch.allclose(first.box, other.box)


def test_sample_has_no_stress_by_the_torch_definition(force_field):
    sample = quench_polymer(80, 7, force_field, QUICK)
    assert forces(sample.positions, sample.box, sample.bonds, force_field).abs().max() < 1e-8
    stress = biot_stress(
        torch.zeros(1, 6, dtype=torch.float64), sample.positions, sample.box, sample.bonds, force_field
    )
    assert stress.abs().max() < 1e-8


def test_chains_have_the_asked_bond_length_and_density():
    sample = random_walk_chains(60, QuenchProtocol(), np.random.default_rng(1))
    bonds = sample.positions[0, sample.bonds[:, 1]] - sample.positions[0, sample.bonds[:, 0]]
    assert bonds.norm(dim=-1).numpy() == pytest.approx(0.97)
    assert 60 / torch.linalg.det(sample.box).item() == pytest.approx(0.85)
    assert len(sample.bonds) == 57


def test_beads_that_make_no_whole_chains_are_refused():
    with pytest.raises(ValueError, match="choose a multiple"):
        random_walk_chains(50, QuenchProtocol(), np.random.default_rng(1))


def test_too_large_a_time_step_breaks_a_bond_and_is_said(force_field):
    with pytest.raises(QuenchFailure, match="smaller timestep"):
        quench_polymer(40, 1, force_field, QuenchProtocol(timestep=0.2, melt_time=20.0, quench_time=20.0))
