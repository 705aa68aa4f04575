"""Compiled energy minimisation of one cell: L-BFGS with backtracking (Nocedal & Wright, alg. 7.4 and 7.5)."""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.neighbours import find_terms
from prnn_md.md.potential import energy_and_forces

CONVERGED, NOT_CONVERGED, BROKEN_BOND, SMALL_BOX, NOT_FINITE = 0, 1, 2, 3, 4
SKIN = 0.3  # the neighbour list reaches this much farther than the potential
MAX_MOVE = 0.1  # largest move of a bead in one step
HISTORY = 8  # steps that L-BFGS remembers


@njit(**FAST)
def dot(a, b):
    """Scalar product of two flat arrays."""
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@njit(**FAST)
def largest_square(a):
    """Largest squared length of the rows of a (N, 3)."""
    largest = 0.0
    for i in range(a.shape[0]):
        largest = max(largest, a[i, 0] * a[i, 0] + a[i, 1] * a[i, 1] + a[i, 2] * a[i, 2])
    return largest


@njit(**FAST)
def descent_direction(gradient, steps, changes, curvatures, stored, newest, direction):
    """Two-loop recursion: fills direction = -H gradient from the last `stored` steps."""
    weights = np.empty(HISTORY)
    for k in range(gradient.size):
        direction[k] = -gradient[k]
    for k in range(stored):
        m = (newest - k) % HISTORY
        weights[m] = dot(steps[m], direction) / curvatures[m]
        for a in range(direction.size):
            direction[a] -= weights[m] * changes[m, a]
    scale = curvatures[newest] / dot(changes[newest], changes[newest]) if stored else 1e-3
    for a in range(direction.size):
        direction[a] *= scale
    for k in range(stored - 1, -1, -1):
        m = (newest - k) % HISTORY
        weight = weights[m] - dot(changes[m], direction) / curvatures[m]
        for a in range(direction.size):
            direction[a] += weight * steps[m, a]


@njit(**FAST)
def minimise(x, box, bonds, excluded, p, tolerance, max_evaluations):
    """Move x (N, 3) in place to the energy minimum downhill of it.

    Ends when the root-mean-square force over all components is at most `tolerance`. Returns a status code,
    the number of force evaluations, and the terms (first, second, images) that were last in use. `bonds` and
    `excluded` as in `find_terms`, `p` as from `force_array`.
    """
    n3 = x.size
    first, second, images = find_terms(x, box, bonds, excluded, p[3] + SKIN)
    shifts = images @ box.T
    work = np.empty((5, first.size))
    listed_at = x.copy()
    trial = x.copy()
    flat = trial.reshape(n3)
    forces = np.empty_like(x)
    energy = energy_and_forces(x, first, second, shifts, bonds.shape[0], p, forces, work)
    evaluations = 1
    if energy == np.inf:
        broken = work[3, : bonds.shape[0]].max() >= p[5] * p[5]
        return BROKEN_BOND if broken else NOT_FINITE, evaluations, first, second, images
    new_gradient = forces.reshape(n3)
    gradient = -new_gradient
    direction = np.empty(n3)
    steps = np.empty((HISTORY, n3))
    changes = np.empty((HISTORY, n3))
    curvatures = np.empty(HISTORY)
    stored, newest = 0, HISTORY - 1
    start = x.reshape(n3)
    while True:
        square = dot(gradient, gradient)
        if not np.isfinite(square):
            return NOT_FINITE, evaluations, first, second, images
        if square <= tolerance * tolerance * n3:
            return CONVERGED, evaluations, first, second, images
        descent_direction(gradient, steps, changes, curvatures, stored, newest, direction)
        descent = dot(gradient, direction)
        if descent >= 0.0:
            stored = 0
            descent_direction(gradient, steps, changes, curvatures, stored, newest, direction)
            descent = dot(gradient, direction)
        longest = np.sqrt(largest_square(direction.reshape(x.shape)))
        length = min(1.0, MAX_MOVE / longest)
        while True:
            if evaluations >= max_evaluations or length * longest < 1e-14:
                return NOT_CONVERGED, evaluations, first, second, images
            for k in range(n3):
                flat[k] = start[k] + length * direction[k]
            if largest_square(trial - listed_at) > (0.5 * SKIN) ** 2:
                first, second, images = find_terms(trial, box, bonds, excluded, p[3] + SKIN)
                shifts = images @ box.T
                work = np.empty((5, first.size))
                listed_at[:] = trial
            new_energy = energy_and_forces(trial, first, second, shifts, bonds.shape[0], p, forces, work)
            evaluations += 1
            if new_energy <= energy + 1e-4 * length * descent:
                break
            # Close to the minimum energies differ by round-off only; there a flatter slope is progress enough.
            if new_energy <= energy + 1e-12 * abs(energy) and -dot(new_gradient, direction) <= -0.8 * descent:
                break
            length *= 0.1 if new_energy == np.inf else 0.4
        newest = (newest + 1) % HISTORY
        for k in range(n3):
            steps[newest, k] = length * direction[k]
            changes[newest, k] = -new_gradient[k] - gradient[k]
            gradient[k] = -new_gradient[k]
            start[k] = flat[k]
        energy = new_energy
        curvatures[newest] = dot(steps[newest], changes[newest])
        if curvatures[newest] > 1e-10 * dot(steps[newest], steps[newest]):
            stored = min(stored + 1, HISTORY)
        else:  # the energy curves downward along the step: forget it
            newest = (newest - 1) % HISTORY
            stored = min(stored, HISTORY - 1)
