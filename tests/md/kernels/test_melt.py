"""Langevin dynamics with a barostat, as melts and glasses are made with it."""

import numpy as np
import pytest
import torch

from prnn_md.md.energy import biot_stress
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.melt import BROKEN, HELD, LOST, NARROW, melt
from prnn_md.md.polymer import polymer_force_field

SKIN, BULK_MODULUS = 0.5, 50.0


class Dynamics:
    """A small melt, and how to advance it."""

    def __init__(self, sample, mass=1.0, seed=0):
        self.rng = np.random.default_rng(seed)
        self.x, self.box = padded(sample.positions[0].numpy()), sample.box[0].numpy().copy()
        self.v = np.zeros_like(self.x)
        self.force_field, self.types = polymer_force_field(sample), sample.types
        self.field = compiled_field(self.force_field, sample.types)._replace(masses=np.full(len(self.x), mass))

    def run(self, steps, dt, friction=1.0, temperature=0.5, pressure_time=0.0):
        numbers = (SKIN, steps, dt, friction, (temperature, temperature), pressure_time, BULK_MODULUS, 0.0)
        status = melt(self.x, self.v, self.box, self.field, *numbers, self.rng)
        assert not self.x[:, 3].any()
        assert not self.v[:, 3].any()
        return status

    def square_speed(self):
        """Mean over beads and directions."""
        return (self.v[:, :3] ** 2).mean()

    def place(self):
        x, box = torch.from_numpy(self.x[:, :3].copy())[None], torch.from_numpy(self.box.copy())[None]
        return x, box, self.types, self.force_field.neighbours(x, box)

    def total_energy(self):
        return self.force_field(*self.place()).item() + 0.5 * (self.v**2).sum()

    def pressure(self):
        """Kinetic part and virial, the latter from the derivative of the energy with respect to the strain."""
        stress = biot_stress(self.force_field, torch.zeros(1, 6, dtype=torch.float64), *self.place())
        kinetic = (self.v**2).sum() / abs(np.linalg.det(self.box))
        return (kinetic - stress[0, :3].sum().item()) / 3


@pytest.fixture
def molten(make_polymer):
    dynamics = Dynamics(make_polymer(3, chains=8, shear=0.0))
    assert dynamics.run(2000, 0.002, friction=5.0) == HELD
    return dynamics


def test_without_friction_energy_is_conserved_to_second_order_in_the_time_step(molten):
    start = molten.x.copy(), molten.v.copy()
    errors = []
    for dt in (0.004, 0.002):
        molten.x[:], molten.v[:] = start
        before = molten.total_energy()
        worst = 0.0
        for _ in range(20):
            assert molten.run(round(0.05 / dt), dt, friction=0.0) == HELD
            worst = max(worst, abs(molten.total_energy() - before))
        errors.append(worst)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.3)


def test_mean_kinetic_energy_is_the_temperature(molten):
    temperatures = []
    for _ in range(400):
        molten.run(50, 0.004, friction=2.0, temperature=0.4)
        temperatures.append(molten.square_speed())
    assert np.mean(temperatures) == pytest.approx(0.4, rel=0.03)


def test_heavier_beads_are_slower_at_the_same_temperature(make_polymer):
    dynamics = Dynamics(make_polymer(3, chains=4, shear=0.0), mass=4.0)
    assert dynamics.run(4000, 0.004, friction=2.0, temperature=0.4) == HELD
    squares = []
    for _ in range(200):
        dynamics.run(50, 0.004, friction=2.0, temperature=0.4)
        squares.append(dynamics.square_speed())
    assert 4.0 * np.mean(squares) == pytest.approx(0.4, rel=0.05)


def test_barostat_brings_the_mean_pressure_to_zero(molten):
    def mean_pressure(pressure_time, before):
        molten.run(before, 0.004, temperature=0.3, pressure_time=pressure_time)
        pressures = []
        for _ in range(150):
            molten.run(100, 0.004, temperature=0.3, pressure_time=pressure_time)
            pressures.append(molten.pressure())
        return np.mean(pressures)

    volume = abs(np.linalg.det(molten.box))
    assert abs(mean_pressure(0.0, 2000)) > 0.5
    assert abs(np.linalg.det(molten.box)) == volume
    assert abs(mean_pressure(2.0, 20_000)) < 0.2
    assert 0.85 < len(molten.x) / abs(np.linalg.det(molten.box)) < 1.05


def test_a_broken_bond_is_told(molten):
    assert molten.run(2000, 0.1, temperature=1.0) == BROKEN


def test_a_box_that_shrinks_below_twice_the_cutoff_is_told(make_polymer):
    dynamics = Dynamics(make_polymer(3, chains=2, density=0.72, shear=0.0))
    assert dynamics.run(1000, 0.002, temperature=0.1) == HELD
    assert dynamics.run(10_000, 0.002, temperature=0.1, pressure_time=2.0) == NARROW
    assert 2.9 < dynamics.box[0, 0] < 3.0


def test_beads_that_fly_away_are_told(molten):
    molten.v[0, 0] = 1e12
    assert molten.run(10, 0.004) == LOST
