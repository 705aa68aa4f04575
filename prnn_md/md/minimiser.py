"""Compiled energy minimisation of one cell: a truncated Newton method (Nocedal & Wright, section 7.1)."""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.neighbours import find_terms
from prnn_md.md.potential import energy_and_forces
from prnn_md.md.stiffness import inner, solve, stiffness

CONVERGED, NOT_CONVERGED, BROKEN_BOND, SMALL_BOX, NOT_FINITE = 0, 1, 2, 3, 4
SKIN = 0.2  # the neighbour list reaches this much farther than the potential
MAX_MOVE = 0.1  # largest move of a bead in one step
FORCING = 0.05  # a Newton step is solved to this part of the force, or less where forces are smaller


@njit(**FAST)
def largest_move(a, b):
    """Largest distance between the rows of a and b, both (N, 3)."""
    largest = 0.0
    for i in range(a.shape[0]):
        d0, d1, d2 = a[i, 0] - b[i, 0], a[i, 1] - b[i, 1], a[i, 2] - b[i, 2]
        largest = max(largest, d0 * d0 + d1 * d1 + d2 * d2)
    return np.sqrt(largest)


@njit(**FAST)
def bond_is_broken(x, partners, p):
    """Whether a bond is as long as FENE allows, or longer."""
    for i in range(x.shape[0]):
        for j in partners[i]:
            if j >= 0 and ((x[j] - x[i]) ** 2).sum() >= p.fene_extent * p.fene_extent:
                return True
    return False


@njit(**FAST)
def minimise(x, box, partners, p, tolerance, max_evaluations):
    """Move x (N, 3) in place to the energy minimum downhill of it.

    Ends when the root-mean-square force over all components is at most `tolerance`. Returns a status code, the number
    of evaluations, which are of the forces or of products with their derivative, and the `Terms` last in use.
    `partners` as from `bonded_partners`; `p` is a `BeadSpring`.
    """
    terms = find_terms(x, box, partners, p.outer + SKIN)
    listed_at = x.copy()
    forces, new_forces = np.empty_like(x), np.empty_like(x)
    step, trial, still = np.empty_like(x), np.empty_like(x), np.zeros_like(x)
    energy = energy_and_forces(x, terms, p, forces)
    evaluations = 1
    if energy == np.inf:
        return (BROKEN_BOND if bond_is_broken(x, partners, p) else NOT_FINITE), evaluations, terms
    while True:
        square = inner(forces, forces)
        if not np.isfinite(square):
            return NOT_FINITE, evaluations, terms
        rms_force = np.sqrt(square / x.size)
        if rms_force <= tolerance:
            return CONVERGED, evaluations, terms
        if evaluations >= max_evaluations:
            return NOT_CONVERGED, evaluations, terms
        accuracy = max(min(FORCING, rms_force), 0.5 * tolerance / rms_force)
        _, used = solve(stiffness(x, terms, p), forces, accuracy, max_evaluations - evaluations, step)
        evaluations += used
        descent = -inner(forces, step)
        longest = largest_move(step, still)
        length = min(1.0, MAX_MOVE / longest)
        while True:
            if evaluations >= max_evaluations or length * longest < 1e-14:
                return NOT_CONVERGED, evaluations, terms
            trial[:] = x + length * step
            if largest_move(trial, listed_at) > 0.5 * SKIN:
                terms = find_terms(trial, box, partners, p.outer + SKIN)
                listed_at[:] = trial
            new_energy = energy_and_forces(trial, terms, p, new_forces)
            evaluations += 1
            if new_energy <= energy + 1e-4 * length * descent:
                break
            # Close to the minimum energies differ by round-off only; there a flatter slope is progress enough.
            if new_energy <= energy + 1e-12 * abs(energy) and -inner(new_forces, step) <= -0.8 * descent:
                break
            length *= 0.1 if new_energy == np.inf else 0.4
        x[:] = trial
        forces[:] = new_forces
        energy = new_energy
