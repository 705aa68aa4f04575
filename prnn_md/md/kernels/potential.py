"""Compiled energy, forces and virial of one cell.

Positions x (N, 4) are unwrapped; `p` is a `Field`. The work on the pairs of a cell, its `Terms`, goes in passes:
vectors from particle to particle, then the arithmetic of each pair, then forces. Forces go through the passes for some
pairs at a time, so that what one pass leaves is still in the fastest cache for the next.
"""

import numpy as np
from numba import njit

from prnn_md.md.kernels.chains import add_chain_forces, add_chain_virial
from prnn_md.md.kernels.compiled import FAST, INLINED
from prnn_md.md.kernels.field import FENE, HARMONIC
from prnn_md.md.kernels.vectors import components, index_at, part, row, rows_of, set_part, set_row

BLOCK = 256  # pairs that go through all passes together, a multiple of four


@njit(**INLINED)
def separations(x, terms, begin, end):
    """Write to terms.d and terms.r2 the vectors from first to second particle and their squares.

    For the pairs from `begin` to `end`, multiples of four, at the beginning of d and r2.
    """
    first, second, shifts, d0, d1, d2 = terms.first, terms.second, terms.shifts, terms.d[0], terms.d[1], terms.d[2]
    for q in range(begin, end, 4):
        a = row(x, index_at(second, q)) - row(x, index_at(first, q)) + row(shifts, q)
        b = row(x, index_at(second, q + 1)) - row(x, index_at(first, q + 1)) + row(shifts, q + 1)
        c = row(x, index_at(second, q + 2)) - row(x, index_at(first, q + 2)) + row(shifts, q + 2)
        d = row(x, index_at(second, q + 3)) - row(x, index_at(first, q + 3)) + row(shifts, q + 3)
        x0, x1, x2 = components(a, b, c, d)
        set_part(d0, q - begin, x0)
        set_part(d1, q - begin, x1)
        set_part(d2, q - begin, x2)
        set_part(terms.r2, q - begin, x0 * x0 + x1 * x1 + x2 * x2)


@njit(**INLINED)
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


@njit(**INLINED)
def pair_terms(terms, p, begin, end):
    """Energy of the pairs from `begin` to `end` at the first distances of terms.r2; fills the first of terms.slope."""
    if p.epsilon.size == 1:
        constants = p.epsilon[0], p.sigma2[0], p.inner[0], p.width[0], p.raised[0]
        return _pairs_of_one_kind(terms.r2, constants, end - begin, terms.slope)
    return _pairs_of_many_kinds(terms.r2, terms.constants, begin, end - begin, terms.slope)


@njit(**INLINED)
def _pairs_of_one_kind(r2, constants, count, slope):
    epsilon, sigma2, inner, width, raised = constants
    total = 0.0
    for k in range(count):
        u, slope[k] = pair(r2[k], epsilon, sigma2, inner, width, raised)
        total += u
    return total


@njit(**INLINED)
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


@njit(**INLINED)
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


@njit(**INLINED)
def add_pair_forces(terms, begin, end, forces):
    """Add slope d to `forces` (N, 4) of the first particle of each pair from `begin` to `end`, reversed to the second.

    Slopes and vectors are the first of terms.slope and terms.d.
    """
    first, second, d0, d1, d2 = terms.first, terms.second, terms.d[0], terms.d[1], terms.d[2]
    for q in range(begin, end, 4):
        slope = part(terms.slope, q - begin)
        f0, f1, f2 = slope * part(d0, q - begin), slope * part(d1, q - begin), slope * part(d2, q - begin)
        a, b, c, d = rows_of(f0, f1, f2)
        push(index_at(first, q), index_at(second, q), a, forces)
        push(index_at(first, q + 1), index_at(second, q + 1), b, forces)
        push(index_at(first, q + 2), index_at(second, q + 2), c, forces)
        push(index_at(first, q + 3), index_at(second, q + 3), d, forces)


@njit(**INLINED)
def push(i, j, force, forces):
    """Add a force, four numbers, to that of particle i, and subtract it from that of j."""
    set_row(forces, i, row(forces, i) + force)
    set_row(forces, j, row(forces, j) - force)


@njit(**FAST)
def energy_and_forces(x, terms, p, forces):
    """Energy of the cell, inf with a broken bond; fills `forces` (N, 4)."""
    total, size = 0.0, terms.second.size
    for i in range(x.shape[0]):
        forces[i, 0], forces[i, 1], forces[i, 2], forces[i, 3] = 0.0, 0.0, 0.0, 0.0
    for begin in range(0, size, BLOCK):
        end = min(begin + BLOCK, size)
        separations(x, terms, begin, end)
        total += pair_terms(terms, p, begin, end)
        add_pair_forces(terms, begin, end, forces)
    total += add_joined_forces(x, p.joined, p.join_forms, p.join_numbers, forces)
    if p.angles.shape[0] + p.torsions.shape[0]:
        total += add_chain_forces(x, p, forces)
    return total


@njit(**FAST)
def virial(x, terms, p):
    """Virial tensor, sum of u'/r d (x) d over all terms, (3, 3): volume times Cauchy stress, tension positive."""
    size, slope, d0, d1, d2 = terms.second.size, terms.slope, terms.d[0], terms.d[1], terms.d[2]
    separations(x, terms, 0, size)
    pair_terms(terms, p, 0, size)
    xx, xy, xz, yy, yz, zz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for q in range(size):
        xx += slope[q] * d0[q] * d0[q]
        xy += slope[q] * d0[q] * d1[q]
        xz += slope[q] * d0[q] * d2[q]
        yy += slope[q] * d1[q] * d1[q]
        yz += slope[q] * d1[q] * d2[q]
        zz += slope[q] * d2[q] * d2[q]
    tensor, bond = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), np.empty(3)
    for k in range(p.joined.shape[0]):
        for a in range(3):
            bond[a] = x[p.joined[k, 1], a] - x[p.joined[k, 0], a]
        pull = joined_slope(bond[0] ** 2 + bond[1] ** 2 + bond[2] ** 2, p.join_forms[k], p.join_numbers, k)
        for a in range(3):
            for b in range(3):
                tensor[a, b] += pull * bond[a] * bond[b]
    add_chain_virial(x, p, tensor)
    return tensor
