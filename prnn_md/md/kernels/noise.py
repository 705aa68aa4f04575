"""Compiled normal random numbers that are a function of a seed and a counter, so that any step can be replayed.

B. Widynski, "Squares: a fast counter-based RNG" (arXiv 2004.06278), and the transform of Box & Muller (1958).
`prnn_md.md.batched.noise` gives the same numbers in torch.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST


@njit(**FAST)
def key_of(seed):
    """An odd 64-bit key of a seed, by the mixing of SplitMix64 (Steele et al., 2014)."""
    z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


@njit(**FAST)
def _turned(x):
    return (x >> np.uint64(32)) | (x << np.uint64(32))


@njit(**FAST)
def bits(counter, key):
    """64 random bits."""
    y = np.uint64(counter) * key
    z = y + key
    x = _turned(y * y + y)
    x = _turned(x * x + z)
    x = _turned(x * x + y)
    t = x * x + z
    x = _turned(t)
    return t ^ ((x * x + y) >> np.uint64(32))


@njit(**FAST)
def two_normals(counter, key):
    """Two independent standard normal numbers."""
    drawn = bits(counter, key)
    high = (np.float64(drawn >> np.uint64(32)) + 0.5) / 4294967296.0
    low = (np.float64(drawn & np.uint64(0xFFFFFFFF)) + 0.5) / 4294967296.0
    radius, angle = np.sqrt(-2.0 * np.log(high)), 2.0 * np.pi * low
    return radius * np.cos(angle), radius * np.sin(angle)


@njit(**FAST)
def fill_normals(key, step, out):
    """Fill the first three columns of `out` (N, 4) with the normal numbers of this step."""
    particles = out.shape[0]
    for i in range(particles):
        counter = 2 * (step * particles + i)
        out[i, 0], out[i, 1] = two_normals(counter, key)
        out[i, 2], _ = two_normals(counter + 1, key)
