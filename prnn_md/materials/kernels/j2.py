"""J2 plasticity along paths, and back again, in compiled loops.

Several items go side by side, so that one instruction works on all of them. For this, all numbers of theirs lie in one
array, whose parts the compiler can tell apart, and loops over items have no branches, but for those with saturation.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import INLINED, Kernel

ITERATIONS = 100
"""At most, of Newton's method for an increment with saturation."""

LANES = 8
"""Items that are worked on at once."""

KEPT = 2
"""Numbers that the way back needs of each increment and item beside the stress: the accumulated plastic strain before
it, and its own."""

_TINY = 1e-300


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
def follow(constants, strains, stresses, plastic, accumulated, valid, kept):
    """Fill stresses (items, T, 6) and, if it has room, what the way back needs, (blocks, T, KEPT, LANES).

    Plastic strain (items, 6) and its amount (items,) go to the end of the path. `valid` (items,) is the number of
    points that are to be answered, and then of those that have been: from the first whose stress is not finite all are
    NaN.
    """
    bulk, shear, yield_stress, hardening, saturation, rate, least_slope = constants
    linear, third, c = 3.0 * shear + hardening, 1.0 / 3.0, np.sqrt(1.5)
    saturates = saturation * rate != 0.0
    points = strains.shape[1]
    numbers = np.zeros((points + 2, 6, LANES))
    p, rest = numbers[points], numbers[points + 1]
    amount, increment, trace, norm, excess, share = rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]
    for block in range((strains.shape[0] + LANES - 1) // LANES):
        first = block * LANES
        lanes = min(LANES, strains.shape[0] - first)
        for k in range(lanes):
            for i in range(6):
                p[i, k] = plastic[first + k, i]
            amount[k] = accumulated[first + k]
            for t in range(points):
                for i in range(6):
                    numbers[t, i, k] = strains[first + k, t, i]
        for t in range(points):
            s = numbers[t]
            for i in range(6):
                for k in range(LANES):
                    s[i, k] -= p[i, k]
            for k in range(LANES):
                trace[k] = s[0, k] + s[1, k] + s[2, k]
            for i in range(3):
                for k in range(LANES):
                    s[i, k] -= trace[k] * third
            for i in range(6):
                for k in range(LANES):
                    s[i, k] *= 2.0 * shear
            for k in range(LANES):
                square = s[0, k] * s[0, k] + s[1, k] * s[1, k] + s[2, k] * s[2, k]
                norm[k] = np.sqrt(square + s[3, k] * s[3, k] + s[4, k] * s[4, k] + s[5, k] * s[5, k])
                excess[k] = c * norm[k] - (yield_stress + hardening * amount[k])
            if saturates:
                for k in range(lanes):
                    fading = saturation * np.exp(-rate * amount[k])
                    excess[k] = max(excess[k] + fading - saturation, 0.0)
                    if excess[k] > 0.0:
                        tolerance = 1e-13 * (excess[k] + yield_stress)
                        increment[k] = _root(excess[k], linear, fading, rate, least_slope, tolerance)
                    else:
                        increment[k] = 0.0
            else:
                for k in range(LANES):
                    increment[k] = (excess[k] + abs(excess[k])) * (0.5 / linear)
            for k in range(LANES):
                share[k] = c * increment[k] / (norm[k] + _TINY)
            if kept.shape[0] > 0:
                for k in range(LANES):
                    kept[block, t, 0, k] = amount[k]
                    kept[block, t, 1, k] = increment[k]
            for k in range(LANES):
                amount[k] += increment[k]
            for i in range(6):
                for k in range(LANES):
                    p[i, k] += share[k] * s[i, k]
                    s[i, k] *= 1.0 - 2.0 * shear * share[k]
            for i in range(3):
                for k in range(LANES):
                    s[i, k] += bulk * trace[k]
        for k in range(lanes):
            item, t, total = first + k, 0, 0.0
            while t < valid[item] and total < np.inf:  # which NaN is not
                total = 0.0
                for i in range(6):
                    stresses[item, t, i] = numbers[t, i, k]
                    total += abs(numbers[t, i, k])
                t += 1
            valid[item] = t if total < np.inf else t - 1
            stresses[item, valid[item] :] = np.nan
            if kept.shape[0] > 0:
                kept[block, valid[item] :, :, k] = 0.0
            for i in range(6):
                plastic[item, i] = p[i, k]
            accumulated[item] = amount[k]


@Kernel
def follow_back(constants, kept, valid, stresses, of_stress, of_strain, of_plastic, of_amount):
    """Fill the gradients by the strains; those by plastic strain and its amount go from the end to the beginning.

    With the flow c d n, c = sqrt(3/2), along the direction n of the trial stress s, and its increment d, which solves
    c |s| = 3 G d + strength(amount + d). The stress has the same direction. Points that are not valid have none.
    """
    bulk, shear, _, hardening, saturation, rate, _ = constants
    third, c = 1.0 / 3.0, np.sqrt(1.5)
    saturates = saturation * rate != 0.0
    points = stresses.shape[1]
    numbers = np.zeros((2 * points + 3, 6, LANES))
    p, flow, rest = numbers[2 * points], numbers[2 * points + 1], numbers[2 * points + 2]
    a, trace, norm, slope, along, increment = rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]
    for block in range(kept.shape[0]):
        first = block * LANES
        lanes = min(LANES, of_stress.shape[0] - first)
        for k in range(lanes):
            for i in range(6):
                p[i, k] = of_plastic[first + k, i]
            a[k] = of_amount[first + k]
            for t in range(points):
                for i in range(6):
                    is_valid = t < valid[first + k]
                    numbers[2 * t, i, k] = stresses[first + k, t, i] if is_valid else 0.0
                    numbers[2 * t + 1, i, k] = of_stress[first + k, t, i] if is_valid else 0.0
        for t in range(points - 1, -1, -1):
            n, g = numbers[2 * t], numbers[2 * t + 1]
            for k in range(LANES):
                increment[k] = kept[block, t, 1, k]
            for k in range(LANES):
                slope[k] = hardening
            if saturates:
                for k in range(lanes):
                    slope[k] += saturation * rate * np.exp(-rate * (kept[block, t, 0, k] + increment[k]))
            for k in range(LANES):
                trace[k] = (n[0, k] + n[1, k] + n[2, k]) * third
            for i in range(3):
                for k in range(LANES):
                    n[i, k] -= trace[k]
            for k in range(LANES):
                square = n[0, k] * n[0, k] + n[1, k] * n[1, k] + n[2, k] * n[2, k]
                norm[k] = np.sqrt(square + n[3, k] * n[3, k] + n[4, k] * n[4, k] + n[5, k] * n[5, k])
                along[k] = 1.0 / (norm[k] + _TINY)
            for i in range(6):
                for k in range(LANES):
                    n[i, k] *= along[k]
            for k in range(LANES):
                norm[k] += 2.0 * shear * c * increment[k]  # of the trial stress
                trace[k] = g[0, k] + g[1, k] + g[2, k]
            for i in range(3):
                for k in range(LANES):
                    g[i, k] -= trace[k] * third
            for i in range(6):
                for k in range(LANES):
                    flow[i, k] = p[i, k] - 2.0 * shear * g[i, k]
            for k in range(LANES):
                along[k] = flow[0, k] * n[0, k] + flow[1, k] * n[1, k] + flow[2, k] * n[2, k]
                along[k] += flow[3, k] * n[3, k] + flow[4, k] * n[4, k] + flow[5, k] * n[5, k]
            for k in range(LANES):
                share = increment[k] / ((increment[k] + _TINY) * (3.0 * shear + slope[k]))  # none where nothing flows
                of_increment = (c * along[k] + a[k]) * share
                a[k] -= slope[k] * of_increment
                increment[k] *= c / (norm[k] + _TINY)
                along[k] = c * of_increment - increment[k] * along[k]
            for i in range(6):
                for k in range(LANES):
                    g[i, k] += increment[k] * flow[i, k] + along[k] * n[i, k]
            for k in range(LANES):
                norm[k] = (g[0, k] + g[1, k] + g[2, k]) * third
            for i in range(3):
                for k in range(LANES):
                    g[i, k] += bulk / (2.0 * shear) * trace[k] - norm[k]
            for i in range(6):
                for k in range(LANES):
                    g[i, k] *= 2.0 * shear
                    p[i, k] -= g[i, k]
        for k in range(lanes):
            for t in range(points):
                for i in range(6):
                    of_strain[first + k, t, i] = numbers[2 * t + 1, i, k]
            for i in range(6):
                of_plastic[first + k, i] = p[i, k]
            of_amount[first + k] = a[k]
