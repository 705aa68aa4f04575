"""The families of strain paths: what their paths look like, before they are scaled to an amplitude.

A shape is an array (T+1, 6) of strains in Mandel notation, of any size, whose first point is zero.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

Array = np.ndarray

WAVES = 256
"""Random waves that make up a Gaussian process."""

_HALF = 0.5**0.5

CANONICAL_DIRECTIONS: dict[str, tuple[float, float, float, float, float, float]] = {
    "tension_xx": (1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "compression_yy": (0.0, -1.0, 0.0, 0.0, 0.0, 0.0),
    "biaxial_xy": (_HALF, _HALF, 0.0, 0.0, 0.0, 0.0),
    "shear_yz": (0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    "tension_zz_shear_xz": (0.0, 0.0, _HALF, 0.0, _HALF, 0.0),
    "compression_xx_shear_xy": (-_HALF, 0.0, 0.0, 0.0, 0.0, _HALF),
    "tension_yy": (0.0, 1.0, 0.0, 0.0, 0.0, 0.0),
    "compression_zz": (0.0, 0.0, -1.0, 0.0, 0.0, 0.0),
    "biaxial_yz": (0.0, _HALF, _HALF, 0.0, 0.0, 0.0),
    "shear_xz": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "tension_xx_shear_xy": (_HALF, 0.0, 0.0, 0.0, 0.0, _HALF),
    "compression_yy_shear_yz": (0.0, -_HALF, 0.0, _HALF, 0.0, 0.0),
    "tension_zz": (0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    "compression_xx": (-1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "biaxial_xz": (_HALF, 0.0, _HALF, 0.0, 0.0, 0.0),
    "shear_xy": (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    "tension_yy_shear_yz": (0.0, _HALF, 0.0, _HALF, 0.0, 0.0),
    "compression_zz_shear_xz": (0.0, 0.0, -_HALF, 0.0, _HALF, 0.0),
}
"""Unit directions (6,) in Mandel notation: tension, compression, equibiaxial tension and shear, alone or together.

The first six, the next six and the last six are one of each kind.
Their volume change is bounded as that of all paths. At constant volume equibiaxial tension is compression along the
third axis, so that only 15 of them differ then.
"""


def canonical(increments: int, number: int, turns: Sequence[float]) -> Array:
    """Canonical direction `number` with the level going straight from turn to turn; (T+1, 6).

    Raises ValueError for a direction that there is not.
    """
    directions = list(CANONICAL_DIRECTIONS.values())
    if number >= len(directions):
        raise ValueError(f"There are {len(directions)} canonical paths: ask for no more, or for another family.")
    return levels_between(turns, increments)[:, None] * np.array(directions[number])


def proportional_unloading(increments: int, rng: np.random.Generator) -> Array:
    """One direction, loaded, unloaded (at times past zero) and loaded again, in equal steps; (T+1, 6)."""
    first_peak = rng.uniform(0.5, 1.0)
    valley = first_peak * rng.uniform(-0.3, 0.5)
    knots = np.array([0.0, first_peak, valley, 1.0])
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(knots)))])
    level = np.interp(np.linspace(0.0, length[-1], increments + 1), length, knots)
    return level[:, None] * rng.standard_normal(6)


def proportional_random(increments: int, rng: np.random.Generator) -> Array:
    """One direction with an amplitude drawn from a Gaussian process; (T+1, 6)."""
    return gaussian_process(increments, 1, rng) * rng.standard_normal(6)


def nonproportional(increments: int, rng: np.random.Generator) -> Array:
    """Six independent Gaussian processes; (T+1, 6)."""
    return gaussian_process(increments, 6, rng)


def cyclic(increments: int, rng: np.random.Generator) -> Array:
    """Three to five reversed cycles in one direction, each larger by the same amount, back to zero; (T+1, 6).

    There are more than three where the increments resolve them: the quarter of the first cycle takes two or more.
    """
    most = max(n for n in (3, 4, 5) if n == 3 or 4 * n * (n + 1) <= increments)
    cycles = int(rng.integers(3, most + 1))
    peaks = np.arange(1, cycles + 1) / cycles
    turns = [0.0, *np.stack([peaks, -peaks], axis=1).ravel(), 0.0]
    return levels_between(turns, increments)[:, None] * rng.standard_normal(6)


def constant_rate(increments: int, rng: np.random.Generator) -> Array:
    """One direction, loaded in equal steps; (T+1, 6)."""
    return np.linspace(0.0, 1.0, increments + 1)[:, None] * rng.standard_normal(6)


def random_walk(increments: int, rng: np.random.Generator, persistence: float = 0.05) -> Array:
    """Steps of equal length in all six components, whose direction wanders; (T+1, 6).

    The direction is that of an Ornstein-Uhlenbeck process, of correlation length `persistence` (fraction of the path).
    """
    kept = np.exp(-1.0 / (persistence * increments))
    noise = rng.standard_normal((increments, 6))
    steps = noise.copy()
    for step in range(1, increments):
        steps[step] = kept * steps[step - 1] + np.sqrt(1.0 - kept**2) * noise[step]
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return np.concatenate([np.zeros((1, 6)), np.cumsum(steps, axis=0)])


def levels_between(turns: Sequence[float], increments: int) -> Array:
    """Levels (T+1,) that go straight from turn to turn and hit every one, in steps as equal as that allows."""
    legs = np.abs(np.diff(turns))
    ends = np.concatenate([[0.0], np.cumsum(legs)])
    places = np.round(ends * (increments / ends[-1]))
    if (np.diff(places) < 1).any():
        raise ValueError(
            f"{increments} increments are too few for a path of {len(legs)} straight legs: "
            f"take {ceil(ends[-1] / legs.min() - 1e-9)} or more."
        )
    return np.interp(np.arange(increments + 1), places, turns)


def gaussian_process(increments: int, components: int, rng: np.random.Generator, length: float = 0.2) -> Array:
    """Samples (T+1, components) of a squared-exponential process on [0, 1], conditioned to be zero at time 0.

    `length` is the correlation length as a fraction of the path. The process is a sum of random waves (Rahimi and
    Recht, 2007), and is conditioned by Matheron's rule: unlike roots of its nearly singular covariance matrix, these
    are the same on all processors but for the last digits.
    """
    time = np.linspace(0.0, 1.0, increments + 1)[:, None]
    waves = time * rng.standard_normal(WAVES) / length
    basis = np.concatenate([np.cos(waves), np.sin(waves)], axis=1) / WAVES**0.5
    free: Array = basis @ rng.standard_normal((2 * WAVES, components))
    return free - np.exp(-0.5 * (time / length) ** 2) * free[0]


@dataclass(frozen=True)
class Family:
    """What a family is, in one line, and its shapes: `shape(increments, number of the path, random numbers)`.

    `size` is how many paths it has, None if there is no end.
    """

    description: str
    shape: Callable[[int, int, np.random.Generator], Array]
    size: int | None = None


FAMILIES: dict[str, Family] = {
    "proportional_unloading": Family(
        "one random direction; loading, unloading (at times past zero), loading",
        lambda increments, _, rng: proportional_unloading(increments, rng),
    ),
    "proportional_random": Family(
        "one random direction; an amplitude that varies smoothly at random",
        lambda increments, _, rng: proportional_random(increments, rng),
    ),
    "nonproportional": Family(
        "six components that vary smoothly at random",
        lambda increments, _, rng: nonproportional(increments, rng),
    ),
    "canonical": Family(
        "18 directions (tension, compression, shear, ...); monotonic",
        lambda increments, number, _: canonical(increments, number, [0.0, 1.0]),
        len(CANONICAL_DIRECTIONS),
    ),
    "cyclic": Family(
        "one random direction; 3 to 5 reversed cycles of growing size",
        lambda increments, _, rng: cyclic(increments, rng),
    ),
    "constant_rate": Family(
        "one random direction; monotonic in equal steps, at one rate after the other",
        lambda increments, _, rng: constant_rate(increments, rng),
    ),
    "random_walk": Family(
        "steps of equal length, whose direction wanders through all six components",
        lambda increments, _, rng: random_walk(increments, rng),
    ),
    "canonical_unloading": Family(
        "the same 18 directions, in the same order; loading, unloading to zero",
        lambda increments, number, _: canonical(increments, number, [0.0, 1.0, 0.0]),
        len(CANONICAL_DIRECTIONS),
    ),
}
"""The families by name. Random numbers depend on the position here: append new ones at the end."""
