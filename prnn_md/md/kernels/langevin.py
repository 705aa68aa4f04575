"""Compiled Langevin roll-out of one cell at a real strain rate, and its truncated reverse pass.

BAOAB steps (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102, 2013) in a box that deforms after the second half of
each drift: positions are carried along, velocities are peculiar ones and stay. The noise is a function of seed and
step. The stress is the mean of virial and kinetic part over the last steps of each increment.

The reverse pass runs an increment forward once more from its beginning and then backward through its steps; the
gradient is clipped at each of them, and forgotten every `horizon` steps (Greener, J. Chem. Phys. 2025).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from prnn_md.compiled import FAST, Kernel
from prnn_md.md.failure import BROKEN_BOND, CONVERGED, NOT_FINITE, UNSTABLE
from prnn_md.md.kernels.aqs import biot_from_virial
from prnn_md.md.kernels.arrays import carry, combine, copy, inner, inverse, largest_move, product
from prnn_md.md.kernels.minimiser import bond_is_broken
from prnn_md.md.kernels.neighbours import face_width, find_terms, strain_fault
from prnn_md.md.kernels.noise import fill_normals, key_of
from prnn_md.md.kernels.potential import energy_and_forces, virial
from prnn_md.md.kernels.response import biot_adjoint, carry_adjoint, force_adjoint, virial_adjoint
from prnn_md.md.kernels.stiffness import stiffness


class Bath(NamedTuple):
    """How particles move: temperature (energy), friction (1/time), the part of each increment over which the stress is
    averaged, and the skin of the neighbour list; `clip` and `horizon` are those of the reverse pass."""

    temperature: float
    friction: float
    window: float
    skin: float
    clip: float
    horizon: int


@njit(**FAST)
def stretch_at(first, last, step, steps, out):
    """Fill the stretch (3, 3) after so many of the steps from the `first` to the `last` one."""
    part = step / steps
    for a in range(3):
        for b in range(3):
            out[a, b] = first[a, b] + part * (last[a, b] - first[a, b])


@njit(**FAST)
def measured_steps(bath, steps):
    """Over how many of the last of so many steps the stress is averaged."""
    return max(1, round(bath.window * steps))


@njit(**FAST)
def add_kinetic(v, p, tensor):
    """Subtract the kinetic part, the sum of m v (x) v, from a virial (3, 3)."""
    for i in range(v.shape[0]):
        for a in range(3):
            for b in range(3):
                tensor[a, b] -= p.masses[i] * v[i, a] * v[i, b]


@njit(**FAST)
def kick(v, forces, p, time):
    """v <- v + time F / m, for arrays (N, 4)."""
    for i in range(v.shape[0]):
        for a in range(4):
            v[i, a] += time / p.masses[i] * forces[i, a]


@njit(**FAST)
def drift_and_thermostat(x, v, p, bath, dt, noise):
    """Half a drift, friction and noise (N, 4), half a drift."""
    keep = np.exp(-bath.friction * dt)
    for i in range(x.shape[0]):
        spread = np.sqrt((1.0 - keep * keep) * bath.temperature / p.masses[i])
        for a in range(4):
            thermal = keep * v[i, a] + spread * noise[i, a]
            x[i, a] += 0.5 * dt * (v[i, a] + thermal)
            v[i, a] = thermal


@njit(**FAST)
def increment(x, v, box0, p, bath, first, last, steps, dt, key, counter, mean, places, speeds):
    """Take the steps of one increment from stretch `first` to `last` (3, 3); x and v (N, 4) in place.

    Fills `mean` (3, 3) with the Biot stress averaged over the window, and `places` and `speeds` (steps + 1, N, 4) where
    they have room. Returns a status code.
    """
    stretch, box, back = first.copy(), product(first, box0), inverse(first)
    noise, forces, stress = np.zeros_like(x), np.zeros_like(x), np.empty((3, 3))
    terms = find_terms(x, box, p, p.cutoff + bath.skin)
    if not np.isfinite(energy_and_forces(x, terms, p, forces)):
        return BROKEN_BOND if bond_is_broken(x, p) else NOT_FINITE
    listed_at = x.copy()
    measured, strained = measured_steps(bath, steps), 0.0
    mean[:] = 0.0
    for step in range(steps):
        if places.shape[0]:
            copy(x, places[step])
            copy(v, speeds[step])
        fill_normals(key, counter + step, noise)
        kick(v, forces, p, 0.5 * dt)
        drift_and_thermostat(x, v, p, bath, dt, noise)
        stretch_at(first, last, step + 1, steps, stretch)
        matrix = product(stretch, back)
        back = inverse(stretch)
        carry(x, matrix, x)
        carry(listed_at, matrix, listed_at)
        box = product(stretch, box0)
        scale_shifts(terms.shifts, matrix)
        fault = strain_fault(stretch, box0, p)
        if fault != CONVERGED:
            return fault
        furthest = largest_move(x, listed_at)
        if not furthest < 0.5 * face_width(box) + 1e3 * bath.skin:
            return UNSTABLE
        strained += deviation(matrix) * (p.cutoff + bath.skin)
        if 2.0 * furthest + strained > bath.skin:  # moves of particles and of the box use up the skin
            terms = find_terms(x, box, p, p.cutoff + bath.skin)
            copy(x, listed_at)
            strained = 0.0
        if not np.isfinite(energy_and_forces(x, terms, p, forces)):
            return BROKEN_BOND if bond_is_broken(x, p) else UNSTABLE
        kick(v, forces, p, 0.5 * dt)
        if step >= steps - measured:
            tensor = virial(x, terms, p)
            add_kinetic(v, p, tensor)
            biot_from_virial(tensor, back, box0, stress)
            for a in range(3):
                for b in range(3):
                    mean[a, b] += stress[a, b] / measured
    if places.shape[0]:
        copy(x, places[steps])
        copy(v, speeds[steps])
    return CONVERGED if np.isfinite(mean.sum()) and np.isfinite(inner(v, v)) else UNSTABLE


@njit(**FAST)
def deviation(matrix):
    """Largest length, to first order, by which a matrix (3, 3) changes a unit vector."""
    total = 0.0
    for a in range(3):
        for b in range(3):
            off = matrix[a, b] - (1.0 if a == b else 0.0)
            total += off * off
    return np.sqrt(total)


@njit(**FAST)
def scale_shifts(shifts, matrix):
    """Let the sums of box vectors (P, 4) follow the box."""
    carry(shifts, matrix, shifts)


@Kernel
def rollout(y, v, random, box0, p, bath, before, stretches, steps, times, stresses, kept_y, kept_v):
    """Carry one cell from the stretch `before` (3, 3) through `stretches` (T, 3, 3), in `steps` (T,) of length `times`.

    `y` and `v` (N, 3), positions carried back and velocities, and the second number of `random` (2,), seed and step,
    are updated in place. Fills `stresses` (T, 3, 3) for increments that have steps, and where they have room `kept_y`
    and `kept_v` (T, N, 3) with y and v before each increment. Returns a status and the increments done.
    """
    x, speed, none = np.zeros((y.shape[0], 4)), np.zeros((y.shape[0], 4)), np.empty((0, 0, 4))
    key, first = key_of(random[0]), before.copy()
    for t in range(stretches.shape[0]):
        if kept_y.shape[0]:
            kept_y[t] = y
            kept_v[t] = v
        if steps[t] > 0:
            fault = strain_fault(stretches[t], box0, p)
            if fault != CONVERGED:
                return fault, t
            carry(y, first, x)
            for i in range(v.shape[0]):
                for a in range(3):
                    speed[i, a] = v[i, a]
            status = increment(
                x,
                speed,
                box0,
                p,
                bath,
                first,
                stretches[t],
                steps[t],
                times[t],
                key,
                random[1],
                stresses[t],
                none,
                none,
            )
            if status != CONVERGED:
                return status, t
            random[1] += steps[t]
            carry(x, inverse(stretches[t]), y)
            for i in range(v.shape[0]):
                for a in range(3):
                    v[i, a] = speed[i, a]
        first[:] = stretches[t]
    return CONVERGED, stretches.shape[0]


@njit(**FAST)
def clipped(gradient, limit):
    """Scale an array (N, 4) down to the norm `limit`."""
    size = np.sqrt(inner(gradient, gradient))
    if size > limit:
        combine(limit / size, gradient, 0.0, gradient, gradient)


@Kernel
def rollout_adjoint(
    kept_y, kept_v, seed, end, box0, p, bath, before, stretches, steps, times, stress_gradients, by_strain, by_y, by_v
):
    """Carry gradients by the stresses (T, 3, 3), the last y and the last v (N, 3) back to the strains and the first.

    `end` is the number of the last step. `by_strain` (T + 1, 3, 3) is filled, the first entry for `before`; `by_y` and
    `by_v` are updated in place.
    """
    n, key = kept_y.shape[1], key_of(seed)
    x, v, scratch = np.zeros((n, 4)), np.zeros((n, 4)), np.zeros((n, 4))
    by_x, by_speed, weight = np.zeros((n, 4)), np.zeros((n, 4)), np.zeros((n, 4))
    now, earlier, mean = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    by_tensor, box_gradient, by_now, by_earlier = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))
    by_strain[:] = 0.0
    done = end
    for t in range(stretches.shape[0] - 1, -1, -1):
        if steps[t] == 0:
            continue
        first, last, count, dt = before if t == 0 else stretches[t - 1], stretches[t], steps[t], times[t]
        keep, measured = np.exp(-bath.friction * dt), measured_steps(bath, count)
        places, speeds = np.zeros((count + 1, n, 4)), np.zeros((count + 1, n, 4))
        carry(kept_y[t], first, x)
        for i in range(n):
            for a in range(3):
                v[i, a] = kept_v[t, i, a]
        increment(x, v, box0, p, bath, first, last, count, dt, key, done - count, mean, places, speeds)
        leave(by_y, places[count], last, by_x, by_strain[t + 1])
        for i in range(n):
            for a in range(3):
                by_speed[i, a] = by_v[i, a]
        for step in range(count, 0, -1):
            if (end - done + count - step) % bath.horizon == 0 and (end - done + count - step) > 0:
                by_x[:] = 0.0
                by_speed[:] = 0.0
            stretch_at(first, last, step, count, now)
            stretch_at(first, last, step - 1, count, earlier)
            by_now[:] = 0.0
            by_earlier[:] = 0.0
            box_gradient[:] = 0.0
            box = product(now, box0)
            terms = find_terms(places[step], box, p, p.cutoff)
            k = stiffness(places[step], terms, p)
            if step > count - measured:
                tensor = virial(places[step], terms, p)
                add_kinetic(speeds[step], p, tensor)
                combine_matrix(1.0 / measured, stress_gradients[t], mean)
                biot_adjoint(mean, tensor, now, box0, by_tensor, by_now)
                virial_adjoint(by_tensor, places[step], k, p, by_x, box_gradient)
                for i in range(n):
                    for a in range(3):
                        pull = 0.0
                        for b in range(3):
                            pull += by_tensor[a, b] * speeds[step, i, b]
                        by_speed[i, a] -= 2.0 * p.masses[i] * pull
            clipped(by_speed, bath.clip)
            # second kick, at the new positions
            for i in range(n):
                for a in range(4):
                    weight[i, a] = 0.5 * dt / p.masses[i] * by_speed[i, a]
            force_adjoint(weight, k, p, scratch, by_x, box_gradient)
            add_box_gradient(box_gradient, now, by_now)
            clipped(by_x, bath.clip)
            # positions before the deformation
            carry(places[step], product(earlier, inverse(now)), x)
            carry_adjoint(x, by_x, now, earlier, by_now, by_earlier)
            # drift, thermostat, drift
            for i in range(n):
                for a in range(4):
                    thermal = by_speed[i, a] + 0.5 * dt * by_x[i, a]
                    by_speed[i, a] = keep * thermal + 0.5 * dt * by_x[i, a]
                    weight[i, a] = 0.5 * dt / p.masses[i] * by_speed[i, a]
            # first kick, at the old positions
            box_gradient[:] = 0.0
            k = stiffness(places[step - 1], find_terms(places[step - 1], product(earlier, box0), p, p.cutoff), p)
            force_adjoint(weight, k, p, scratch, by_x, box_gradient)
            add_box_gradient(box_gradient, earlier, by_earlier)
            share(by_now, by_earlier, step, count, by_strain[t], by_strain[t + 1])
        enter(by_x, kept_y[t], first, by_y, by_strain[t])
        for i in range(n):
            for a in range(3):
                by_v[i, a] = by_speed[i, a]
        done -= count
    for t in range(by_strain.shape[0]):
        for a in range(3):
            for b in range(a):
                mean_entry = 0.5 * (by_strain[t, a, b] + by_strain[t, b, a])
                by_strain[t, a, b] = mean_entry
                by_strain[t, b, a] = mean_entry


@njit(**FAST)
def combine_matrix(factor, m, out):
    """out = factor m, matrices (3, 3)."""
    for a in range(3):
        for b in range(3):
            out[a, b] = factor * m[a, b]


@njit(**FAST)
def add_box_gradient(box_gradient, stretch, by_stretch):
    """Add what a gradient by a factor of all shifts means for the stretch, both (3, 3)."""
    gained = product(box_gradient, inverse(stretch).T)
    for a in range(3):
        for b in range(3):
            by_stretch[a, b] += gained[a, b]


@njit(**FAST)
def leave(by_y, x, stretch, by_x, by_stretch):
    """Reverse of y = U^-1 x: fills by_x (N, 4) and adds to by_stretch (3, 3)."""
    back, outer = inverse(stretch), np.zeros((3, 3))
    for i in range(x.shape[0]):
        for a in range(3):
            for b in range(3):
                outer[a, b] += by_y[i, a] * x[i, b]
    lost = product(product(back.T, outer), back.T)
    for a in range(3):
        for b in range(3):
            by_stretch[a, b] -= lost[a, b]
    carry(by_y, back.T, by_x)


@njit(**FAST)
def enter(by_x, y, stretch, by_y, by_stretch):
    """Reverse of x = U y: fills by_y (N, 3) and adds to by_stretch (3, 3)."""
    for i in range(y.shape[0]):
        for a in range(3):
            for b in range(3):
                by_stretch[a, b] += by_x[i, a] * y[i, b]
    carry(by_x, stretch.T, by_y)


@njit(**FAST)
def share(by_now, by_earlier, step, count, by_first, by_last):
    """Give the gradients by the stretches after and before a step to the ends of the increment (3, 3)."""
    after, ago = step / count, (step - 1) / count
    for a in range(3):
        for b in range(3):
            by_last[a, b] += after * by_now[a, b] + ago * by_earlier[a, b]
            by_first[a, b] += (1.0 - after) * by_now[a, b] + (1.0 - ago) * by_earlier[a, b]
