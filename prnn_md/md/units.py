"""Time and temperature as users give them, in the units in which a force field works.

In reduced units both are the same: tau and epsilon/k_B. Else users give femtoseconds and kelvin, and a force field
works in the time that goes with its energy, length and mass, and in its energy.
"""

from prnn_md.mechanics import LJ, Units

FEMTOSECOND = 1e-15


def time_factor(units: Units) -> float:
    """A user's unit of time, tau or fs, in the unit of time of the force field."""
    return 1.0 if units is LJ else FEMTOSECOND / units.time_in_seconds()


def thermal_energy(units: Units, temperature: float) -> float:
    """k_B T in the unit of energy of the force field; `temperature` in epsilon/k_B or K."""
    return temperature if units is LJ else temperature / units.temperature_in_kelvin()
