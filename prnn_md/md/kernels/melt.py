"""Compiled Langevin dynamics of one cell, with a barostat, for making melts and glasses."""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST, Kernel
from prnn_md.md.kernels.arrays import copy, determinant, largest_move
from prnn_md.md.kernels.chains import add_chain_forces
from prnn_md.md.kernels.neighbours import box_is_too_small, find_terms
from prnn_md.md.kernels.potential import add_forces, joined_terms, pair_terms, separations

EVERY = 10  # steps between two actions of thermostat and barostat
HELD, BROKEN, NARROW, LOST = 0, 1, 2, 3


@njit(**FAST)
def capped_forces(x, terms, p, cap, forces):
    """As `energy_and_forces`, with pairs closer than `cap` pushing as if at `cap`; returns the virial's trace.

    inf tells of a broken bond.
    """
    pairs, size, trace, r2 = terms.outer2.size, terms.second.size, 0.0, terms.r2
    separations(x, terms, 0, size, 0)
    for q in range(pairs):
        r2[q] = max(r2[q], cap * cap)
    pair_terms(terms, p, 0, pairs, 0)
    if joined_terms(terms, p, pairs) == np.inf:
        return np.inf
    forces[:] = 0.0
    add_forces(terms, 0, size, 0, forces)
    for q in range(size):
        trace += terms.slope[q] * r2[q]
    add_chain_forces(x, p, forces)  # angles do not change with size, so that they have no part in the trace
    return trace


@Kernel
def melt(x, v, box, p, skin, steps, dt, friction, temperatures, pressure_time, bulk_modulus, cap, rng):
    """Advance x and v (N, 4), and the box if there is a barostat, in place by `steps` steps of length `dt`.

    Units are those of the force field, temperatures energies. BAOAB splitting (Leimkuhler & Matthews, J. Chem. Phys.
    138, 174102, 2013), friction and noise acting in every tenth step for ten; the temperature goes linearly between the
    two `temperatures`. With `pressure_time` > 0 box and positions are scaled towards zero pressure within that time,
    for a material of about that `bulk_modulus` (Berendsen et al., J. Chem. Phys. 81, 3684, 1984). Pairs nearer than
    `cap` push as if at `cap`. The list reaches `skin` farther than the potential. Returns HELD, or what went wrong:
    BROKEN, NARROW or LOST, for a bond, a box that became too small, or forces that are not finite.
    """
    terms = find_terms(x, box, p, p.cutoff + skin)
    listed_at, forces = x.copy(), np.zeros_like(x)
    if capped_forces(x, terms, p, cap, forces) == np.inf:
        return BROKEN
    for step in range(steps):
        acts = step % EVERY == 0
        temperature = temperatures[0] + (temperatures[1] - temperatures[0]) * step / steps
        keep = np.exp(-friction * dt * EVERY) if acts else 1.0
        for i in range(x.shape[0]):
            kick = np.sqrt((1.0 - keep * keep) * temperature / p.masses[i])
            for a in range(3):
                speed = v[i, a] + 0.5 * dt / p.masses[i] * forces[i, a]
                thermal = keep * speed + kick * rng.standard_normal() if acts else speed
                x[i, a] += 0.5 * dt * (speed + thermal)
                v[i, a] = thermal
        moved = largest_move(x, listed_at)
        if not moved < 1e6:
            return LOST
        if moved > 0.5 * skin:
            terms = find_terms(x, box, p, p.cutoff + skin)
            copy(x, listed_at)
        virial = capped_forces(x, terms, p, cap, forces)
        if virial == np.inf:
            return BROKEN
        kinetic = 0.0
        for i in range(x.shape[0]):
            for a in range(3):
                v[i, a] += 0.5 * dt / p.masses[i] * forces[i, a]
                kinetic += p.masses[i] * v[i, a] * v[i, a]
        if pressure_time > 0.0 and acts:
            pressure = (kinetic - virial) / (3.0 * abs(determinant(box)))
            scale = 1.0 + EVERY * dt / pressure_time * pressure / (3.0 * bulk_modulus)
            scale = min(max(scale, 0.99), 1.01)
            x *= scale
            box *= scale
            terms.shifts[:] *= scale
            listed_at *= scale
            if box_is_too_small(box, p):
                return NARROW
    return HELD
