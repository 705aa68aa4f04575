"""Compiled energy, forces and virial of one cell.

Positions x (N, 4) are unwrapped; `p` is a `Field`. The work on pairs, the `Terms` of a cell, goes in passes:
vectors from particle to particle, then the arithmetic of each pair, then forces. Forces go through the passes for some
pairs at a time, so that what one pass leaves is still in the fastest cache for the next.

The arithmetic goes over slices, from index zero. Where an index might be negative, the compiler allows for what lies on
either side of an array, and when another array happens to lie there it does not vectorise: that rounds differently.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, FAST, INLINED
from prnn_md.md.kernels.chains import add_chain_forces, add_chain_virial
from prnn_md.md.kernels.vectors import components, index_at, part, row, rows_of, set_part, set_row

BLOCK = 256  # pairs that go through all passes together, a multiple of four


@njit(**INLINED)
def separations(x, terms, begin, end, place):
    """Write to terms.d and terms.r2, from `place` on, the vectors from first to second particle and their squares.

    For the terms from `begin` to `end`; these and `place` are multiples of four.
    """
    first, second, shifts, d0, d1, d2 = terms.first, terms.second, terms.shifts, terms.d[0], terms.d[1], terms.d[2]
    for q in range(begin, end, 4):
        a = row(x, index_at(second, q)) - row(x, index_at(first, q)) + row(shifts, q)
        b = row(x, index_at(second, q + 1)) - row(x, index_at(first, q + 1)) + row(shifts, q + 1)
        c = row(x, index_at(second, q + 2)) - row(x, index_at(first, q + 2)) + row(shifts, q + 2)
        d = row(x, index_at(second, q + 3)) - row(x, index_at(first, q + 3)) + row(shifts, q + 3)
        x0, x1, x2 = components(a, b, c, d)
        k = q - begin + place
        set_part(d0, k, x0)
        set_part(d1, k, x1)
        set_part(d2, k, x2)
        set_part(terms.r2, k, x0 * x0 + x1 * x1 + x2 * x2)


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
def pair_terms(terms, p, begin, end, place):
    """Energy of the pairs from `begin` to `end` at the squares terms.r2 from `place` on; fills terms.slope there."""
    r2, slope = terms.r2[place:], terms.slope[place:]
    if p.epsilon.size == 1:
        constants = p.epsilon[0], p.sigma2[0], p.inner[0], p.width[0], p.raised[0]
        return _pairs_of_one_kind(r2, constants, end - begin, slope)
    constants = terms.constants
    rows = constants[0][begin:], constants[1][begin:], constants[2][begin:], constants[3][begin:], constants[4][begin:]
    return _pairs_of_many_kinds(r2, rows, end - begin, slope)


@njit(**INLINED)
def _pairs_of_one_kind(r2, constants, count, slope):
    epsilon, sigma2, inner, width, raised = constants
    total = 0.0
    for k in range(count):
        u, slope[k] = pair(r2[k], epsilon, sigma2, inner, width, raised)
        total += u
    return total


@njit(**INLINED)
def _pairs_of_many_kinds(r2, constants, count, slope):
    epsilon, sigma2, inner, width, raised = constants
    total = 0.0
    for k in range(count):
        u, slope[k] = pair(r2[k], epsilon[k], sigma2[k], inner[k], width[k], raised[k])
        total += u
    return total


@njit(**INLINED)
def fene(r2, stiffness, extent2, epsilon, sigma2):
    """Energy of the repulsion in a FENE bond at squared distance r2, and slope u'/r of the whole bond."""
    left = extent2 - r2
    both = 1.0 / (left * r2)  # one division for two
    inverse = both * left
    t = sigma2 * inverse
    s6 = t * t * t
    repels = s6 > 0.5
    slope = stiffness * extent2 * r2 * both
    u, away = 4.0 * epsilon * s6 * (s6 - 1.0) + epsilon, 24.0 * epsilon * s6 * (2.0 * s6 - 1.0) * inverse
    return u if repels else 0.0, slope - (away if repels else 0.0)


@njit(**INLINED)
def harmonic(r2, stiffness, length):
    """Energy and slope u'/r of a harmonic bond at squared distance r2."""
    r = np.sqrt(r2)
    return stiffness * (r - length) * (r - length), 2.0 * stiffness * (1.0 - length / r)


@njit(**INLINED)
def scaled_pair(r2, epsilon, sigma2, charge):
    """Energy and slope u'/r of a scaled pair at squared distance r2."""
    inverse, electric = 1.0 / r2, charge / np.sqrt(r2)
    t = sigma2 * inverse
    s6 = t * t * t
    u = 4.0 * epsilon * s6 * (s6 - 1.0)
    return u + electric, -(24.0 * epsilon * s6 * (2.0 * s6 - 1.0) + electric) * inverse


@njit(**INLINED)
def joined_terms(terms, p, place):
    """Energy of the joined pairs at the squares terms.r2 from `place` on, inf with a broken bond; fills terms.slope."""
    fene_bonds, harmonic_bonds, scaled_pairs = p.fene_bonds, p.harmonic_bonds, p.scaled_pairs
    r2, slope = terms.r2[place:], terms.slope[place:]
    total = _energy_of_extension(r2, fene_bonds) + _fene_terms(r2, fene_bonds, slope)
    r2, slope = r2[fene_bonds.shape[1] :], slope[fene_bonds.shape[1] :]
    total += _harmonic_terms(r2, harmonic_bonds, slope)
    r2, slope = r2[harmonic_bonds.shape[1] :], slope[harmonic_bonds.shape[1] :]
    total += _scaled_pair_terms(r2, scaled_pairs, slope)
    filled = terms.second.size - terms.outer2.size - p.joined.shape[0]
    slope = slope[scaled_pairs.shape[1] :]
    for k in range(filled):
        slope[k] = 0.0
    return total


@njit(**INLINED)
def _energy_of_extension(r2, numbers):
    """Energy of FENE bonds without their repulsion, inf with a broken one.

    A sum of logarithms is taken as that of a product, which takes less time.
    """
    stiffness, extent2 = numbers[0], numbers[1]
    total, product, factor, extent, per_extent = 0.0, 1.0, 0.0, 1.0, 1.0
    for k in range(stiffness.size):
        if r2[k] >= extent2[k]:
            return np.inf
        if stiffness[k] * extent2[k] != factor or extent2[k] != extent or product < 1e-200:
            total -= 0.5 * factor * np.log(product)
            product, factor, extent = 1.0, stiffness[k] * extent2[k], extent2[k]
            per_extent = 1.0 / extent
        product *= 1.0 - r2[k] * per_extent
    return total - 0.5 * factor * np.log(product)


@njit(**INLINED)
def _fene_terms(r2, numbers, slope):
    """Energy of the repulsion in FENE bonds; fills the slopes of the whole bonds."""
    stiffness, extent2, epsilon, sigma2 = numbers[0], numbers[1], numbers[2], numbers[3]
    total = 0.0
    for k in range(stiffness.size):
        u, slope[k] = fene(r2[k], stiffness[k], extent2[k], epsilon[k], sigma2[k])
        total += u
    return total


@njit(**INLINED)
def _harmonic_terms(r2, numbers, slope):
    """Energy of harmonic bonds; fills their slopes."""
    stiffness, length = numbers[0], numbers[1]
    total = 0.0
    for k in range(stiffness.size):
        u, slope[k] = harmonic(r2[k], stiffness[k], length[k])
        total += u
    return total


@njit(**INLINED)
def _scaled_pair_terms(r2, numbers, slope):
    """Energy of scaled pairs; fills their slopes."""
    epsilon, sigma2, charge = numbers[0], numbers[1], numbers[2]
    total = 0.0
    for k in range(epsilon.size):
        u, slope[k] = scaled_pair(r2[k], epsilon[k], sigma2[k], charge[k])
        total += u
    return total


@njit(**INLINED)
def add_forces(terms, begin, end, place, forces):
    """Add slope d to `forces` (N, 4) of the first particle of each term from `begin` to `end`, reversed to the second.

    Slopes and vectors lie in terms.slope and terms.d from `place` on.
    """
    first, second, d0, d1, d2 = terms.first, terms.second, terms.d[0], terms.d[1], terms.d[2]
    for q in range(begin, end, 4):
        k = q - begin + place
        slope = part(terms.slope, k)
        a, b, c, d = rows_of(slope * part(d0, k), slope * part(d1, k), slope * part(d2, k))
        push(index_at(first, q), index_at(second, q), a, forces)
        push(index_at(first, q + 1), index_at(second, q + 1), b, forces)
        push(index_at(first, q + 2), index_at(second, q + 2), c, forces)
        push(index_at(first, q + 3), index_at(second, q + 3), d, forces)


@njit(**INLINED)
def push(i, j, force, forces):
    """Add a force, four numbers, to that of particle i, and subtract it from that of j."""
    set_row(forces, i, row(forces, i) + force)
    set_row(forces, j, row(forces, j) - force)


@njit(**BARE)
def energy_and_forces(x, terms, p, forces):
    """Energy of the cell, inf with a broken bond; fills `forces` (N, 4)."""
    total, pairs, size = 0.0, terms.outer2.size, terms.second.size
    for i in range(x.shape[0]):
        forces[i, 0], forces[i, 1], forces[i, 2], forces[i, 3] = 0.0, 0.0, 0.0, 0.0
    for begin in range(0, pairs, BLOCK):
        end = min(begin + BLOCK, pairs)
        separations(x, terms, begin, end, 0)
        total += pair_terms(terms, p, begin, end, 0)
        add_forces(terms, begin, end, 0, forces)
    separations(x, terms, pairs, size, 0)
    total += joined_terms(terms, p, 0)
    add_forces(terms, pairs, size, 0, forces)
    if p.angles.shape[0] + p.torsions.shape[0]:
        total += add_chain_forces(x, p, forces)
    return total


@njit(**FAST)
def virial(x, terms, p):
    """Virial tensor, sum of u'/r d (x) d over all terms, (3, 3): volume times Cauchy stress, tension positive."""
    pairs, size = terms.outer2.size, terms.second.size
    separations(x, terms, 0, size, 0)
    pair_terms(terms, p, 0, pairs, 0)
    joined_terms(terms, p, pairs)
    slope, d0, d1, d2 = terms.slope, terms.d[0], terms.d[1], terms.d[2]
    xx, xy, xz, yy, yz, zz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for q in range(size):
        xx += slope[q] * d0[q] * d0[q]
        xy += slope[q] * d0[q] * d1[q]
        xz += slope[q] * d0[q] * d2[q]
        yy += slope[q] * d1[q] * d1[q]
        yz += slope[q] * d1[q] * d2[q]
        zz += slope[q] * d2[q] * d2[q]
    tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    add_chain_virial(x, p, tensor)
    return tensor
