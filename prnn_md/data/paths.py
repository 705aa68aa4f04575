"""Strain paths of a family: scaled to an amplitude, with bounded volume change or none, and with times.

Strains are Biot strains E = U - I in Mandel notation that start at zero. A glass fails at once when its volume is
stretched far, so that |tr E| is bounded.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from torch import Tensor

from prnn_md.data.path_families import CANONICAL_DIRECTIONS, FAMILIES, Array
from prnn_md.mechanics import from_mandel, least_stretch, to_mandel, volumetric_projector

DECIMALS = 9
"""To which strains are rounded: labels are found again by the bits of the strains that they answer."""


@dataclass(frozen=True)
class PathOptions:
    """What paths of every family have in common.

    `amplitude` is the largest Mandel norm |E| along a path. |tr E| stays below `max_trace`; `isochoric` paths have
    det(I + E) = 1 at every point instead, and a trace of second order in the amplitude. `rates` are mean rates
    |dE/dt|, strain per unit of time, which the paths take in turn; without any, every path lasts from 0 to 1.
    """

    increments: int = 60
    amplitude: float = 0.12
    max_trace: float = 0.06
    isochoric: bool = False
    rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.increments < 1:
            raise ValueError(f"increments must be at least 1, got {self.increments}.")
        if not 0.0 < self.amplitude < inf:
            raise ValueError(f"amplitude, the largest norm of the strain, must be positive, got {self.amplitude}.")
        if not self.max_trace >= 0.0:
            raise ValueError(f"max_trace, the largest |tr E|, must not be negative, got {self.max_trace}.")
        for rate in self.rates:
            if not 0.0 < rate < inf:
                raise ValueError(f"rates, in strain per unit of time, must be positive, got {rate}.")


def sample_paths(
    family: str, count: int, seed: int, options: PathOptions | None = None, first: int = 0
) -> tuple[Tensor, Tensor]:
    """Paths `first` to `first + count - 1` of a family: strains (count, T+1, 6) and times (count, T+1), float64.

    Path i depends on family, seed, options and i only; the canonical ones on no seed. Raises ValueError for an unknown
    family, and for an amplitude at which a path would turn the material inside out.
    """
    if family not in FAMILIES:
        raise ValueError(f"Unknown path family '{family}': choose from {', '.join(FAMILIES)}.")
    if count < 1 or first < 0 or seed < 0:
        raise ValueError(f"count must be positive, first and seed not negative; got {count}, {first} and {seed}.")
    options = options or PathOptions()
    numbers = range(first, first + count)
    strain = torch.stack([_strain_path(family, number, seed, options) for number in numbers])
    for number, least in zip(numbers, least_stretch(strain).amin(-1).tolist(), strict=True):
        if least <= 0:
            raise ValueError(
                f"Path {path_name(family, number)} is impossible: I + E has principal value {least:.3g} <= 0. "
                f"Choose an amplitude below {options.amplitude:g}; below 1 every path is possible."
            )
    return strain, torch.stack([_times(path, number, options) for number, path in zip(numbers, strain, strict=True)])


def path_name(family: str, number: int) -> str:
    """A name for path `number` of a family, which tells the direction of a canonical path."""
    if not family.startswith("canonical"):
        return f"{family}_{number}"
    return list(CANONICAL_DIRECTIONS)[number] + family.removeprefix("canonical")


def _strain_path(family: str, number: int, seed: int, options: PathOptions) -> Tensor:
    """Strains (T+1, 6) of one path, rounded so that they are the same bits on all processors."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(family), number])
    shape = FAMILIES[family].shape(options.increments, number, rng)
    if options.isochoric:
        path = isochoric_path(torch.from_numpy(shape), options.amplitude)
    else:
        path = torch.from_numpy(scale_to_amplitude(shape, options.amplitude, options.max_trace))
    return path.round(decimals=DECIMALS) + 0.0


def _times(path: Tensor, number: int, options: PathOptions) -> Tensor:
    """Times (T+1,) of a path (T+1, 6), evenly spaced."""
    duration = 1.0
    if options.rates:
        rate = options.rates[number % len(options.rates)]
        duration = path.diff(dim=0).norm(dim=-1).sum().item() / rate
    return torch.linspace(0.0, duration, len(path), dtype=torch.float64)


def isochoric_path(shape: Tensor, amplitude: float) -> Tensor:
    """Strains (T+1, 6) of constant volume, det(I + E) = 1, with largest norm `amplitude`.

    They are exp(s H) - I, where H is the deviator of `shape` (T+1, 6) and the factor s is found by bisection: |E| of
    every point grows with s, because H has no trace.
    """
    deviator = shape - shape @ volumetric_projector()
    values, vectors = torch.linalg.eigh(from_mandel(deviator / deviator.norm(dim=-1).max()))
    # the largest eigenvalue of a deviator of norm 1 is at least 1/sqrt(6)
    low, high = 0.0, 6.0**0.5 * np.log1p(amplitude)
    for _ in range(60):
        middle = 0.5 * (low + high)
        reached = torch.expm1(middle * values).norm(dim=-1).max().item()
        low, high = (low, middle) if reached > amplitude else (middle, high)
    stretched = torch.expm1(low * values)
    return to_mandel(vectors * stretched.unsqueeze(-2) @ vectors.transpose(-1, -2))


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
