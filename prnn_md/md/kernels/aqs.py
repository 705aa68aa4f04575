"""Compiled athermal quasi-static (AQS) roll-out of one cell, and the exact derivative of its stresses.

At an energy minimum with Biot strain E and positions y that the strain carries along (x = U y, h = U h0,
U = I + E), W(E, y) gives the Biot stress T = (1/V0) dW/dE and its tangent along the branch

    C = dT/dE = (1/V0) (W_EE - W_Ey W_yy^-1 W_yE),

the Born term minus the non-affine one (Lemaitre & Maloney, J. Stat. Phys. 123, 415, 2006, at finite strain).
With K the stiffness of a term (see `prnn_md.md.kernels.stiffness`) and d0 = U^-1 d its vector carried back, a strain
direction G moves the term's ends apart by G d0, pulls on them with K G d0, and both W_EE and W_yE follow.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST, Kernel
from prnn_md.md.failure import CONVERGED, NOT_FINITE
from prnn_md.md.kernels.arrays import carry, determinant, inner, inverse, padded, product, remove_mean
from prnn_md.md.kernels.chains import add_leg_pulls, add_outer, dot, fill_legs, stiffness_times
from prnn_md.md.kernels.minimiser import FIRE, minimise_by_fire, minimise_by_newton
from prnn_md.md.kernels.neighbours import find_terms, strain_fault
from prnn_md.md.kernels.potential import virial
from prnn_md.md.kernels.stiffness import SOLVED, solve, stiffness


@Kernel
def rollout(y, box0, p, stretches, minimiser, tolerance, max_evaluations, max_move, stresses, kept):
    """Deform one cell through `stretches` (T, 3, 3), minimising its energy after each affine step.

    `y` (N, 3), the positions carried back to the reference box, is updated in place. Fills `stresses`
    (T, 3, 3), the Biot stresses, and, where `kept` is (T, N, 3), the minima in the frame of each box. Returns a
    status code, the increments done, and the force evaluations used.
    """
    evaluations, limits = 0, (tolerance, max_evaluations, max_move)
    x = np.zeros((y.shape[0], 4))
    for t in range(stretches.shape[0]):
        box = product(stretches[t], box0)
        fault = strain_fault(stretches[t], box0, p)
        if fault != CONVERGED:
            return fault, t, evaluations
        carry(y, stretches[t], x)
        if minimiser == FIRE:
            status, used, terms = minimise_by_fire(x, box, p, *limits)
        else:
            status, used, terms = minimise_by_newton(x, box, p, *limits)
        evaluations += used
        if status != CONVERGED:
            return status, t, evaluations
        back = inverse(stretches[t])
        biot_from_virial(virial(x, terms, p), back, box0, stresses[t])
        if not np.isfinite(stresses[t].sum()):
            return NOT_FINITE, t, evaluations
        carry(x, back, y)
        if kept.shape[0]:
            kept[t] = x[:, :3]
    return CONVERGED, stretches.shape[0], evaluations


@njit(**FAST)
def biot_from_virial(tensor, back, box0, out):
    """Fill the Biot stress (3, 3) of a virial (3, 3): the symmetric part of virial U^-1 / V0, with back = U^-1."""
    nominal, scale = product(tensor, back), 0.5 / abs(determinant(box0))
    for a in range(3):
        for b in range(3):
            out[a, b] = (nominal[a, b] + nominal[b, a]) * scale


@njit(**FAST)
def branch_stiffness(x, stretch, box0, p):
    """Stiffness k of all terms at the minimum x (N, 4), and their vectors carried back, d0 = U^-1 d (P, 3)."""
    k = stiffness(x, find_terms(x, product(stretch, box0), p, p.cutoff), p)
    d0 = np.empty((k.second.size, 3))
    carry(k.d.T, inverse(stretch), d0)
    return k, d0


@njit(**FAST)
def add_pulls(k, pulls, forces):
    """Add to `forces` (N, 4) the pulls (P, 3) of terms on their first particles, reversed on the second."""
    for q in range(k.second.size):
        for a in range(3):
            forces[k.first[q], a] += pulls[q, a]
            forces[k.second[q], a] -= pulls[q, a]


@njit(**FAST)
def pulls_of(k, apart, out):
    """out = K apart for each pair term, all (P, 3)."""
    for q in range(apart.shape[0]):
        d0, d1, d2 = k.d[0, q], k.d[1, q], k.d[2, q]
        stretch = k.along[q] * (d0 * apart[q, 0] + d1 * apart[q, 1] + d2 * apart[q, 2])
        out[q, 0] = k.slope[q] * apart[q, 0] + stretch * d0
        out[q, 1] = k.slope[q] * apart[q, 1] + stretch * d1
        out[q, 2] = k.slope[q] * apart[q, 2] + stretch * d2


@njit(**FAST)
def _chain_response(x, v, back, g, members, stiffnesses, forces, nominal):
    """Let angles or torsions be strained by g and displaced by v: add their forces and nominal stress (3, 3)."""
    legs, legs0 = np.empty((members.shape[1] - 1, 3)), np.empty((members.shape[1] - 1, 3))
    apart, pulls = np.empty_like(legs), np.empty_like(legs)
    for row in range(members.shape[0]):
        fill_legs(x, members[row], legs)
        fill_legs(v, members[row], apart)
        for leg in range(legs.shape[0]):
            for a in range(3):
                legs0[leg, a] = dot(back[a], legs[leg])
        for leg in range(legs.shape[0]):
            for a in range(3):
                apart[leg, a] += dot(g[a], legs0[leg])
        stiffness_times(stiffnesses[row], apart, pulls)
        add_leg_pulls(members[row], pulls, forces)
        add_outer(pulls, legs0, nominal)


@njit(**FAST)
def tangent_times(x, stretch, box0, p, g, result, v):
    """Fill `result` (3, 3) with C : g for a symmetric strain direction g (3, 3), at the minimum x (N, 4).

    C is symmetric, so this is the adjoint step too. Fills `v` (N, 4) with the displacements of the particles beyond the
    affine ones. Returns whether the linear solve converged; close to a plastic event, where the smallest eigenvalue of
    W_yy goes through zero, it need not.
    """
    k, d0 = branch_stiffness(x, stretch, box0, p)
    back = inverse(stretch)
    apart, pulls = np.empty_like(d0), np.empty_like(d0)
    carry(d0, g, apart)  # how the strain moves each term's ends apart
    pulls_of(k, apart, pulls)
    right, unused = np.zeros_like(x), np.zeros((3, 3))
    v[:] = 0.0
    add_pulls(k, pulls, right)
    _chain_response(x, v, back, g, p.angles, k.bend, right, unused)
    _chain_response(x, v, back, g, p.torsions, k.twist, right, unused)
    remove_mean(right)  # what is left of it by round-off moves the cell as a whole
    status = SOLVED
    if inner(right, right) > 1e-28 * np.square(pulls).sum():  # nothing is left of it in a crystal
        status, _ = solve(k, p, right, 1e-8, 12 * x.shape[0], v)
    for q in range(k.second.size):
        for a in range(3):
            apart[q, a] += v[k.second[q], a] - v[k.first[q], a]
    pulls_of(k, apart, pulls)
    nominal = np.zeros((3, 3))
    add_outer(pulls, d0, nominal)
    _chain_response(x, v, back, g, p.angles, k.bend, right, nominal)
    _chain_response(x, v, back, g, p.torsions, k.twist, right, nominal)
    for a in range(3):
        for b in range(3):
            result[a, b] = (nominal[a, b] + nominal[b, a]) * (0.5 / abs(determinant(box0)))
    return status == SOLVED


@Kernel
def rollout_adjoint(kept, box0, p, stretches, stress_gradients, strain_gradients, displacements):
    """Carry gradients with respect to the stresses (T, 3, 3) back to the strains (T, 3, 3) of a roll-out.

    `kept` (T, N, 3) are the minima that `rollout` kept. Where `displacements` is (T, N, 3), it is filled with those of
    `tangent_times` for the gradients as strain directions, from which the gradients of parameters follow. Where the
    linear solve does not converge, at the edge of a plastic event, the gradient of that increment is dropped (zero);
    returns their number.
    """
    failed = 0
    v = np.zeros((kept.shape[1], 4))
    for t in range(stretches.shape[0]):
        g = 0.5 * (stress_gradients[t] + stress_gradients[t].T)
        strain_gradients[t] = 0.0
        v[:] = 0.0
        if np.abs(g).max() == 0.0:
            solved = True
        else:
            solved = tangent_times(padded(kept[t]), stretches[t], box0, p, g, strain_gradients[t], v)
        if not solved:
            strain_gradients[t] = 0.0
            stress_gradients[t] = 0.0
            v[:] = 0.0
            failed += 1
        if displacements.shape[0]:
            displacements[t] = v[:, :3]
    return failed


@Kernel
def stiffness_matrices(x, stretch, box0, p, basis):
    """W_yy (3N, 3N), W_yE (3N, 6) and W_EE (6, 6) at the minimum x (N, 4), in the strain basis (6, 3, 3)."""
    k, d0 = branch_stiffness(x, stretch, box0, p)
    back = inverse(stretch)
    hessian, coupling, born = np.zeros((3 * len(x), 3 * len(x))), np.zeros((3 * len(x), 6)), np.zeros((6, 6))
    members, legs0 = np.empty(2, np.int64), np.empty((1, 3))
    for q in range(k.second.size):
        block = k.slope[q] * np.eye(3) + k.along[q] * np.outer(k.d[:, q], k.d[:, q])
        members[0], members[1] = k.first[q], k.second[q]
        legs0[0] = d0[q]
        _add_matrices(members, legs0, block, basis, hessian, coupling, born)
    for row in range(p.angles.shape[0]):
        legs = np.empty((2, 3))
        fill_legs(x, p.angles[row], legs)
        _add_matrices(p.angles[row], legs @ back.T, k.bend[row], basis, hessian, coupling, born)
    for row in range(p.torsions.shape[0]):
        legs = np.empty((3, 3))
        fill_legs(x, p.torsions[row], legs)
        _add_matrices(p.torsions[row], legs @ back.T, k.twist[row], basis, hessian, coupling, born)
    return hessian, coupling, born


@njit(**FAST)
def _add_matrices(members, legs0, k, basis, hessian, coupling, born):
    """Add one term's part of the matrices: its m legs, carried back (m, 3), have the stiffness k (3 m, 3 m)."""
    size = k.shape[0]
    apart = np.empty((6, size))
    for m in range(6):
        for leg in range(size // 3):
            apart[m, 3 * leg : 3 * leg + 3] = basis[m] @ legs0[leg]
    pulls = apart @ k
    born += pulls @ apart.T
    for a in range(size):
        begin_a, end_a = 3 * members[a // 3] + a % 3, 3 * members[a // 3 + 1] + a % 3
        for b in range(size):
            begin_b, end_b = 3 * members[b // 3] + b % 3, 3 * members[b // 3 + 1] + b % 3
            hessian[begin_a, begin_b] += k[a, b]
            hessian[end_a, end_b] += k[a, b]
            hessian[begin_a, end_b] -= k[a, b]
            hessian[end_a, begin_b] -= k[a, b]
        for m in range(6):
            coupling[begin_a, m] -= pulls[m, a]
            coupling[end_a, m] += pulls[m, a]
