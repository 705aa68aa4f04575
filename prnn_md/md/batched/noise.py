"""The normal random numbers of `prnn_md.md.kernels.noise`, for many cells at once."""

from math import pi

import torch
from torch import Tensor


def _signed(number: int) -> int:
    """An unsigned 64-bit number as torch's signed one of the same bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _shifted(x: Tensor, by: int) -> Tensor:
    """Logical shift to the right."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def keys_of(seeds: Tensor) -> Tensor:
    """Odd 64-bit keys of seeds, int64 of any shape."""
    z = seeds + _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return (z ^ _shifted(z, 31)) | 1


def _turned(x: Tensor) -> Tensor:
    return _shifted(x, 32) | (x << 32)


def bits(counters: Tensor, keys: Tensor) -> Tensor:
    """64 random bits for each counter and key."""
    y = counters * keys
    z = y + keys
    x = _turned(y * y + y)
    x = _turned(x * x + z)
    x = _turned(x * x + y)
    t = x * x + z
    x = _turned(t)
    return t ^ _shifted(x * x + y, 32)


def two_normals(counters: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Two independent standard normal numbers for each counter and key."""
    drawn = bits(counters, keys)
    high = (_shifted(drawn, 32).double() + 0.5) / 4294967296.0
    low = ((drawn & 0xFFFFFFFF).double() + 0.5) / 4294967296.0
    radius, angle = (-2.0 * high.log()).sqrt(), 2.0 * pi * low
    return radius * angle.cos(), radius * angle.sin()


def normals(keys: Tensor, steps: Tensor, particles: int) -> Tensor:
    """Normal numbers (I, N, 3) of items with these keys at these steps, (I,) both."""
    place = 2 * (steps[:, None] * particles + torch.arange(particles, device=keys.device))
    first, second = two_normals(place, keys[:, None])
    third, _ = two_normals(place + 1, keys[:, None])
    return torch.stack([first, second, third], dim=-1)
