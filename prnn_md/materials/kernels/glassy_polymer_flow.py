"""How fast the modes of a glassy polymer flow: one nonlinear equation an item, in compiled loops."""

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, INLINED, Kernel

FASTEST = 15.0
"""Logarithm of dt G / eta, at which next to nothing is left of the stress of a mode."""

_ITERATIONS = 100
_TOLERANCE = 1e-12


@njit(**INLINED)
def _principal(trial, k, b, slopes):
    """Fill the positive b (3,) with b + k b (b - mean b) = trial, and the derivatives of its deviator by log k.

    Returns the mean, found by Newton's method.
    """
    mean = (trial[0] + trial[1] + trial[2]) / 3.0
    for _ in range(_ITERATIONS):
        linear, total, share = 1.0 - k * mean, 0.0, 0.0
        for a in range(3):
            root = np.sqrt(linear * linear + 4.0 * k * trial[a])
            b[a] = 2.0 * trial[a] / (linear + root) if linear > 0.0 else (root - linear) / (2.0 * k)
            slopes[a] = k * b[a] / root
            total += b[a] / 3.0
            share += slopes[a] / 3.0
        gap = mean - total
        if not abs(gap) > 1e-14 * mean:
            break
        mean -= gap / (1.0 - share)
    of_mean, total = 0.0, 0.0
    for a in range(3):
        of_mean -= slopes[a] * (b[a] - mean) / 3.0 / (1.0 - share)
    for a in range(3):
        slopes[a] *= of_mean - (b[a] - mean)
        total += slopes[a] / 3.0
    for a in range(3):
        slopes[a] -= total
    return mean


@njit(**INLINED)
def log_sinh_over(z):
    """log(sinh z / z) and its derivative over z, for z >= 0."""
    if z < 1e-2:
        return z * z / 6.0 - z**4 / 180.0, 1.0 / 3.0 - z * z / 45.0 + 2.0 * z**4 / 945.0
    return z + np.log(-np.expm1(-2.0 * z) / (2.0 * z)), (1.0 / np.tanh(z) - 1.0 / z) / z


@njit(**INLINED)
def factor(rate, y):
    """k = dt G / eta."""
    return np.exp(min(np.log(rate) + y, FASTEST))


@njit(**INLINED)
def _relax(moduli, values, axes, rates, y, b, slopes, stress, change):
    """Fill the principal values b (modes, 3) after flow, and the sum of the modes' deviators (3, 3) and its derivative.

    y is the logarithm of the fluidity's factor, by which `change` is the derivative.
    """
    stress[:], change[:] = 0.0, 0.0
    for m in range(len(moduli)):
        mean = _principal(values[m], factor(rates[m], y), b[m], slopes)
        for i in range(3):
            for j in range(3):
                for a in range(3):
                    share = moduli[m] * axes[m, i, a] * axes[m, j, a]
                    stress[i, j] += share * (b[m, a] - mean)
                    change[i, j] += share * slopes[a]


@njit(**BARE)
def solve_flow(moduli, characteristic_stress, values, axes, at_rest, rates, b, slopes, stress, change):
    """Logarithm y of the fluidity's factor, by Newton's method inside a shrinking bracket; NaN if it is not found.

    For trial tensors of the principal `values` (modes, 3) and `axes` (modes, 3, 3), in columns; `at_rest` is the
    logarithm without stress, and `rates` (modes,) are dt G / eta at rest. Fills b (modes, 3) with the principal values
    after flow, `stress` (3, 3) with the sum of the modes' deviators there and `change` with its derivative by y;
    `slopes` (3,) is to work with.
    """
    most, fastest = 0.0, 0.0
    for m in range(len(moduli)):
        mean, square = (values[m, 0] + values[m, 1] + values[m, 2]) / 3.0, 0.0
        for a in range(3):
            square += (values[m, a] - mean) ** 2 / 2.0
        most += moduli[m] * np.sqrt(square)
        fastest = max(fastest, rates[m])
    low, high = at_rest, at_rest + log_sinh_over(most / characteristic_stress)[0]
    y, before = low, np.inf
    if fastest > 0.0:
        y = min(max(-np.log(fastest), low), high)  # where about half of the stress is left
    for _ in range(_ITERATIONS):
        _relax(moduli, values, axes, rates, y, b, slopes, stress, change)
        square, fall = 0.0, 0.0
        for i in range(3):
            for j in range(3):
                square += stress[i, j] * stress[i, j] / 2.0
                fall += stress[i, j] * change[i, j]
        logarithm, slope = log_sinh_over(np.sqrt(square) / characteristic_stress)
        gap = y - at_rest - logarithm
        if not abs(gap) > _TOLERANCE * (1.0 + abs(y)):
            return y
        if gap < 0.0:
            low = y
        else:
            high = y
        newton = y - gap / (1.0 - slope * fall / (2.0 * characteristic_stress * characteristic_stress))
        good = low <= newton <= high and abs(gap) < before / 2.0
        y, before = newton if good else (low + high) / 2.0, abs(gap)
    return y if abs(gap) <= 1e3 * _TOLERANCE * (1.0 + abs(y)) else np.nan


@Kernel
def find_flow(moduli, characteristic_stress, values, axes, at_rest, rates, y, b):
    """Fill y (items,) and b (items, modes, 3) by `solve_flow`; what is per item has items first."""
    stress, change, slopes = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for item in range(len(y)):
        trial, given = (values[item], axes[item]), (at_rest[item], rates[item])
        y[item] = solve_flow(moduli, characteristic_stress, *trial, *given, b[item], slopes, stress, change)
