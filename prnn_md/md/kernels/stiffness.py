"""Compiled stiffness of one cell, and the solution of linear systems with it.

A term between two particles at distance vector d has the stiffness K = u'/r I + (u'' - u'/r)/r^2 d (x) d; the Hessian
of the energy, W_yy, is made of these blocks and of those of angles and torsions.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, FAST, INLINED
from prnn_md.md.kernels.arrays import combine, copy, inner, remove_mean
from prnn_md.md.kernels.chains import add_leg_pulls, chain_stiffness, fill_legs, stiffness_times
from prnn_md.md.kernels.potential import fene, harmonic, push, scaled_pair, separations
from prnn_md.md.kernels.vectors import components, index_at, part, row, rows_of

SOLVED, NOT_SOLVED, NOT_POSITIVE = 0, 1, 2
SOFTEST = 1e-6  # curvature, in epsilon/sigma^2, below which the energy counts as flat along a direction


class Stiffness(NamedTuple):
    """The pair terms of a cell within the cutoff, joined ones and others, and their stiffness.

    `first`, `second` (P,) and `shifts` (P, 4) as in `Terms`, also filled up to a multiple of four, by terms without
    stiffness; `d` (3, P) from first to second particle; `slope` (P,), u'/r; `along` (P,), (u'' - u'/r)/r^2. `bend`
    (A, 6, 6) and `twist` (D, 9, 9) are the second derivatives of angles and torsions by their legs, `bend_slope`
    (A, 2, 3) and `twist_slope` (D, 3, 3) the first.
    """

    first: np.ndarray
    second: np.ndarray
    d: np.ndarray
    shifts: np.ndarray
    slope: np.ndarray
    along: np.ndarray
    bend: np.ndarray
    twist: np.ndarray
    bend_slope: np.ndarray
    twist_slope: np.ndarray


@njit(**FAST)
def stiffness(x, terms, p):
    """Stiffness of all terms that are within the cutoff at positions x (N, 4)."""
    pairs, joined = terms.outer2.size, p.joined.shape[0]
    separations(x, terms, 0, terms.second.size, 0)
    stiff = np.empty(terms.second.size)
    fill_pair_stiffness(terms, p, stiff)
    fill_joined_stiffness(terms, p, stiff)
    count = joined
    for q in range(pairs):
        count += terms.r2[q] < terms.outer2[q]
    size = (count + 3) // 4 * 4
    first, second, shifts = np.zeros(size, np.uint32), np.zeros(size, np.uint32), np.zeros((size, 4))
    d, slope, along = np.zeros((3, size)), np.zeros(size), np.zeros(size)
    count = 0
    for q in range(pairs + joined):
        if q >= pairs or terms.r2[q] < terms.outer2[q]:
            first[count], second[count] = terms.first[q], terms.second[q]
            slope[count], along[count] = terms.slope[q], stiff[q]
            for a in range(3):
                d[a, count], shifts[count, a] = terms.d[a, q], terms.shifts[q, a]
            count += 1
    chains = chain_stiffness(x, p)
    return Stiffness(first, second, d, shifts, slope, along, *chains)


@njit(**FAST)
def pair_stiffness(r2, epsilon, sigma2, inner, width):
    """u'/r and (u'' - u'/r)/r^2 of a tapered Lennard-Jones pair at squared distance r2."""
    inverse = 1.0 / r2
    t = sigma2 * inverse
    s6 = t * t * t
    scale = 4.0 * epsilon * s6
    u = scale * (s6 - 1.0)
    plain = -6.0 * scale * (2.0 * s6 - 1.0) * inverse
    curvature = 6.0 * scale * (26.0 * s6 - 7.0) * inverse
    r = np.sqrt(r2)
    z = min(max((r - inner) * width, 0.0), 1.0)
    edge = z * (1.0 - z)
    taper = 1.0 + z * z * z * (-10.0 + z * (15.0 - 6.0 * z))
    taper1 = -30.0 * edge * edge * width
    taper2 = -60.0 * edge * (1.0 - 2.0 * z) * width * width
    slope = plain * taper + u * taper1 * r * inverse
    return slope, (curvature * taper + 2.0 * plain * r * taper1 + u * taper2 - slope) * inverse


@njit(**BARE)
def fill_pair_stiffness(terms, p, along):
    """Fill the first of terms.slope and `along` (T,), see `pair_stiffness`, of all pairs at the distances terms.r2."""
    if p.epsilon.size == 1:
        constants = p.epsilon[0], p.sigma2[0], p.inner[0], p.width[0]
        _stiffness_of_one_kind(terms.r2, constants, terms.outer2.size, terms.slope, along)
    else:
        _stiffness_of_many_kinds(terms.r2, terms.constants, terms.slope, along)


@njit(**FAST)
def _stiffness_of_one_kind(r2, constants, pairs, slope, along):
    epsilon, sigma2, inner, width = constants
    for q in range(pairs):
        slope[q], along[q] = pair_stiffness(r2[q], epsilon, sigma2, inner, width)


@njit(**FAST)
def _stiffness_of_many_kinds(r2, constants, slope, along):
    for q in range(constants.shape[1]):
        c0, c1, c2, c3 = constants[0, q], constants[1, q], constants[2, q], constants[3, q]
        slope[q], along[q] = pair_stiffness(r2[q], c0, c1, c2, c3)


@njit(**FAST)
def fene_stiffness(r2, stiffness, extent2, epsilon, sigma2):
    """u'/r and (u'' - u'/r)/r^2 of a FENE bond at squared distance r2."""
    _, slope = fene(r2, stiffness, extent2, epsilon, sigma2)
    left = 1.0 - r2 / extent2
    curvature = stiffness / left * (1.0 + 2.0 * (1.0 - left) / left)
    t = sigma2 / r2
    s6 = t * t * t
    if s6 > 0.5:
        curvature += 24.0 * epsilon * s6 * (26.0 * s6 - 7.0) / r2
    return slope, (curvature - slope) / r2


@njit(**BARE)
def fill_joined_stiffness(terms, p, along):
    """Fill the last of terms.slope and `along` (T,), of the joined pairs at the distances terms.r2."""
    pairs, fene_bonds, harmonic_bonds = terms.outer2.size, p.fene_bonds.shape[1], p.harmonic_bonds.shape[1]
    r2, slope, along = terms.r2[pairs:], terms.slope[pairs:], along[pairs:]
    _fill_fene_stiffness(r2, p.fene_bonds, slope, along)
    r2, slope, along = r2[fene_bonds:], slope[fene_bonds:], along[fene_bonds:]
    _fill_harmonic_stiffness(r2, p.harmonic_bonds, slope, along)
    r2, slope, along = r2[harmonic_bonds:], slope[harmonic_bonds:], along[harmonic_bonds:]
    _fill_scaled_pair_stiffness(r2, p.scaled_pairs, slope, along)


@njit(**INLINED)
def _fill_fene_stiffness(r2, numbers, slope, along):
    stiffness, extent2, epsilon, sigma2 = numbers[0], numbers[1], numbers[2], numbers[3]
    for k in range(stiffness.size):
        slope[k], along[k] = fene_stiffness(r2[k], stiffness[k], extent2[k], epsilon[k], sigma2[k])


@njit(**INLINED)
def _fill_harmonic_stiffness(r2, numbers, slope, along):
    stiffness, length = numbers[0], numbers[1]
    for k in range(stiffness.size):
        _, slope_k = harmonic(r2[k], stiffness[k], length[k])
        slope[k], along[k] = slope_k, (2.0 * stiffness[k] - slope_k) / r2[k]


@njit(**INLINED)
def _fill_scaled_pair_stiffness(r2, numbers, slope, along):
    epsilon, sigma2, charge = numbers[0], numbers[1], numbers[2]
    for k in range(epsilon.size):
        _, slope_k = scaled_pair(r2[k], epsilon[k], sigma2[k], charge[k])
        t = sigma2[k] / r2[k]
        s6 = t * t * t
        curvature = (24.0 * epsilon[k] * s6 * (26.0 * s6 - 7.0) + 2.0 * charge[k] / np.sqrt(r2[k])) / r2[k]
        slope[k], along[k] = slope_k, (curvature - slope_k) / r2[k]


@njit(**BARE)
def hessian_times(v, k, p, out):
    """out = W_yy v for displacements v (N, 4), a `Stiffness` k and the `Field` p that it is of."""
    _pairs_times(v, k, out)
    if p.angles.shape[0] + p.torsions.shape[0]:
        _subtract_chains(v, p.angles, k.bend, out)
        _subtract_chains(v, p.torsions, k.twist, out)


@njit(**INLINED)
def _pairs_times(v, k, out):
    for i in range(v.shape[0]):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = 0.0, 0.0, 0.0, 0.0
    first, second, d0, d1, d2 = k.first, k.second, k.d[0], k.d[1], k.d[2]
    for q in range(0, second.size, 4):
        a = row(v, index_at(first, q)) - row(v, index_at(second, q))
        b = row(v, index_at(first, q + 1)) - row(v, index_at(second, q + 1))
        c = row(v, index_at(first, q + 2)) - row(v, index_at(second, q + 2))
        d = row(v, index_at(first, q + 3)) - row(v, index_at(second, q + 3))
        w0, w1, w2 = components(a, b, c, d)
        x0, x1, x2, slope = part(d0, q), part(d1, q), part(d2, q), part(k.slope, q)
        stretch = part(k.along, q) * (x0 * w0 + x1 * w1 + x2 * w2)
        a, b, c, d = rows_of(slope * w0 + stretch * x0, slope * w1 + stretch * x1, slope * w2 + stretch * x2)
        push(index_at(first, q), index_at(second, q), a, out)
        push(index_at(first, q + 1), index_at(second, q + 1), b, out)
        push(index_at(first, q + 2), index_at(second, q + 2), c, out)
        push(index_at(first, q + 3), index_at(second, q + 3), d, out)


@njit(**FAST)
def _subtract_chains(v, members, stiffnesses, out):
    """Subtract from `out` the forces with which angles or torsions answer to displacements v."""
    apart, pulls = np.empty((members.shape[1] - 1, 3)), np.empty((members.shape[1] - 1, 3))
    for k in range(members.shape[0]):
        fill_legs(v, members[k], apart)
        stiffness_times(stiffnesses[k], apart, pulls)
        for leg in range(pulls.shape[0]):
            for a in range(3):
                pulls[leg, a] = -pulls[leg, a]
        add_leg_pulls(members[k], pulls, out)


@njit(**FAST)
def inverse_if_positive(a, inverse):
    """Fill the inverse of a symmetric matrix a (3, 3); returns whether it is positive definite, else fills nothing."""
    c00 = a[1, 1] * a[2, 2] - a[1, 2] * a[1, 2]
    c01 = a[0, 2] * a[1, 2] - a[0, 1] * a[2, 2]
    c02 = a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1]
    c22 = a[0, 0] * a[1, 1] - a[0, 1] * a[0, 1]
    determinant = a[0, 0] * c00 + a[0, 1] * c01 + a[0, 2] * c02
    size = (a[0, 0] + a[1, 1] + a[2, 2]) / 3.0
    if not (a[0, 0] > 0.0 and c22 > 0.0 and determinant > 1e-6 * size * size * size):
        return False
    inverse[0, 0], inverse[1, 1], inverse[2, 2] = c00, a[0, 0] * a[2, 2] - a[0, 2] * a[0, 2], c22
    inverse[0, 1], inverse[0, 2], inverse[1, 2] = c01, c02, a[0, 1] * a[0, 2] - a[0, 0] * a[1, 2]
    inverse[1, 0], inverse[2, 0], inverse[2, 1] = inverse[0, 1], inverse[0, 2], inverse[1, 2]
    for a in range(3):
        for b in range(3):
            inverse[a, b] /= determinant
    return True


@njit(**FAST)
def factor_chains(k, p, beads):
    """Factors of the block-tridiagonal part of W_yy, which holds all bonds if beads are numbered along their chains.

    It is L D L^T with blocks (3, 3): returns the inverses of D (N, 3, 3), and the blocks of L (N, 3, 3) that couple a
    bead to the one before. Where the part is not positive definite, the coupling and if need be more is left out.
    """
    pivots, coupling, lower = np.zeros((beads, 3, 3)), np.zeros((beads, 3, 3)), np.zeros((beads, 3, 3))
    for q in range(k.second.size):
        i, j = k.first[q], k.second[q]
        if j == i:  # a particle and its own image move together
            continue
        _add_block(k.slope[q], k.along[q], k.d, q, pivots[i])
        _add_block(k.slope[q], k.along[q], k.d, q, pivots[j])
        if j == i + 1:
            _add_block(-k.slope[q], -k.along[q], k.d, q, coupling[j])
    _add_chain_blocks(p.angles, k.bend, pivots, coupling)
    _add_chain_blocks(p.torsions, k.twist, pivots, coupling)
    inverses = np.empty((beads, 3, 3))
    block = np.empty((3, 3))
    for i in range(beads):
        if i:
            for a in range(3):
                for b in range(3):
                    lower[i, a, b] = _product(coupling[i], inverses[i - 1], a, b)
            for a in range(3):
                for b in range(3):
                    block[a, b] = pivots[i, a, b] - _product(lower[i], coupling[i], a, b)
            if inverse_if_positive(block, inverses[i]):
                continue
            lower[i] = 0.0
        if not inverse_if_positive(pivots[i], inverses[i]):
            inverses[i] = 0.0
            for a in range(3):
                inverses[i, a, a] = 1.0 / max(pivots[i, a, a], 1.0)
    return inverses, lower


@njit(**FAST)
def _add_chain_blocks(members, stiffnesses, pivots, coupling):
    """Add the blocks of angles or torsions: a leg pulls backwards where it begins, and forwards where it ends."""
    legs = members.shape[1] - 1
    for k in range(members.shape[0]):
        for one in range(2 * legs):
            i, sign_i = members[k, (one + 1) // 2], 1.0 if one % 2 else -1.0
            for other in range(2 * legs):
                j, sign_j = members[k, (other + 1) // 2], 1.0 if other % 2 else -1.0
                if j != i and j != i + 1:
                    continue
                for a in range(3):
                    for b in range(3):
                        entry = sign_i * sign_j * stiffnesses[k, 3 * (one // 2) + a, 3 * (other // 2) + b]
                        if j == i:
                            pivots[i, a, b] += entry
                        else:
                            coupling[j, b, a] += entry


@njit(**FAST)
def _add_block(slope, along, d, q, block):
    """Add slope I + along d (x) d to a block (3, 3), for column q of d (3, P)."""
    for a in range(3):
        block[a, a] += slope
        for b in range(3):
            block[a, b] += along * d[a, q] * d[b, q]


@njit(**FAST)
def _product(left, right, a, b):
    """Entry (a, b) of the product of two matrices (3, 3)."""
    return left[a, 0] * right[0, b] + left[a, 1] * right[1, b] + left[a, 2] * right[2, b]


@njit(**BARE)
def solve_chains(inverses, lower, right, out):
    """out = (L D L^T)^-1 right, all (N, 3)."""
    for i in range(right.shape[0]):
        for a in range(3):
            out[i, a] = right[i, a]
        if i:
            for a in range(3):
                out[i, a] -= (
                    lower[i, a, 0] * out[i - 1, 0] + lower[i, a, 1] * out[i - 1, 1] + lower[i, a, 2] * out[i - 1, 2]
                )
    for i in range(right.shape[0] - 1, -1, -1):
        o0, o1, o2 = out[i, 0], out[i, 1], out[i, 2]
        for a in range(3):
            out[i, a] = inverses[i, a, 0] * o0 + inverses[i, a, 1] * o1 + inverses[i, a, 2] * o2
        if i + 1 < right.shape[0]:
            for a in range(3):
                out[i, a] -= (
                    lower[i + 1, 0, a] * out[i + 1, 0]
                    + lower[i + 1, 1, a] * out[i + 1, 1]
                    + lower[i + 1, 2, a] * out[i + 1, 2]
                )


@njit(**FAST)
def solve(k, p, right, tolerance, max_products, v):
    """Conjugate gradients, preconditioned by the chains, for W_yy v = right, both (N, 4).

    `right` sums to zero over the beads, and v is made so: rigid translations cost no energy. Ends when the residual
    is below `tolerance` times `right` (SOLVED), after `max_products` with the Hessian (NOT_SOLVED), or where a search
    direction has no positive curvature (NOT_POSITIVE); v is then what was reached before, a descent direction if
    `right` are forces. Returns this status and the products used.
    """
    inverses, lower = factor_chains(k, p, right.shape[0])
    residual, image = right.copy(), np.empty_like(right)
    scaled = np.zeros_like(right)
    solve_chains(inverses, lower, residual, scaled)
    direction = scaled.copy()
    v[:] = 0.0
    product = inner(residual, scaled)
    goal = tolerance * tolerance * inner(right, right)
    status, used = NOT_SOLVED, 0
    while used < max_products:
        hessian_times(direction, k, p, image)
        used += 1
        curvature = inner(direction, image)
        if not curvature > SOFTEST * inner(direction, direction):
            if used == 1:
                copy(direction, v)
            status = NOT_POSITIVE
            break
        length = product / curvature
        combine(1.0, v, length, direction, v)
        combine(1.0, residual, -length, image, residual)
        if inner(residual, residual) <= goal:
            status = SOLVED
            break
        solve_chains(inverses, lower, residual, scaled)
        new = inner(residual, scaled)
        combine(1.0, scaled, new / product, direction, direction)
        product = new
    remove_mean(v)
    return status, used
