"""Compiled reaction of forces to moves of particles and box: what reverse passes through dynamics are made of."""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST
from prnn_md.md.kernels.arrays import determinant, inverse, product
from prnn_md.md.kernels.chains import add_outer, fill_legs, stiffness_times
from prnn_md.md.kernels.stiffness import hessian_times


@njit(**FAST)
def force_adjoint(weights, k, p, scratch, place, box_gradient):
    """Let `weights` (N, 4) be the gradient by forces: add those by positions to `place` and by the box to the other.

    The box moves only the images of particles; `box_gradient` (3, 3) is the gradient by a matrix that multiplies
    all shifts. `k` is the `Stiffness` at these positions.
    """
    hessian_times(weights, k, p, scratch)
    for i in range(place.shape[0]):
        for a in range(4):
            place[i, a] -= scratch[i, a]
    for q in range(k.second.size):
        s = k.shifts[q]
        if s[0] == 0.0 and s[1] == 0.0 and s[2] == 0.0:
            continue
        i, j, d0, d1, d2 = k.first[q], k.second[q], k.d[0, q], k.d[1, q], k.d[2, q]
        w0, w1, w2 = weights[j, 0] - weights[i, 0], weights[j, 1] - weights[i, 1], weights[j, 2] - weights[i, 2]
        stretch = k.along[q] * (d0 * w0 + d1 * w1 + d2 * w2)
        for b in range(3):
            box_gradient[0, b] -= (k.slope[q] * w0 + stretch * d0) * s[b]
            box_gradient[1, b] -= (k.slope[q] * w1 + stretch * d1) * s[b]
            box_gradient[2, b] -= (k.slope[q] * w2 + stretch * d2) * s[b]


@njit(**FAST)
def virial_adjoint(g, x, k, p, place, box_gradient):
    """Let g (3, 3), symmetric, be the gradient by the virial: add those by positions (N, 4) and by the shifts (3, 3).

    The virial is the sum of u'/r d (x) d; its derivative in the direction of d along w, times g, is w . m with
    m = 2 u'/r g d + along (d . g d) d; angles and torsions have derivatives of their gradients instead.
    """
    for q in range(k.second.size):
        i, j, s, d0, d1, d2 = k.first[q], k.second[q], k.shifts[q], k.d[0, q], k.d[1, q], k.d[2, q]
        g0 = g[0, 0] * d0 + g[0, 1] * d1 + g[0, 2] * d2
        g1 = g[1, 0] * d0 + g[1, 1] * d1 + g[1, 2] * d2
        g2 = g[2, 0] * d0 + g[2, 1] * d1 + g[2, 2] * d2
        double, along = 2.0 * k.slope[q], k.along[q] * (d0 * g0 + d1 * g1 + d2 * g2)
        m0, m1, m2 = double * g0 + along * d0, double * g1 + along * d1, double * g2 + along * d2
        place[i, 0] -= m0
        place[i, 1] -= m1
        place[i, 2] -= m2
        place[j, 0] += m0
        place[j, 1] += m1
        place[j, 2] += m2
        for b in range(3):
            box_gradient[0, b] += m0 * s[b]
            box_gradient[1, b] += m1 * s[b]
            box_gradient[2, b] += m2 * s[b]
    _chain_virial_adjoint(g, x, p.angles, k.bend, k.bend_slope, place)
    _chain_virial_adjoint(g, x, p.torsions, k.twist, k.twist_slope, place)


@njit(**FAST)
def _chain_virial_adjoint(g, x, members, stiffnesses, slopes, place):
    """The same for angles or torsions, whose virial is the sum of their slopes (x) legs."""
    count = members.shape[1] - 1
    legs, strained, m = np.empty((count, 3)), np.empty((count, 3)), np.empty((count, 3))
    for row in range(members.shape[0]):
        fill_legs(x, members[row], legs)
        for leg in range(count):
            for a in range(3):
                strained[leg, a] = g[a, 0] * legs[leg, 0] + g[a, 1] * legs[leg, 1] + g[a, 2] * legs[leg, 2]
        stiffness_times(stiffnesses[row], strained, m)
        for leg in range(count):
            for a in range(3):
                slope = slopes[row, leg]
                m[leg, a] += g[a, 0] * slope[0] + g[a, 1] * slope[1] + g[a, 2] * slope[2]
                place[members[row, leg], a] -= m[leg, a]
                place[members[row, leg + 1], a] += m[leg, a]


@njit(**FAST)
def biot_adjoint(gradient, tensor, stretch, box0, by_tensor, by_stretch):
    """Carry a gradient (3, 3) by the Biot stress, sym(tensor U^-1) / V0, back to the virial `tensor` and to U.

    Fills `by_tensor` (3, 3), made symmetric, and adds to `by_stretch` (3, 3).
    """
    back, scale = inverse(stretch), 0.5 / abs(determinant(box0))
    g = np.empty((3, 3))
    for a in range(3):
        for b in range(3):
            g[a, b] = scale * (gradient[a, b] + gradient[b, a])
    nominal = product(g, back.T)  # gradient by the tensor: g U^-T
    for a in range(3):
        for b in range(3):
            by_tensor[a, b] = 0.5 * (nominal[a, b] + nominal[b, a])
    inner = product(product(back.T, product(tensor.T, g)), back.T)
    for a in range(3):
        for b in range(3):
            by_stretch[a, b] -= inner[a, b]


@njit(**FAST)
def carry_adjoint(x, by_place, now, before, by_now, by_before):
    """Reverse of x' = U' U^-1 x: turns `by_place` (N, 4) from x' to x, and adds the gradients by both stretches.

    `x` (N, 4) are the positions before the move, `now` U' and `before` U.
    """
    back = inverse(before)
    matrix, outer = product(now, back), np.zeros((3, 3))
    add_outer(by_place, x, outer)
    gained, lost = product(outer, back.T), product(product(matrix.T, outer), back.T)
    for a in range(3):
        for b in range(3):
            by_now[a, b] += gained[a, b]
            by_before[a, b] -= lost[a, b]
    for i in range(x.shape[0]):
        g0, g1, g2 = by_place[i, 0], by_place[i, 1], by_place[i, 2]
        for a in range(3):
            by_place[i, a] = matrix[0, a] * g0 + matrix[1, a] * g1 + matrix[2, a] * g2
