"""Families of random strain paths, (paths, T+1, 6) Biot strain in Mandel notation, that start at zero.

Every path is scaled so that its largest Mandel norm |E| is the amplitude, with |tr E| below a bound: a glass
fails at once when its volume is stretched far.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray


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


FAMILIES: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "proportional_unloading": proportional_unloading,
    "proportional_random": proportional_random,
    "nonproportional": nonproportional,
}


def gaussian_process(increments: int, components: int, rng: np.random.Generator, length: float = 0.2) -> Array:
    """Samples (T+1, components) of a squared-exponential process on [0, 1], conditioned to be zero at time 0.

    `length` is the correlation length as a fraction of the path.
    """
    time = np.linspace(0.0, 1.0, increments + 1)
    kernel = np.exp(-0.5 * ((time[:, None] - time[None, :]) / length) ** 2)
    conditioned = kernel - np.outer(kernel[:, 0], kernel[0])
    values, vectors = np.linalg.eigh(conditioned)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    sample: Array = root @ rng.standard_normal((increments + 1, components))
    return sample - sample[0]


def scale_to_amplitude(path: Array, amplitude: float, max_trace: float) -> Array:
    """Scale a path (T+1, 6) to largest norm `amplitude`, shrinking its volumetric part to |tr E| <= `max_trace`."""
    mean = path[:, :3].mean(axis=1, keepdims=True) * np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    deviatoric = path - mean

    def scaled(fraction: float) -> Array:
        candidate = deviatoric + fraction * mean
        return candidate * (amplitude / np.linalg.norm(candidate, axis=1).max())

    low, high = 0.0, 1.0
    if _largest_trace(scaled(high)) <= max_trace:
        return scaled(high)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _largest_trace(scaled(middle)) <= max_trace else (low, middle)
    return scaled(low)


def _largest_trace(path: Array) -> float:
    return float(np.abs(path[:, :3].sum(axis=1)).max())


def sample_paths(
    family: str, count: int, increments: int, seed: int, amplitude: float = 0.12, max_trace: float = 0.06
) -> Tensor:
    """`count` strain paths (count, increments + 1, 6) of one family; path i does not depend on `count`."""
    if family not in FAMILIES:
        raise ValueError(f"Unknown path family '{family}': choose from {', '.join(FAMILIES)}.")
    index = list(FAMILIES).index(family)
    paths = []
    for number in range(count):
        rng = np.random.default_rng([seed, index, number])
        paths.append(scale_to_amplitude(FAMILIES[family](increments, rng), amplitude, max_trace))
    return torch.from_numpy(np.stack(paths))
