"""Compiled energy minimisation of one cell.

A truncated Newton method (Nocedal & Wright, Numerical Optimization, section 7.1), and FIRE (Bitzek et al., Phys. Rev.
Lett. 97, 170201, 2006, with the changes of Guenole et al., Comput. Mater. Sci. 175, 109584, 2020).
"""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST
from prnn_md.md.failure import BROKEN_BOND, CONVERGED, NOT_CONVERGED, NOT_FINITE
from prnn_md.md.kernels.arrays import combine, copy, inner, largest_move, longest_row
from prnn_md.md.kernels.neighbours import find_terms
from prnn_md.md.kernels.potential import energy_and_forces
from prnn_md.md.kernels.stiffness import solve, stiffness

NEWTON, FIRE = 0, 1
SKIN = 0.12  # the neighbour list reaches this much farther than the potential, in units of length
FIRE_STEP, FIRE_MIXING = 0.01, 0.25  # time step, and part of the velocity that is turned along the force
FORCING = 0.05  # a Newton step is solved to this part of the force, or less where forces are smaller


@njit(**FAST)
def bond_is_broken(x, p):
    """Whether a bond is as long as FENE allows, or longer."""
    for k in range(p.fene_bonds.shape[1]):
        i, j = p.joined[k, 0], p.joined[k, 1]
        d0, d1, d2 = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
        if d0 * d0 + d1 * d1 + d2 * d2 >= p.fene_bonds[1, k]:
            return True
    return False


@njit(**FAST)
def minimise_by_newton(x, box, p, tolerance, max_evaluations, max_move):
    """Move x (N, 4) in place to the energy minimum downhill of it, by a truncated Newton method.

    Ends when the root-mean-square force over all components is at most `tolerance`; no particle moves farther than
    `max_move` in one step. Returns a status code, the number of evaluations, which are of the forces or of products
    with their derivative, and the `Terms` last in use. `p` is a `Field`.
    """
    terms = find_terms(x, box, p, p.cutoff + SKIN)
    listed_at = x.copy()
    forces, new_forces = np.empty_like(x), np.empty_like(x)
    step, trial = np.empty_like(x), np.empty_like(x)
    energy = energy_and_forces(x, terms, p, forces)
    evaluations = 1
    if energy == np.inf:
        return (BROKEN_BOND if bond_is_broken(x, p) else NOT_FINITE), evaluations, terms
    while True:
        square = inner(forces, forces)
        if not np.isfinite(square):
            return NOT_FINITE, evaluations, terms
        rms_force = np.sqrt(square / (3 * x.shape[0]))
        if rms_force <= tolerance:
            return CONVERGED, evaluations, terms
        if evaluations >= max_evaluations:
            return NOT_CONVERGED, evaluations, terms
        accuracy = max(min(FORCING, rms_force), 0.5 * tolerance / rms_force)
        _, used = solve(stiffness(x, terms, p), p, forces, accuracy, max_evaluations - evaluations, step)
        evaluations += used
        descent = -inner(forces, step)
        longest = longest_row(step)
        length = min(1.0, max_move / longest)
        while True:
            if evaluations >= max_evaluations or not length * longest >= 1e-14:
                return NOT_CONVERGED, evaluations, terms
            combine(1.0, x, length, step, trial)
            if largest_move(trial, listed_at) > 0.5 * SKIN:
                terms = find_terms(trial, box, p, p.cutoff + SKIN)
                copy(trial, listed_at)
            new_energy = energy_and_forces(trial, terms, p, new_forces)
            evaluations += 1
            if new_energy <= energy + 1e-4 * length * descent:
                break
            # Close to the minimum energies differ by round-off only; there a flatter slope is progress enough.
            if new_energy <= energy + 1e-12 * abs(energy) and -inner(new_forces, step) <= -0.8 * descent:
                break
            length *= 0.1 if new_energy == np.inf else 0.4
        copy(trial, x)
        copy(new_forces, forces)
        energy = new_energy


@njit(**FAST)
def minimise_by_fire(x, box, p, tolerance, max_evaluations, max_move):
    """As `minimise_by_newton`, by FIRE. All particles have unit mass; the time step adapts itself."""
    terms = find_terms(x, box, p, p.cutoff + SKIN)
    listed_at = x.copy()
    forces, v = np.empty_like(x), np.zeros_like(x)
    if energy_and_forces(x, terms, p, forces) == np.inf:
        return (BROKEN_BOND if bond_is_broken(x, p) else NOT_FINITE), 1, terms
    evaluations, downhill, dt, mixing, largest_dt = 1, 0, FIRE_STEP, FIRE_MIXING, 10.0 * FIRE_STEP
    while True:
        square = inner(forces, forces)
        if not np.isfinite(square):
            return NOT_FINITE, evaluations, terms
        if np.sqrt(square / (3 * x.shape[0])) <= tolerance:
            return CONVERGED, evaluations, terms
        if evaluations >= max_evaluations:
            return NOT_CONVERGED, evaluations, terms
        if inner(forces, v) > 0.0:
            downhill += 1
            if downhill > 20:
                dt = min(1.1 * dt, largest_dt)
                mixing *= 0.99
        else:
            downhill = 0
            dt = max(0.5 * dt, 0.02 * FIRE_STEP)
            mixing = FIRE_MIXING
            combine(1.0, x, -0.5 * dt, v, x)
            combine(0.0, v, 0.0, v, v)
        combine(1.0, v, dt, forces, v)
        combine(1.0 - mixing, v, mixing * np.sqrt(inner(v, v) / square), forces, v)
        fastest = dt * longest_row(v)
        if fastest > max_move:
            combine(max_move / fastest, v, 0.0, v, v)
        combine(1.0, x, dt, v, x)
        if largest_move(x, listed_at) > 0.5 * SKIN:
            terms = find_terms(x, box, p, p.cutoff + SKIN)
            copy(x, listed_at)
        if energy_and_forces(x, terms, p, forces) == np.inf:
            return (BROKEN_BOND if bond_is_broken(x, p) else NOT_FINITE), evaluations, terms
        evaluations += 1
