"""Compiled energy, forces and virial of one cell.

Positions x (N, 4) are unwrapped; `p` is a `Field`. The work on the pairs of a cell, its `Terms`, goes in passes, of
which the one where the arithmetic is runs on contiguous arrays and is vectorised. Forces go through the passes for a
few particles at a time, so that what one pass leaves is still in the fastest cache for the next.
"""

import numpy as np
from numba import njit

from prnn_md.md.kernels.chains import add_chain_forces, add_chain_virial
from prnn_md.md.kernels.compiled import FAST
from prnn_md.md.kernels.field import FENE, HARMONIC

BLOCK = 256  # pairs that go through all passes together


@njit(**FAST)
def separations(x, starts, second, shifts, begin, end, d, r2):
    """Fill the vectors d (P, 4) from first to second particle of each pair, and their squares r2 (P,).

    Only for the pairs of the particles `begin` to `end`, at the beginning of d and r2.
    """
    base = starts[begin]
    for i in range(begin, end):
        x0, x1, x2, x3 = x[i, 0], x[i, 1], x[i, 2], x[i, 3]
        for q in range(starts[i], starts[i + 1]):
            j, k = second[q], q - base
            d0 = x[j, 0] - x0 + shifts[q, 0]
            d1 = x[j, 1] - x1 + shifts[q, 1]
            d2 = x[j, 2] - x2 + shifts[q, 2]
            d3 = x[j, 3] - x3 + shifts[q, 3]
            d[k, 0], d[k, 1], d[k, 2], d[k, 3] = d0, d1, d2, d3
    for k in range(starts[end] - base):
        r2[k] = d[k, 0] * d[k, 0] + d[k, 1] * d[k, 1] + d[k, 2] * d[k, 2]


@njit(**FAST)
def pair(r2, epsilon, sigma2, inner, width, raised):
    """Energy u and slope u'/r of a tapered Lennard-Jones pair at squared distance r2; zero beyond the taper."""
    inverse = 1.0 / r2
    t = sigma2 * inverse
    s6 = t * t * t
    scale = 4.0 * epsilon * s6
    u = scale * (s6 - 1.0)
    plain = -6.0 * scale * (2.0 * s6 - 1.0) * inverse
    r = np.sqrt(r2)
    z = min(max((r - inner) * width, 0.0), 1.0)
    taper = 1.0 + z * z * z * (-10.0 + z * (15.0 - 6.0 * z))
    edge = z * (1.0 - z)
    slope = plain * taper - 30.0 * edge * edge * width * u * r * inverse
    return u * taper + (raised if z < 1.0 else 0.0), slope


@njit(**FAST)
def pair_terms(terms, p, begin, end):
    """Energy of the pairs of the particles `begin` to `end` at the first distances of terms.r2; fills terms.slope."""
    base, count = terms.starts[begin], terms.starts[end] - terms.starts[begin]
    if p.epsilon.size == 1:
        constants = p.epsilon[0], p.sigma2[0], p.inner[0], p.width[0], p.raised[0]
        return _pairs_of_one_kind(terms.r2, constants, count, terms.slope)
    return _pairs_of_many_kinds(terms.r2, terms.constants, base, count, terms.slope)


@njit(**FAST)
def _pairs_of_one_kind(r2, constants, count, slope):
    epsilon, sigma2, inner, width, raised = constants
    total = 0.0
    for k in range(count):
        u, slope[k] = pair(r2[k], epsilon, sigma2, inner, width, raised)
        total += u
    return total


@njit(**FAST)
def _pairs_of_many_kinds(r2, constants, base, count, slope):
    total = 0.0
    for k in range(count):
        q = base + k
        c0, c1, c2, c3, c4 = constants[0, q], constants[1, q], constants[2, q], constants[3, q], constants[4, q]
        u, slope[k] = pair(r2[k], c0, c1, c2, c3, c4)
        total += u
    return total


@njit(**FAST)
def joined_slope(r2, form, numbers, b):
    """Slope u'/r at squared distance r2 of a joined pair of this form with the constants `numbers`[b]."""
    if form == FENE:
        left = numbers[b, 1] - r2
        both = 1.0 / (left * r2)  # one division for two
        inverse = both * left
        slope = numbers[b, 0] * numbers[b, 1] * r2 * both
        t = numbers[b, 3] * inverse
        s6 = t * t * t
        return slope - 24.0 * numbers[b, 2] * s6 * (2.0 * s6 - 1.0) * inverse if s6 > 0.5 else slope
    if form == HARMONIC:
        return 2.0 * numbers[b, 0] * (1.0 - numbers[b, 1] / np.sqrt(r2))
    t = numbers[b, 1] / r2
    s6 = t * t * t
    return -(24.0 * numbers[b, 0] * s6 * (2.0 * s6 - 1.0) + numbers[b, 2] / np.sqrt(r2)) / r2


@njit(**FAST)
def add_joined_forces(x, joined, forms, numbers, forces):
    """Energy of all joined pairs, inf with a broken bond; adds their forces (N, 4)."""
    total, product, factor, extent2, per_extent2 = 0.0, 1.0, 0.0, 1.0, 1.0
    for b in range(joined.shape[0]):
        i, j = joined[b, 0], joined[b, 1]
        d0, d1, d2, d3 = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2], x[j, 3] - x[i, 3]
        r2 = d0 * d0 + d1 * d1 + d2 * d2
        if forms[b] == FENE:
            left = numbers[b, 1] - r2
            if left <= 0.0:
                return np.inf
            # the sum of logarithms is taken as that of a product, which takes less time
            if numbers[b, 0] * numbers[b, 1] != factor or numbers[b, 1] != extent2 or product < 1e-200:
                total -= 0.5 * factor * np.log(product)
                product, factor, extent2 = 1.0, numbers[b, 0] * numbers[b, 1], numbers[b, 1]
                per_extent2 = 1.0 / extent2
            product *= left * per_extent2
            both = 1.0 / (left * r2)  # one division for two
            inverse = both * left
            slope = factor * r2 * both
            t = numbers[b, 3] * inverse
            s6 = t * t * t
            if s6 > 0.5:
                total += 4.0 * numbers[b, 2] * s6 * (s6 - 1.0) + numbers[b, 2]
                slope -= 24.0 * numbers[b, 2] * s6 * (2.0 * s6 - 1.0) * inverse
        elif forms[b] == HARMONIC:
            total += numbers[b, 0] * (np.sqrt(r2) - numbers[b, 1]) ** 2
            slope = joined_slope(r2, HARMONIC, numbers, b)
        else:
            t = numbers[b, 1] / r2
            s6 = t * t * t
            total += 4.0 * numbers[b, 0] * s6 * (s6 - 1.0) + numbers[b, 2] / np.sqrt(r2)
            slope = joined_slope(r2, forms[b], numbers, b)
        g0, g1, g2, g3 = slope * d0, slope * d1, slope * d2, slope * d3
        h0, h1, h2, h3 = forces[i, 0] + g0, forces[i, 1] + g1, forces[i, 2] + g2, forces[i, 3] + g3
        forces[i, 0], forces[i, 1], forces[i, 2], forces[i, 3] = h0, h1, h2, h3
        h0, h1, h2, h3 = forces[j, 0] - g0, forces[j, 1] - g1, forces[j, 2] - g2, forces[j, 3] - g3
        forces[j, 0], forces[j, 1], forces[j, 2], forces[j, 3] = h0, h1, h2, h3
    return total - 0.5 * factor * np.log(product)


@njit(**FAST)
def add_pair_forces(starts, second, d, slope, begin, end, forces):
    """Add slope (P,) times d (P, 4) to `forces` (N, 4) of the first particle of a pair, reversed to the second.

    For the pairs of the particles `begin` to `end`, at the beginning of d and slope.
    """
    base = starts[begin]
    for i in range(begin, end):
        f0, f1, f2, f3 = 0.0, 0.0, 0.0, 0.0
        for q in range(starts[i], starts[i + 1]):
            k = q - base
            j, s = second[q], slope[k]
            g0, g1, g2, g3 = s * d[k, 0], s * d[k, 1], s * d[k, 2], s * d[k, 3]
            f0, f1, f2, f3 = f0 + g0, f1 + g1, f2 + g2, f3 + g3
            h0, h1, h2, h3 = forces[j, 0] - g0, forces[j, 1] - g1, forces[j, 2] - g2, forces[j, 3] - g3
            forces[j, 0], forces[j, 1], forces[j, 2], forces[j, 3] = h0, h1, h2, h3
        forces[i, 0] += f0
        forces[i, 1] += f1
        forces[i, 2] += f2
        forces[i, 3] += f3


@njit(**FAST)
def energy_and_forces(x, terms, p, forces):
    """Energy of the cell, inf with a broken bond; fills `forces` (N, 4)."""
    starts, total, begin, n = terms.starts, 0.0, 0, x.shape[0]
    for i in range(n):
        forces[i, 0], forces[i, 1], forces[i, 2], forces[i, 3] = 0.0, 0.0, 0.0, 0.0
    while begin < n:
        end = begin + 1
        while end < n and starts[end + 1] - starts[begin] <= BLOCK:
            end += 1
        separations(x, starts, terms.second, terms.shifts, begin, end, terms.d, terms.r2)
        total += pair_terms(terms, p, begin, end)
        add_pair_forces(starts, terms.second, terms.d, terms.slope, begin, end, forces)
        begin = end
    total += add_joined_forces(x, p.joined, p.join_forms, p.join_numbers, forces)
    if p.angles.shape[0] + p.torsions.shape[0]:
        total += add_chain_forces(x, p, forces)
    return total


@njit(**FAST)
def virial(x, terms, p):
    """Virial tensor, sum of u'/r d (x) d over all terms, (3, 3): volume times Cauchy stress, tension positive."""
    separations(x, terms.starts, terms.second, terms.shifts, 0, x.shape[0], terms.d, terms.r2)
    pair_terms(terms, p, 0, x.shape[0])
    tensor, bond, d = np.zeros((3, 3)), np.empty(3), terms.d
    for q in range(terms.slope.size):
        for a in range(3):
            for b in range(3):
                tensor[a, b] += terms.slope[q] * d[q, a] * d[q, b]
    for row in range(p.joined.shape[0]):
        for a in range(3):
            bond[a] = x[p.joined[row, 1], a] - x[p.joined[row, 0], a]
        slope = joined_slope(bond[0] ** 2 + bond[1] ** 2 + bond[2] ** 2, p.join_forms[row], p.join_numbers, row)
        for a in range(3):
            for b in range(3):
                tensor[a, b] += slope * bond[a] * bond[b]
    add_chain_virial(x, p, tensor)
    return tensor
