"""Compiled Langevin dynamics of one bead-spring cell, with a barostat, for making melts and glasses."""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.minimiser import largest_move
from prnn_md.md.neighbours import find_terms
from prnn_md.md.potential import bond_terms, fill_forces, pair_terms, separations

SKIN = 0.5  # wider than for minimisation, since beads in a melt move far
EVERY = 10  # steps between two actions of thermostat and barostat
BULK_MODULUS = 50.0  # of the order of the glass's, epsilon / sigma^3: sets how fast the barostat answers


@njit(**FAST)
def capped_forces(x, terms, p, cap, forces):
    """As `energy_and_forces`, with pairs closer than `cap` pushing as if at `cap`; returns the virial's trace.

    inf tells of a broken bond.
    """
    size = terms.second.size
    d, r2, capped = np.empty((size, 3)), np.empty(size), np.empty(size)
    energies, slope = np.empty(size), np.empty(size)
    separations(x, terms, d, r2)
    for q in range(size):
        capped[q] = max(r2[q], cap * cap)
    pair_terms(capped, p, energies, slope)
    if not bond_terms(r2, terms.bonded, p, energies, slope):
        return np.inf
    fill_forces(terms, slope, d, forces)
    return (slope * r2).sum()


@njit(**FAST)
def langevin(x, v, box, partners, p, steps, dt, friction, temperatures, pressure_time, cap, rng):
    """Advance x and v (N, 3), and the box if there is a barostat, in place by `steps` steps of length `dt`.

    Reduced units: `dt` and `pressure_time` in tau, `friction` in 1/tau, temperatures in epsilon/k_B, `cap` in sigma
    (see `capped_forces`). BAOAB splitting (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102, 2013), friction and
    noise acting in every tenth step for ten; the temperature goes linearly between the two `temperatures`. With
    `pressure_time` > 0 box and positions are scaled towards zero pressure within that time (Berendsen et al.,
    J. Chem. Phys. 81, 3684, 1984). Returns whether all bonds held.
    """
    terms = find_terms(x, box, partners, p.outer + SKIN)
    listed_at = x.copy()
    forces = np.empty_like(x)
    if capped_forces(x, terms, p, cap, forces) == np.inf:
        return False
    for step in range(steps):
        acts = step % EVERY == 0
        temperature = temperatures[0] + (temperatures[1] - temperatures[0]) * step / steps
        keep = np.exp(-friction * dt * EVERY) if acts else 1.0
        kick = np.sqrt((1.0 - keep * keep) * temperature / p.mass)
        for i in range(x.shape[0]):
            for a in range(3):
                speed = v[i, a] + 0.5 * dt / p.mass * forces[i, a]
                thermal = keep * speed + kick * rng.standard_normal() if acts else speed
                x[i, a] += 0.5 * dt * (speed + thermal)
                v[i, a] = thermal
        if largest_move(x, listed_at) > 0.5 * SKIN:
            terms = find_terms(x, box, partners, p.outer + SKIN)
            listed_at[:] = x
        virial = capped_forces(x, terms, p, cap, forces)
        if virial == np.inf:
            return False
        for i in range(x.shape[0]):
            for a in range(3):
                v[i, a] += 0.5 * dt / p.mass * forces[i, a]
        if pressure_time > 0.0 and acts:
            pressure = (p.mass * (v * v).sum() - virial) / (3.0 * abs(np.linalg.det(box)))
            scale = 1.0 + EVERY * dt / pressure_time * pressure / (3.0 * BULK_MODULUS)
            x *= scale
            box *= scale
            terms.shifts[:] *= scale
            listed_at *= scale
    return True
