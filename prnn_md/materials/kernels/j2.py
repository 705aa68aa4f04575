"""J2 plasticity along paths, and back again, in compiled loops.

Several items go side by side, so that one instruction works on all of them. For this, the numbers of theirs that last
longer than a loop over items lie in one array, whose rows the compiler can tell apart, each number in a variable within
the loop; and these loops have no branches, but for those with saturation.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import INLINED, Kernel

ITERATIONS = 100
"""At most, of Newton's method for an increment with saturation."""

LANES = 16
"""Items that are worked on at once."""

KEPT = 3
"""Numbers that the way back needs of each increment and item beside the stress: the accumulated plastic strain after
it, its own, and the norm of the trial stress."""

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
def follow(constants, strains, stresses, plastic, accumulated, failed, valid, kept):
    """Fill stresses (items, T, 6) and, if it has room, what the way back needs, (blocks, T, KEPT, LANES).

    Plastic strain (items, 6) and its amount (items,) go to the end of the path, and so does `failed` (items,). Fill
    `valid` (items,), the number of points before the first whose stress is not finite; from there on all are NaN, as
    they are where an item has failed before.
    """
    bulk, shear, yield_stress, hardening, saturation, rate, least_slope = constants
    linear, double, third, c = 3.0 * shear + hardening, 2.0 * shear, 1.0 / 3.0, np.sqrt(1.5)
    saturates = saturation * rate != 0.0
    rows = np.zeros((18, LANES))  # stress, plastic strain, and then
    amount, increment, norm, pressure, finite, count = 12, 13, 14, 15, 16, 17
    for block in range((strains.shape[0] + LANES - 1) // LANES):
        first = block * LANES
        lanes = min(LANES, strains.shape[0] - first)
        for k in range(lanes):
            for i in range(6):
                rows[6 + i, k] = plastic[first + k, i]
            rows[amount, k] = accumulated[first + k]
        for k in range(LANES):
            rows[finite, k] = 1.0
            rows[count, k] = 0.0
        for t in range(strains.shape[1]):
            for k in range(lanes):
                for i in range(6):
                    rows[i, k] = strains[first + k, t, i]
            for k in range(LANES):
                s0, s1, s2 = rows[0, k] - rows[6, k], rows[1, k] - rows[7, k], rows[2, k] - rows[8, k]
                s3, s4, s5 = rows[3, k] - rows[9, k], rows[4, k] - rows[10, k], rows[5, k] - rows[11, k]
                trace = s0 + s1 + s2
                s0, s1, s2 = s0 - trace * third, s1 - trace * third, s2 - trace * third
                size = double * np.sqrt(s0 * s0 + s1 * s1 + s2 * s2 + s3 * s3 + s4 * s4 + s5 * s5)
                excess = c * size - (yield_stress + hardening * rows[amount, k])
                rows[0, k], rows[1, k], rows[2, k] = double * s0, double * s1, double * s2
                rows[3, k], rows[4, k], rows[5, k] = double * s3, double * s4, double * s5
                rows[pressure, k] = bulk * trace
                rows[norm, k] = size
                rows[increment, k] = (excess + abs(excess)) * (0.5 / linear)
            if saturates:
                for k in range(lanes):
                    fading = saturation * np.exp(-rate * rows[amount, k])
                    strength = yield_stress + hardening * rows[amount, k] + saturation - fading
                    excess = c * rows[norm, k] - strength
                    if excess > 0.0:
                        tolerance = 1e-13 * (excess + yield_stress)
                        rows[increment, k] = _root(excess, linear, fading, rate, least_slope, tolerance)
                    else:
                        rows[increment, k] = 0.0 * excess  # NaN stays
            for k in range(LANES):
                share = c * rows[increment, k] / (rows[norm, k] + _TINY)
                rest = 1.0 - double * share
                s0, s1, s2 = rows[0, k], rows[1, k], rows[2, k]
                s3, s4, s5 = rows[3, k], rows[4, k], rows[5, k]
                rows[6, k] += share * s0
                rows[7, k] += share * s1
                rows[8, k] += share * s2
                rows[9, k] += share * s3
                rows[10, k] += share * s4
                rows[11, k] += share * s5
                rows[amount, k] += rows[increment, k]
                s0, s1, s2 = rest * s0 + rows[pressure, k], rest * s1 + rows[pressure, k], rest * s2 + rows[pressure, k]
                s3, s4, s5 = rest * s3, rest * s4, rest * s5
                rows[0, k], rows[1, k], rows[2, k], rows[3, k], rows[4, k], rows[5, k] = s0, s1, s2, s3, s4, s5
                total = abs(s0) + abs(s1) + abs(s2) + abs(s3) + abs(s4) + abs(s5)
                rows[finite, k] = rows[finite, k] if total < np.inf else 0.0
                rows[count, k] += rows[finite, k]
            if kept.shape[0] > 0:
                for i in range(KEPT):
                    for k in range(LANES):
                        kept[block, t, i, k] = rows[amount + i, k]
            for k in range(lanes):
                for i in range(6):
                    stresses[first + k, t, i] = rows[i, k]
        for k in range(lanes):
            item = first + k
            for i in range(6):
                plastic[item, i] = rows[6 + i, k]
            accumulated[item] = rows[amount, k]
            valid[item] = 0 if failed[item] else int(rows[count, k])
            failed[item] = valid[item] < strains.shape[1]
            for t in range(valid[item], strains.shape[1]):
                for i in range(6):
                    stresses[item, t, i] = np.nan


@Kernel
def follow_back(constants, kept, valid, stresses, of_stress, of_strain, of_plastic, of_amount):
    """Fill the gradients by the strains; those by plastic strain and its amount go from the end to the beginning.

    With the flow c d n, c = sqrt(3/2), along the direction n of the trial stress s, and its increment d, which solves
    c |s| = 3 G d + strength(amount + d). The stress has the same direction. Points that are not valid have none.
    """
    bulk, shear, _, hardening, saturation, rate, _ = constants
    double, third, c = 2.0 * shear, 1.0 / 3.0, np.sqrt(1.5)
    saturates = saturation * rate != 0.0
    rows = np.zeros((23, LANES))  # stress, gradients by it or the strain and by the plastic strain, and then
    of_a, amount, increment, norm, slope = 18, 19, 20, 21, 22
    for block in range(kept.shape[0]):
        first = block * LANES
        lanes = min(LANES, of_stress.shape[0] - first)
        for k in range(lanes):
            for i in range(6):
                rows[12 + i, k] = of_plastic[first + k, i]
            rows[of_a, k] = of_amount[first + k]
        for t in range(stresses.shape[1] - 1, -1, -1):
            for i in range(KEPT):
                for k in range(LANES):
                    rows[amount + i, k] = kept[block, t, i, k]
            for k in range(lanes):
                if t < valid[first + k]:
                    for i in range(6):
                        rows[i, k] = stresses[first + k, t, i]
                        rows[6 + i, k] = of_stress[first + k, t, i]
                else:
                    for i in range(6):
                        rows[i, k] = 0.0
                        rows[6 + i, k] = 0.0
                    rows[increment, k] = rows[amount, k] = rows[norm, k] = 0.0
            for k in range(LANES):
                rows[slope, k] = hardening
            if saturates:
                for k in range(lanes):
                    rows[slope, k] += saturation * rate * np.exp(-rate * rows[amount, k])
            for k in range(LANES):
                d, h, a = rows[increment, k], rows[slope, k], rows[of_a, k]
                n0, n1, n2 = rows[0, k], rows[1, k], rows[2, k]
                mean, size = (n0 + n1 + n2) * third, 1.0 / (rows[norm, k] - double * c * d + _TINY)
                n0, n1, n2 = (n0 - mean) * size, (n1 - mean) * size, (n2 - mean) * size
                n3, n4, n5 = rows[3, k] * size, rows[4, k] * size, rows[5, k] * size
                g0, g1, g2 = rows[6, k], rows[7, k], rows[8, k]
                g3, g4, g5 = rows[9, k], rows[10, k], rows[11, k]
                trace = g0 + g1 + g2
                g0, g1, g2 = g0 - trace * third, g1 - trace * third, g2 - trace * third
                f0, f1, f2 = rows[12, k] - double * g0, rows[13, k] - double * g1, rows[14, k] - double * g2
                f3, f4, f5 = rows[15, k] - double * g3, rows[16, k] - double * g4, rows[17, k] - double * g5
                along = f0 * n0 + f1 * n1 + f2 * n2 + f3 * n3 + f4 * n4 + f5 * n5
                of_d = (c * along + a) * d / ((d + _TINY) * (3.0 * shear + h))  # none where nothing flows
                rows[of_a, k] = a - h * of_d
                share = c * d / (rows[norm, k] + _TINY)
                along = c * of_d - share * along
                g0, g1, g2 = g0 + share * f0 + along * n0, g1 + share * f1 + along * n1, g2 + share * f2 + along * n2
                g3, g4, g5 = g3 + share * f3 + along * n3, g4 + share * f4 + along * n4, g5 + share * f5 + along * n5
                mean = bulk / double * trace - (g0 + g1 + g2) * third
                g0, g1, g2 = double * (g0 + mean), double * (g1 + mean), double * (g2 + mean)
                g3, g4, g5 = double * g3, double * g4, double * g5
                rows[6, k], rows[7, k], rows[8, k], rows[9, k], rows[10, k], rows[11, k] = g0, g1, g2, g3, g4, g5
                rows[12, k] -= g0
                rows[13, k] -= g1
                rows[14, k] -= g2
                rows[15, k] -= g3
                rows[16, k] -= g4
                rows[17, k] -= g5
            for k in range(lanes):
                for i in range(6):
                    of_strain[first + k, t, i] = rows[6 + i, k]
        for k in range(lanes):
            for i in range(6):
                of_plastic[first + k, i] = rows[12 + i, k]
            of_amount[first + k] = rows[of_a, k]
