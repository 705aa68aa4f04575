"""Compiled overdamped roll-out of one cell, and its exact reverse pass.

An increment of length dt carries box and positions along with the strain, and then takes k steps of explicit Euler,
x <- x + h F(x) with h = dt/(k friction). The energy goes down in each, or the steps are too long.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST, Kernel
from prnn_md.md.failure import BROKEN_BOND, CONVERGED, NOT_FINITE, UNSTABLE
from prnn_md.md.kernels.aqs import biot_from_virial
from prnn_md.md.kernels.arrays import carry, combine, copy, inverse, largest_move, product
from prnn_md.md.kernels.chains import add_outer
from prnn_md.md.kernels.minimiser import bond_is_broken
from prnn_md.md.kernels.neighbours import find_terms, strain_fault
from prnn_md.md.kernels.potential import energy_and_forces, virial
from prnn_md.md.kernels.response import biot_adjoint, force_adjoint, virial_adjoint
from prnn_md.md.kernels.stiffness import stiffness

SKIN = 0.2


@njit(**FAST)
def relax(x, box, p, steps, h, places):
    """Take `steps` damped steps of length h from x (N, 4), in place; fills `places` (steps + 1, N, 4) if it has room.

    Returns a status code and the `Terms` last in use, which hold at x.
    """
    terms = find_terms(x, box, p, p.cutoff + SKIN)
    listed_at, forces = x.copy(), np.zeros_like(x)
    energy = np.inf
    for step in range(steps + 1):
        if places.shape[0]:
            copy(x, places[step])
        if largest_move(x, listed_at) > 0.5 * SKIN:
            terms = find_terms(x, box, p, p.cutoff + SKIN)
            copy(x, listed_at)
        new_energy = energy_and_forces(x, terms, p, forces)
        if not np.isfinite(new_energy):
            return (UNSTABLE if step else (BROKEN_BOND if bond_is_broken(x, p) else NOT_FINITE)), terms
        if new_energy > energy + 1e-9 * abs(energy):
            return UNSTABLE, terms
        energy = new_energy
        if step < steps:
            combine(1.0, x, h, forces, x)
            if not largest_move(x, listed_at) < 1e6:
                return UNSTABLE, terms
    return CONVERGED, terms


@Kernel
def rollout(y, box0, p, stretches, lengths, steps, stresses, kept):
    """Carry one cell through `stretches` (T, 3, 3), with `steps` damped steps of the `lengths` (T,) after each.

    `y` (N, 3), the positions carried back to the reference box, is updated in place. Fills `stresses` (T, 3, 3), the
    Biot stresses, and where `kept` is (T, N, 3) the y before each increment. Returns a status and increments done.
    """
    x, none = np.zeros((y.shape[0], 4)), np.empty((0, 0, 4))
    for t in range(stretches.shape[0]):
        if kept.shape[0]:
            kept[t] = y
        box = product(stretches[t], box0)
        fault = strain_fault(stretches[t], box0, p)
        if fault != CONVERGED:
            return fault, t
        carry(y, stretches[t], x)
        status, terms = relax(x, box, p, steps if lengths[t] > 0.0 else 0, lengths[t], none)
        if status != CONVERGED:
            return status, t
        back = inverse(stretches[t])
        biot_from_virial(virial(x, terms, p), back, box0, stresses[t])
        if not np.isfinite(stresses[t].sum()):
            return NOT_FINITE, t
        carry(x, back, y)
    return CONVERGED, stretches.shape[0]


@Kernel
def rollout_adjoint(kept, box0, p, stretches, lengths, steps, stress_gradients, by_strain, by_y, places, weights):
    """Carry gradients by the stresses (T, 3, 3) and by the last y (N, 3) back to strains (T, 3, 3) and the first y.

    `by_y` is updated in place. Where `places` and `weights` are (T, steps + 1, N, 3), they are filled with the
    positions of all steps and the gradients by the forces there, from which the gradients of parameters follow.
    """
    n = kept.shape[1]
    x, by_x, scratch, weight = np.zeros((n, 4)), np.zeros((n, 4)), np.zeros((n, 4)), np.zeros((n, 4))
    passed = np.zeros((steps + 1, n, 4))
    by_tensor, box_gradient, total = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))
    for t in range(stretches.shape[0] - 1, -1, -1):
        stretch, box, back = stretches[t], product(stretches[t], box0), inverse(stretches[t])
        taken = steps if lengths[t] > 0.0 else 0
        carry(kept[t], stretch, x)
        relax(x, box, p, taken, lengths[t], passed)
        total[:] = 0.0
        box_gradient[:] = 0.0
        lost = np.zeros((3, 3))
        add_outer(by_y, passed[taken], lost)  # y = U^-1 x at the end
        lost = product(product(back.T, lost), back.T)
        carry(by_y, back.T, by_x)
        k = stiffness(passed[taken], find_terms(passed[taken], box, p, p.cutoff), p)
        tensor = virial(passed[taken], find_terms(passed[taken], box, p, p.cutoff), p)
        biot_adjoint(stress_gradients[t], tensor, stretch, box0, by_tensor, total)
        virial_adjoint(by_tensor, passed[taken], k, p, by_x, box_gradient)
        for step in range(taken - 1, -1, -1):
            combine(lengths[t], by_x, 0.0, by_x, weight)
            k = stiffness(passed[step], find_terms(passed[step], box, p, p.cutoff), p)
            force_adjoint(weight, k, p, scratch, by_x, box_gradient)
            if weights.shape[0]:
                weights[t, step] = weight[:, :3]
        if places.shape[0]:
            places[t] = passed[:, :, :3]
        gained = product(box_gradient, back.T)  # the shifts are U times those of the reference
        add_outer(by_x, kept[t], gained)  # x = U y at the beginning
        for a in range(3):
            for b in range(3):
                total[a, b] += gained[a, b] - lost[a, b]
        for a in range(3):
            for b in range(3):
                by_strain[t, a, b] = 0.5 * (total[a, b] + total[b, a])
        carry(by_x, stretch.T, by_y)
