"""Compiled athermal quasi-static (AQS) roll-out of one cell, and the exact derivative of its stresses.

At an energy minimum with Biot strain E and positions y that the strain carries along (x = U y, h = U h0,
U = I + E), W(E, y) gives the Biot stress T = (1/V0) dW/dE and its tangent along the branch

    C = dT/dE = (1/V0) (W_EE - W_Ey W_yy^-1 W_yE),

the Born term minus the non-affine one (Lemaitre & Maloney, J. Stat. Phys. 123, 415, 2006, at finite strain).
With K the stiffness of a term (see `prnn_md.md.stiffness`) and d0 = U^-1 d its vector carried back, a strain
direction G moves the term's ends apart by G d0, pulls on them with K G d0, and both W_EE and W_yE follow.
"""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.minimiser import CONVERGED, NOT_FINITE, SMALL_BOX, minimise
from prnn_md.md.neighbours import face_width, find_terms
from prnn_md.md.potential import add_pulls, virial
from prnn_md.md.stiffness import SOLVED, solve, stiffness


@njit(**FAST)
def rollout(y, box0, partners, p, stretches, tolerance, max_evaluations, stresses, kept):
    """Deform one cell through `stretches` (T, 3, 3), minimising its energy after each affine step.

    `y` (N, 3), the positions carried back to the reference box, is updated in place. Fills `stresses`
    (T, 3, 3), the Biot stresses, and, where `kept` is (T, N, 3), the minima in the frame of each box. Returns a
    status code, the increments done, and the force evaluations used.
    """
    evaluations = 0
    for t in range(stretches.shape[0]):
        stretch = stretches[t]
        box = stretch @ box0
        if face_width(box) < 2.0 * p.outer:
            return SMALL_BOX, t, evaluations
        x = y @ stretch.T
        status, used, terms = minimise(x, box, partners, p, tolerance, max_evaluations)
        evaluations += used
        if status != CONVERGED:
            return status, t, evaluations
        back = np.linalg.inv(stretch)
        nominal = virial(x, terms, p) @ back
        stresses[t] = (nominal + nominal.T) * (0.5 / abs(np.linalg.det(box0)))
        if not np.isfinite(stresses[t].sum()):
            return NOT_FINITE, t, evaluations
        y[:] = x @ back.T
        if kept.shape[0]:
            kept[t] = x
    return CONVERGED, stretches.shape[0], evaluations


@njit(**FAST)
def _stiffness_of_branch(x, stretch, box0, partners, p):
    """Stiffness k of all terms at the minimum x, and their vectors carried back, d0 = U^-1 d (P, 3)."""
    k = stiffness(x, find_terms(x, stretch @ box0, partners, p.outer), p)
    return k, k.d @ np.linalg.inv(stretch).T


@njit(**FAST)
def _pulls(k, apart, out):
    """out = K apart for each term, all (P, 3)."""
    for q in range(apart.shape[0]):
        d0, d1, d2 = k.d[q, 0], k.d[q, 1], k.d[q, 2]
        stretch = k.along[q] * (d0 * apart[q, 0] + d1 * apart[q, 1] + d2 * apart[q, 2])
        out[q, 0] = k.slope[q] * apart[q, 0] + stretch * d0
        out[q, 1] = k.slope[q] * apart[q, 1] + stretch * d1
        out[q, 2] = k.slope[q] * apart[q, 2] + stretch * d2


@njit(**FAST)
def tangent_times(x, stretch, box0, partners, p, g, result):
    """Fill `result` (3, 3) with C : g for a symmetric strain direction g (3, 3), at the minimum x (N, 3).

    C is symmetric, so this is the adjoint step too. Returns whether the linear solve converged; close to a
    plastic event, where the smallest eigenvalue of W_yy goes through zero, it need not.
    """
    k, d0 = _stiffness_of_branch(x, stretch, box0, partners, p)
    apart = d0 @ g  # how the strain moves each term's ends apart
    pulls = np.empty_like(apart)
    _pulls(k, apart, pulls)
    right, v = np.empty_like(x), np.empty_like(x)
    add_pulls(k, pulls, right)
    status, _ = solve(k, right, 1e-8, 4 * x.size, v)
    for i in range(x.shape[0]):
        for q in range(k.starts[i], k.starts[i + 1]):
            for a in range(3):
                apart[q, a] += v[k.second[q], a] - v[i, a]
    _pulls(k, apart, pulls)
    nominal = pulls.T @ d0
    result[:] = (nominal + nominal.T) * (0.5 / abs(np.linalg.det(box0)))
    return status == SOLVED


@njit(**FAST)
def rollout_adjoint(kept, box0, partners, p, stretches, stress_gradients, strain_gradients):
    """Carry gradients with respect to the stresses (T, 3, 3) back to the strains (T, 3, 3) of a roll-out.

    `kept` (T, N, 3) are the minima that `rollout` kept. Where the linear solve does not converge, at the edge of a
    plastic event, the gradient of that increment is dropped (zero); returns their number.
    """
    failed = 0
    for t in range(stretches.shape[0]):
        g = 0.5 * (stress_gradients[t] + stress_gradients[t].T)
        strain_gradients[t] = 0.0
        if np.abs(g).max() > 0.0:
            converged = tangent_times(kept[t], stretches[t], box0, partners, p, g, strain_gradients[t])
            if not converged:
                strain_gradients[t] = 0.0
                failed += 1
    return failed


@njit(**FAST)
def stiffness_matrices(x, stretch, box0, partners, p, basis):
    """W_yy (3N, 3N), W_yE (3N, 6) and W_EE (6, 6) at the minimum x, in the strain basis (6, 3, 3)."""
    k, d0 = _stiffness_of_branch(x, stretch, box0, partners, p)
    n3 = x.size
    hessian = np.zeros((n3, n3))
    coupling = np.zeros((n3, 6))
    born = np.zeros((6, 6))
    apart = np.empty((6, 3))
    for first in range(x.shape[0]):
        for q in range(k.starts[first], k.starts[first + 1]):
            i, j = 3 * first, 3 * np.int64(k.second[q])
            block = k.slope[q] * np.eye(3) + k.along[q] * np.outer(k.d[q], k.d[q])
            hessian[i : i + 3, i : i + 3] += block
            hessian[j : j + 3, j : j + 3] += block
            hessian[i : i + 3, j : j + 3] -= block
            hessian[j : j + 3, i : i + 3] -= block
            for m in range(6):
                apart[m] = basis[m] @ d0[q]
            pulls = apart @ block
            coupling[i : i + 3] -= pulls.T
            coupling[j : j + 3] += pulls.T
            born += pulls @ apart.T
    return hessian, coupling, born
