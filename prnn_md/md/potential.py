"""Compiled energy, forces and virial of one bead-spring cell.

`prnn_md.md.energy` is the definition that everything here is tested against. Positions x (N, 3) are unwrapped; `p`
is a `BeadSpring`. The work on a cell's `Terms` goes in three passes, of which the middle one, where the arithmetic
is, runs on contiguous arrays and is vectorised; it treats bonds as pairs first, and then puts them right.
"""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST


@njit(**FAST)
def separations(x, terms, d, r2):
    """Fill the vectors d (P, 3) from first to second bead of each term, and their squared lengths r2 (P,)."""
    for i in range(x.shape[0]):
        x0, x1, x2 = x[i, 0], x[i, 1], x[i, 2]
        for q in range(terms.starts[i], terms.starts[i + 1]):
            j = terms.second[q]
            d0 = x[j, 0] - x0 + terms.shifts[q, 0]
            d1 = x[j, 1] - x1 + terms.shifts[q, 1]
            d2 = x[j, 2] - x2 + terms.shifts[q, 2]
            d[q, 0], d[q, 1], d[q, 2] = d0, d1, d2
            r2[q] = d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def pair_terms(r2, p, energies, slope):
    """Energies u and slopes u'/r of tapered Lennard-Jones pairs at squared distances r2; zero beyond the taper."""
    sigma2, width = p.sigma * p.sigma, 1.0 / (p.outer - p.inner)
    for q in range(r2.size):
        inverse = 1.0 / r2[q]
        t = sigma2 * inverse
        s6 = t * t * t
        u = 4.0 * p.epsilon * s6 * (s6 - 1.0)
        plain = -24.0 * p.epsilon * s6 * (2.0 * s6 - 1.0) * inverse
        r = np.sqrt(r2[q])
        z = min(max((r - p.inner) * width, 0.0), 1.0)
        taper = 1.0 + z * z * z * (-10.0 + z * (15.0 - 6.0 * z))
        edge = z * (1.0 - z)
        energies[q] = u * taper
        slope[q] = plain * taper - 30.0 * edge * edge * width * u * r * inverse


@njit(**FAST)
def bond_terms(r2, bonded, p, energies, slope):
    """Energies and slopes u'/r of the FENE plus WCA bonds among the terms; returns whether all bonds hold."""
    extent2 = p.fene_extent * p.fene_extent
    for q in bonded:
        left = 1.0 - r2[q] / extent2
        if left <= 0.0:
            return False
        t = p.sigma * p.sigma / r2[q]
        s6 = t * t * t
        energies[q] = -0.5 * p.fene_stiffness * extent2 * np.log(left)
        slope[q] = p.fene_stiffness / left
        if s6 > 0.5:
            energies[q] += 4.0 * p.epsilon * s6 * (s6 - 1.0) + p.epsilon
            slope[q] -= 24.0 * p.epsilon * s6 * (2.0 * s6 - 1.0) / r2[q]
    return True


@njit(**FAST)
def add_pulls(terms, pulls, forces):
    """Fill `forces` (N, 3) with the pulls (P, 3) that terms exert on their first beads, reversed on the second."""
    forces[:] = 0.0
    for i in range(forces.shape[0]):
        f0, f1, f2 = 0.0, 0.0, 0.0
        for q in range(terms.starts[i], terms.starts[i + 1]):
            j, g0, g1, g2 = terms.second[q], pulls[q, 0], pulls[q, 1], pulls[q, 2]
            f0 += g0
            f1 += g1
            f2 += g2
            forces[j, 0] -= g0
            forces[j, 1] -= g1
            forces[j, 2] -= g2
        forces[i, 0] += f0
        forces[i, 1] += f1
        forces[i, 2] += f2


@njit(**FAST)
def fill_forces(terms, slope, d, forces):
    """Fill `forces` (N, 3) with those of terms of slope u'/r along d (P, 3), which is overwritten."""
    for q in range(slope.size):
        d[q, 0] *= slope[q]
        d[q, 1] *= slope[q]
        d[q, 2] *= slope[q]
    add_pulls(terms, d, forces)


@njit(**FAST)
def energy_and_forces(x, terms, p, forces):
    """Energy of the cell, inf with a broken bond; fills `forces` (N, 3)."""
    size = terms.second.size
    d, r2, energies, slope = np.empty((size, 3)), np.empty(size), np.empty(size), np.empty(size)
    separations(x, terms, d, r2)
    pair_terms(r2, p, energies, slope)
    if not bond_terms(r2, terms.bonded, p, energies, slope):
        return np.inf
    fill_forces(terms, slope, d, forces)
    return energies.sum()


@njit(**FAST)
def virial(x, terms, p):
    """Virial tensor, sum of u'/r d (x) d over all terms, (3, 3): volume times Cauchy stress, tension positive."""
    size = terms.second.size
    d, r2, energies, slope = np.empty((size, 3)), np.empty(size), np.empty(size), np.empty(size)
    separations(x, terms, d, r2)
    pair_terms(r2, p, energies, slope)
    bond_terms(r2, terms.bonded, p, energies, slope)
    tensor = np.zeros((3, 3))
    for q in range(size):
        for a in range(3):
            for b in range(3):
                tensor[a, b] += slope[q] * d[q, a] * d[q, b]
    return tensor
