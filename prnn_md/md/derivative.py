"""Compiled athermal quasi-static (AQS) roll-out of one cell, and the exact derivative of its stresses.

At an energy minimum with Biot strain E and positions y that the strain carries along (x = U y, h = U h0,
U = I + E), W(E, y) gives the Biot stress T = (1/V0) dW/dE and its tangent along the branch

    C = dT/dE = (1/V0) (W_EE - W_Ey W_yy^-1 W_yE),

the Born term minus the non-affine one (Lemaitre & Maloney, J. Stat. Phys. 123, 415, 2006, at finite strain).
With K the stiffness of a term (see `stiffness_terms`) and d0 = U^-1 d its vector carried back, a strain
direction G moves the term's ends apart by G d0, pulls on them with K G d0, and both W_EE and W_yE follow.
"""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.minimiser import CONVERGED, NOT_FINITE, SMALL_BOX, dot, minimise
from prnn_md.md.neighbours import face_width, find_terms
from prnn_md.md.potential import separations, stiffness_terms, virial


@njit(**FAST)
def rollout(y, box0, bonds, excluded, p, stretches, tolerance, max_evaluations, stresses, kept):
    """Deform one cell through `stretches` (T, 3, 3), minimising its energy after each affine step.

    `y` (N, 3), the positions carried back to the reference box, is updated in place. Fills `stresses`
    (T, 3, 3), the Biot stresses, and, where `kept` is (T, N, 3), the minima in the frame of each box. Returns a
    status code, the increments done, and the force evaluations used.
    """
    evaluations = 0
    for t in range(stretches.shape[0]):
        stretch = stretches[t]
        box = stretch @ box0
        if face_width(box) < 2.0 * p[3]:
            return SMALL_BOX, t, evaluations
        x = y @ stretch.T
        status, used, first, second, images = minimise(x, box, bonds, excluded, p, tolerance, max_evaluations)
        evaluations += used
        if status != CONVERGED:
            return status, t, evaluations
        back = np.linalg.inv(stretch)
        nominal = virial(x, first, second, images @ box.T, bonds.shape[0], p) @ back
        stresses[t] = (nominal + nominal.T) * (0.5 / abs(np.linalg.det(box0)))
        if not np.isfinite(stresses[t].sum()):
            return NOT_FINITE, t, evaluations
        y[:] = x @ back.T
        if kept.shape[0]:
            kept[t] = x
    return CONVERGED, stretches.shape[0], evaluations


@njit(**FAST)
def _hessian_times(v, first, second, d, slope, along, out):
    """out = W_yy v for a displacement v (N, 3)."""
    out[:] = 0.0
    for q in range(first.size):
        i, j = first[q], second[q]
        w0, w1, w2 = v[j, 0] - v[i, 0], v[j, 1] - v[i, 1], v[j, 2] - v[i, 2]
        stretch = along[q] * (d[q, 0] * w0 + d[q, 1] * w1 + d[q, 2] * w2)
        f0 = slope[q] * w0 + stretch * d[q, 0]
        f1 = slope[q] * w1 + stretch * d[q, 1]
        f2 = slope[q] * w2 + stretch * d[q, 2]
        out[i, 0] -= f0
        out[i, 1] -= f1
        out[i, 2] -= f2
        out[j, 0] += f0
        out[j, 1] += f1
        out[j, 2] += f2


@njit(**FAST)
def _solve(first, second, d, slope, along, diagonal, right, tolerance, max_steps, v):
    """Conjugate gradients, scaled by the Hessian's diagonal, for W_yy v = right; returns whether it converged.

    `right` (N, 3) sums to zero over beads, so that rigid translations, the null space, stay out of v.
    """
    n = right.size
    v[:] = 0.0
    residual = right.copy()
    scaled = residual / diagonal
    direction = scaled.copy()
    image = np.empty_like(right)
    product = dot(residual.reshape(n), scaled.reshape(n))
    goal = tolerance * tolerance * product
    for _ in range(max_steps):
        if product <= goal:
            return True
        _hessian_times(direction, first, second, d, slope, along, image)
        curvature = dot(direction.reshape(n), image.reshape(n))
        if curvature <= 0.0:
            return False
        length = product / curvature
        for k in range(right.shape[0]):
            for a in range(3):
                v[k, a] += length * direction[k, a]
                residual[k, a] -= length * image[k, a]
                scaled[k, a] = residual[k, a] / diagonal[k, a]
        new = dot(residual.reshape(n), scaled.reshape(n))
        direction = scaled + (new / product) * direction
        product = new
    return product <= goal


@njit(**FAST)
def _stiffness(x, stretch, box0, bonds, excluded, p):
    """Terms within reach and their stiffness: first, second, d (P, 3), d0 = U^-1 d (P, 3), u'/r, (u''-u'/r)/r^2."""
    box = stretch @ box0
    first, second, images = find_terms(x, box, bonds, excluded, p[3])
    d = np.empty((first.size, 3))
    r2 = np.empty(first.size)
    slope = np.empty(first.size)
    along = np.empty(first.size)
    separations(x, first, second, images @ box.T, d, r2)
    stiffness_terms(r2, bonds.shape[0], p, slope, along)
    return first, second, d, d @ np.linalg.inv(stretch).T, slope, along


@njit(**FAST)
def tangent_times(x, stretch, box0, bonds, excluded, p, g, result):
    """Fill `result` (3, 3) with C : g for a symmetric strain direction g (3, 3), at the minimum x (N, 3).

    C is symmetric, so this is the adjoint step too. Returns whether the linear solve converged; close to a
    plastic event, where the smallest eigenvalue of W_yy goes through zero, it need not.
    """
    first, second, d, d0, slope, along = _stiffness(x, stretch, box0, bonds, excluded, p)
    apart = d0 @ g  # (P, 3), how the strain moves each term's ends apart
    pull = np.zeros_like(x)
    diagonal = np.zeros_like(x)
    for q in range(first.size):
        i, j = first[q], second[q]
        s = along[q] * (d[q, 0] * apart[q, 0] + d[q, 1] * apart[q, 1] + d[q, 2] * apart[q, 2])
        for a in range(3):
            f = slope[q] * apart[q, a] + s * d[q, a]
            pull[i, a] += f
            pull[j, a] -= f
            k = slope[q] + along[q] * d[q, a] * d[q, a]
            diagonal[i, a] += k
            diagonal[j, a] += k
    for k in range(x.shape[0]):
        for a in range(3):
            diagonal[k, a] = max(diagonal[k, a], 1.0)
    v = np.empty_like(x)
    converged = _solve(first, second, d, slope, along, diagonal, pull, 1e-8, 4 * x.size, v)
    result[:] = 0.0
    for q in range(first.size):
        i, j = first[q], second[q]
        for a in range(3):
            apart[q, a] += v[j, a] - v[i, a]
        s = along[q] * (d[q, 0] * apart[q, 0] + d[q, 1] * apart[q, 1] + d[q, 2] * apart[q, 2])
        for a in range(3):
            f = slope[q] * apart[q, a] + s * d[q, a]
            for b in range(3):
                result[a, b] += 0.5 * f * d0[q, b]
                result[b, a] += 0.5 * f * d0[q, b]
    result /= abs(np.linalg.det(box0))
    return converged


@njit(**FAST)
def rollout_adjoint(kept, box0, bonds, excluded, p, stretches, stress_gradients, strain_gradients):
    """Carry gradients with respect to the stresses (T, 3, 3) back to the strains (T, 3, 3) of a roll-out.

    `kept` (T, N, 3) are the minima that `rollout` kept. Where the linear solve does not converge, at the edge of a
    plastic event, the gradient of that increment is dropped (zero); returns their number.
    """
    failed = 0
    for t in range(stretches.shape[0]):
        g = 0.5 * (stress_gradients[t] + stress_gradients[t].T)
        strain_gradients[t] = 0.0
        if np.abs(g).max() > 0.0:
            converged = tangent_times(kept[t], stretches[t], box0, bonds, excluded, p, g, strain_gradients[t])
            if not converged:
                strain_gradients[t] = 0.0
                failed += 1
    return failed


@njit(**FAST)
def stiffness_matrices(x, stretch, box0, bonds, excluded, p, basis):
    """W_yy (3N, 3N), W_yE (3N, 6) and W_EE (6, 6) at the minimum x, in the strain basis (6, 3, 3)."""
    first, second, d, d0, slope, along = _stiffness(x, stretch, box0, bonds, excluded, p)
    n3 = x.size
    hessian = np.zeros((n3, n3))
    coupling = np.zeros((n3, 6))
    born = np.zeros((6, 6))
    for q in range(first.size):
        i, j = 3 * np.int64(first[q]), 3 * np.int64(second[q])
        k = slope[q] * np.eye(3) + along[q] * np.outer(d[q], d[q])
        for a in range(3):
            for b in range(3):
                hessian[i + a, i + b] += k[a, b]
                hessian[j + a, j + b] += k[a, b]
                hessian[i + a, j + b] -= k[a, b]
                hessian[j + a, i + b] -= k[a, b]
        apart = np.empty((6, 3))
        for m in range(6):
            apart[m] = basis[m] @ d0[q]
        pulls = apart @ k
        for m in range(6):
            for a in range(3):
                coupling[i + a, m] -= pulls[m, a]
                coupling[j + a, m] += pulls[m, a]
        born += pulls @ apart.T
    return hessian, coupling, born
