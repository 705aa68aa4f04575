"""Compiled stiffness of one bead-spring cell, and the solution of linear systems with it.

A term between two beads at distance vector d has the stiffness K = u'/r I + (u'' - u'/r)/r^2 d (x) d; the Hessian of
the energy, W_yy, is made of these blocks.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.potential import separations

SOLVED, NOT_SOLVED, NOT_POSITIVE = 0, 1, 2
SOFTEST = 1e-6  # curvature, in epsilon/sigma^2, below which the energy counts as flat along a direction


class Stiffness(NamedTuple):
    """The terms of a cell within the cutoff, in rows as in `Terms`, and their stiffness.

    `d` (P, 3) from first to second bead; `slope` (P,), u'/r; `along` (P,), (u'' - u'/r)/r^2.
    """

    starts: np.ndarray
    second: np.ndarray
    d: np.ndarray
    slope: np.ndarray
    along: np.ndarray


@njit(**FAST)
def stiffness(x, terms, p):
    """Stiffness of all terms that are within the cutoff at positions x (N, 3)."""
    size = terms.second.size
    d, r2 = np.empty((size, 3)), np.empty(size)
    separations(x, terms, d, r2)
    starts, second = np.empty_like(terms.starts), np.empty_like(terms.second)
    bonded = np.empty_like(terms.bonded)
    count, bond, cutoff2 = 0, 0, p.outer * p.outer
    for i in range(x.shape[0]):
        starts[i] = count
        for q in range(terms.starts[i], terms.starts[i + 1]):
            second[count], r2[count] = terms.second[q], r2[q]
            d[count, 0], d[count, 1], d[count, 2] = d[q, 0], d[q, 1], d[q, 2]
            bonds_here = bond < bonded.size and terms.bonded[bond] == q
            if bonds_here:
                bonded[bond] = count
                bond += 1
            count += bonds_here or r2[q] < cutoff2
    starts[x.shape[0]] = count
    slope, along = np.empty(count), np.empty(count)
    pair_stiffness(r2[:count], p, slope, along)
    bond_stiffness(r2, bonded, p, slope, along)
    return Stiffness(starts, second[:count], d[:count], slope, along)


@njit(**FAST)
def pair_stiffness(r2, p, slope, along):
    """Fill u'/r and (u'' - u'/r)/r^2 of tapered Lennard-Jones pairs at squared distances r2."""
    sigma2, width = p.sigma * p.sigma, 1.0 / (p.outer - p.inner)
    for q in range(r2.size):
        inverse = 1.0 / r2[q]
        t = sigma2 * inverse
        s6 = t * t * t
        u = 4.0 * p.epsilon * s6 * (s6 - 1.0)
        plain = -24.0 * p.epsilon * s6 * (2.0 * s6 - 1.0) * inverse
        curvature = 24.0 * p.epsilon * s6 * (26.0 * s6 - 7.0) * inverse
        r = np.sqrt(r2[q])
        z = min(max((r - p.inner) * width, 0.0), 1.0)
        edge = z * (1.0 - z)
        taper = 1.0 + z * z * z * (-10.0 + z * (15.0 - 6.0 * z))
        taper1 = -30.0 * edge * edge * width
        taper2 = -60.0 * edge * (1.0 - 2.0 * z) * width * width
        slope[q] = plain * taper + u * taper1 * r * inverse
        along[q] = (curvature * taper + 2.0 * plain * r * taper1 + u * taper2 - slope[q]) * inverse


@njit(**FAST)
def bond_stiffness(r2, bonded, p, slope, along):
    """The same for the FENE plus WCA bonds among the terms."""
    for q in bonded:
        left = 1.0 - r2[q] / (p.fene_extent * p.fene_extent)
        slope[q] = p.fene_stiffness / left
        curvature = p.fene_stiffness / left * (1.0 + 2.0 * (1.0 - left) / left)
        t = p.sigma * p.sigma / r2[q]
        s6 = t * t * t
        if s6 > 0.5:
            slope[q] -= 24.0 * p.epsilon * s6 * (2.0 * s6 - 1.0) / r2[q]
            curvature += 24.0 * p.epsilon * s6 * (26.0 * s6 - 7.0) / r2[q]
        along[q] = (curvature - slope[q]) / r2[q]


@njit(**FAST)
def hessian_times(v, k, out):
    """out = W_yy v for displacements v (N, 3) and a `Stiffness` k."""
    out[:] = 0.0
    for i in range(v.shape[0]):
        v0, v1, v2 = v[i, 0], v[i, 1], v[i, 2]
        f0, f1, f2 = 0.0, 0.0, 0.0
        for q in range(k.starts[i], k.starts[i + 1]):
            j, d0, d1, d2 = k.second[q], k.d[q, 0], k.d[q, 1], k.d[q, 2]
            w0, w1, w2 = v[j, 0] - v0, v[j, 1] - v1, v[j, 2] - v2
            stretch = k.along[q] * (d0 * w0 + d1 * w1 + d2 * w2)
            g0 = k.slope[q] * w0 + stretch * d0
            g1 = k.slope[q] * w1 + stretch * d1
            g2 = k.slope[q] * w2 + stretch * d2
            f0 += g0
            f1 += g1
            f2 += g2
            out[j, 0] += g0
            out[j, 1] += g1
            out[j, 2] += g2
        out[i, 0] -= f0
        out[i, 1] -= f1
        out[i, 2] -= f2


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
def factor_chains(k, beads):
    """Factors of the block-tridiagonal part of W_yy, which holds all bonds if beads are numbered along their chains.

    It is L D L^T with blocks (3, 3): returns the inverses of D (N, 3, 3), and the blocks of L (N, 3, 3) that couple a
    bead to the one before. Where the part is not positive definite, the coupling and if need be more is left out.
    """
    pivots, coupling, lower = np.zeros((beads, 3, 3)), np.zeros((beads, 3, 3)), np.zeros((beads, 3, 3))
    for i in range(beads):
        for q in range(k.starts[i], k.starts[i + 1]):
            j = k.second[q]
            _add_block(k.slope[q], k.along[q], k.d[q], pivots[i])
            _add_block(k.slope[q], k.along[q], k.d[q], pivots[j])
            if j == i + 1:
                _add_block(-k.slope[q], -k.along[q], k.d[q], coupling[j])
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
def _add_block(slope, along, d, block):
    """Add slope I + along d (x) d to a block (3, 3)."""
    for a in range(3):
        block[a, a] += slope
        for b in range(3):
            block[a, b] += along * d[a] * d[b]


@njit(**FAST)
def _product(left, right, a, b):
    """Entry (a, b) of the product of two matrices (3, 3)."""
    return left[a, 0] * right[0, b] + left[a, 1] * right[1, b] + left[a, 2] * right[2, b]


@njit(**FAST)
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
def inner(a, b):
    """Scalar product of two arrays (N, 3)."""
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i, 0] * b[i, 0] + a[i, 1] * b[i, 1] + a[i, 2] * b[i, 2]
    return total


@njit(**FAST)
def solve(k, right, tolerance, max_products, v):
    """Conjugate gradients, preconditioned by the chains, for W_yy v = right, both (N, 3).

    `right` sums to zero over the beads, and v is made so: rigid translations cost no energy. Ends when the residual
    is below `tolerance` times `right` (SOLVED), after `max_products` with the Hessian (NOT_SOLVED), or where a search
    direction has no positive curvature (NOT_POSITIVE); v is then what was reached before, a descent direction if
    `right` are forces. Returns this status and the products used.
    """
    inverses, lower = factor_chains(k, right.shape[0])
    residual, direction, image = right.copy(), np.empty_like(right), np.empty_like(right)
    scaled = np.empty_like(right)
    solve_chains(inverses, lower, residual, scaled)
    direction[:] = scaled
    v[:] = 0.0
    product = inner(residual, scaled)
    goal = tolerance * tolerance * inner(right, right)
    status, used = NOT_SOLVED, 0
    while used < max_products:
        hessian_times(direction, k, image)
        used += 1
        curvature = inner(direction, image)
        if curvature <= SOFTEST * inner(direction, direction):
            if used == 1:
                v[:] = direction
            status = NOT_POSITIVE
            break
        length = product / curvature
        for i in range(v.shape[0]):
            for a in range(3):
                v[i, a] += length * direction[i, a]
                residual[i, a] -= length * image[i, a]
        if inner(residual, residual) <= goal:
            status = SOLVED
            break
        solve_chains(inverses, lower, residual, scaled)
        new = inner(residual, scaled)
        for i in range(v.shape[0]):
            for a in range(3):
                direction[i, a] = scaled[i, a] + (new / product) * direction[i, a]
        product = new
    for a in range(3):
        v[:, a] -= v[:, a].mean()
    return status, used
