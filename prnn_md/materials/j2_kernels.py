"""J2 plasticity along paths, and back again, in compiled loops: the state of an item stays in the registers."""

import numpy as np
from numba import njit

from prnn_md.compiled import INLINED, Kernel

ITERATIONS = 100
"""At most, of Newton's method for an increment with saturation."""


@njit(**INLINED)
def _root(excess, linear, fading, rate, least_slope, tolerance):
    """The plastic increment: Newton's iteration kept inside a shrinking bracket; NaN where it does not converge."""
    low, high = 0.0, excess / least_slope
    root = high / 2.0
    for _ in range(ITERATIONS):
        residual = excess - linear * root + fading * np.expm1(-rate * root)
        if not abs(residual) > tolerance:
            break
        if residual > 0.0:
            low = root
        else:
            high = root
        newton = root + residual / (linear + fading * rate * np.exp(-rate * root))
        root = newton if low <= newton <= high else (low + high) / 2.0
    residual = excess - linear * root + fading * np.expm1(-rate * root)
    return root if abs(residual) <= 1e3 * tolerance else np.nan


@Kernel
def forward(constants, strains, stresses, plastic, accumulated, kept):
    """Fill stresses and, if it has room, what the way back needs; plastic and accumulated go to the end of the path.

    Kept are, of each increment, the deviatoric trial stress (6), the accumulated plastic strain before it, and its own.
    """
    bulk, shear, yield_stress, hardening, saturation, rate, least_slope = constants
    linear, third = 3.0 * shear + hardening, 1.0 / 3.0
    trial, p = np.empty(6), np.empty(6)
    for item in range(strains.shape[0]):
        p[:] = plastic[item]
        amount = accumulated[item]
        for t in range(strains.shape[1]):
            for i in range(6):
                trial[i] = strains[item, t, i] - p[i]
            trace, square = trial[0] + trial[1] + trial[2], 0.0
            for i in range(6):
                trial[i] = 2.0 * shear * (trial[i] - (trace * third if i < 3 else 0.0))
                square += trial[i] * trial[i]
            fading = saturation * np.exp(-rate * amount)
            strength = yield_stress + hardening * amount + saturation - fading
            increment, share = 0.0, 0.0
            if not 1.5 * square <= strength * strength:
                norm = np.sqrt(square)
                excess = np.sqrt(1.5) * norm - strength
                if saturation * rate == 0.0:
                    increment = excess / linear
                else:
                    increment = _root(excess, linear, fading, rate, least_slope, 1e-13 * (excess + yield_stress))
                share = np.sqrt(1.5) * increment / norm
            for i in range(6):
                p[i] += share * trial[i]
                pressure = bulk * trace if i < 3 else 0.0
                stresses[item, t, i] = pressure + (1.0 - 2.0 * shear * share) * trial[i]
            if kept.shape[0] > 0:
                kept[item, t, :6] = trial
                kept[item, t, 6] = amount
                kept[item, t, 7] = increment
            amount += increment
        plastic[item] = p
        accumulated[item] = amount


@Kernel
def backward(constants, kept, of_stress, of_strain, of_plastic, of_amount):
    """Fill the gradients by the strains; those by plastic strain and its amount go from the end to the beginning.

    With the flow c d n, c = sqrt(3/2), along the direction n of the trial stress s, and its increment d, which solves
    c |s| = 3 G d + strength(amount + d).
    """
    bulk, shear, _, hardening, saturation, rate, _ = constants
    third, c = 1.0 / 3.0, np.sqrt(1.5)
    of_trial, of_flow, p = np.empty(6), np.empty(6), np.empty(6)
    for item in range(kept.shape[0]):
        p[:] = of_plastic[item]
        a = of_amount[item]
        for t in range(kept.shape[1] - 1, -1, -1):
            trial, increment = kept[item, t], kept[item, t, 7]
            trace = of_stress[item, t, 0] + of_stress[item, t, 1] + of_stress[item, t, 2]
            for i in range(6):
                of_trial[i] = of_stress[item, t, i] - (trace * third if i < 3 else 0.0)
            if increment != 0.0:  # also where it is NaN
                square, along = 0.0, 0.0
                for i in range(6):
                    of_flow[i] = p[i] - 2.0 * shear * of_trial[i]
                    square += trial[i] * trial[i]
                    along += of_flow[i] * trial[i]
                norm = np.sqrt(square)
                along /= norm
                slope = hardening + saturation * rate * np.exp(-rate * (trial[6] + increment))
                of_increment = c * along + a
                of_norm = c * of_increment / (3.0 * shear + slope)
                a -= slope * of_increment / (3.0 * shear + slope)
                turned = c * increment / norm
                for i in range(6):
                    direction = trial[i] / norm
                    of_trial[i] += turned * (of_flow[i] - along * direction) + of_norm * direction
            mean = (of_trial[0] + of_trial[1] + of_trial[2]) * third
            for i in range(6):
                deviator = of_trial[i] - (mean if i < 3 else 0.0)
                of_strain[item, t, i] = 2.0 * shear * deviator + (bulk * trace if i < 3 else 0.0)
                p[i] -= of_strain[item, t, i]
        of_plastic[item] = p
        of_amount[item] = a
