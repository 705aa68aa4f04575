"""Compiled energy, forces, virial and stiffness of one bead-spring cell.

`prnn_md.md.energy` is the definition that everything here is tested against. Positions x (N, 3) are unwrapped;
the box h (3, 3) has its vectors in columns; `p` is the array that `force_array` makes. Lengths in sigma,
energies in epsilon.

The terms of a cell are held as flat arrays of pairs, bonds first: partners `first` and `second` (P,), and
`shifts` (P, 3), the box vectors that bring the second bead next to the first. The work on them goes in three
passes, of which the middle one, where the arithmetic is, runs on contiguous arrays and is vectorised.
"""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST
from prnn_md.md.force_field import BeadSpring


def force_array(force_field: BeadSpring) -> np.ndarray:
    """The parameters of a force field in the order that the compiled functions expect."""
    ff = force_field
    return np.array([ff.epsilon, ff.sigma, ff.inner, ff.outer, ff.fene_stiffness, ff.fene_extent])


@njit(**FAST)
def separations(x, first, second, shifts, d, r2):
    """Fill the pair vectors d (P, 3) from first to second bead, and their squared lengths r2 (P,)."""
    for q in range(first.size):
        i, j = first[q], second[q]
        d0 = x[j, 0] - x[i, 0] + shifts[q, 0]
        d1 = x[j, 1] - x[i, 1] + shifts[q, 1]
        d2 = x[j, 2] - x[i, 2] + shifts[q, 2]
        d[q, 0], d[q, 1], d[q, 2] = d0, d1, d2
        r2[q] = d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def bond_terms(r2, p, slope):
    """Energy of FENE plus WCA bonds at squared lengths r2; fills u'/r. A broken bond gives inf."""
    energy = 0.0
    extent2 = p[5] * p[5]
    for q in range(r2.size):
        left = 1.0 - r2[q] / extent2
        if left <= 0.0:
            return np.inf
        t = p[1] * p[1] / r2[q]
        s6 = t * t * t
        energy -= 0.5 * p[4] * extent2 * np.log(left)
        slope[q] = p[4] / left
        if s6 > 0.5:
            energy += 4.0 * p[0] * s6 * (s6 - 1.0) + p[0]
            slope[q] -= 24.0 * p[0] * s6 * (2.0 * s6 - 1.0) / r2[q]
    return energy


@njit(**FAST)
def pair_terms(r2, p, slope):
    """Energy of tapered Lennard-Jones pairs at squared distances r2; fills u'/r. Beyond the taper all is zero."""
    epsilon, sigma2, inner, width = p[0], p[1] * p[1], p[2], 1.0 / (p[3] - p[2])
    energy = 0.0
    for q in range(r2.size):
        inverse = 1.0 / r2[q]
        t = sigma2 * inverse
        s6 = t * t * t
        u = 4.0 * epsilon * s6 * (s6 - 1.0)
        plain = -24.0 * epsilon * s6 * (2.0 * s6 - 1.0) * inverse
        r = np.sqrt(r2[q])
        z = min(max((r - inner) * width, 0.0), 1.0)
        taper = 1.0 + z * z * z * (-10.0 + z * (15.0 - 6.0 * z))
        edge = z * (1.0 - z)
        energy += u * taper
        slope[q] = plain * taper - 30.0 * edge * edge * width * u * r * inverse
    return energy


@njit(**FAST)
def energy_and_forces(x, first, second, shifts, bonds, p, forces, work):
    """Energy of the cell, inf with a broken bond; fills `forces` (N, 3). The first `bonds` terms are bonds.

    `work` (5, P): scratch space.
    """
    terms = first.size
    d = work[:3].reshape(terms, 3)
    r2, slope = work[3], work[4]
    separations(x, first, second, shifts, d, r2)
    energy = bond_terms(r2[:bonds], p, slope[:bonds])
    if energy == np.inf:
        return energy
    energy += pair_terms(r2[bonds:], p, slope[bonds:])
    forces[:] = 0.0
    for q in range(terms):
        i, j, s = first[q], second[q], slope[q]
        f0, f1, f2 = s * d[q, 0], s * d[q, 1], s * d[q, 2]
        forces[i, 0] += f0
        forces[i, 1] += f1
        forces[i, 2] += f2
        forces[j, 0] -= f0
        forces[j, 1] -= f1
        forces[j, 2] -= f2
    return energy


@njit(**FAST)
def virial(x, first, second, shifts, bonds, p):
    """Virial tensor, sum of u'/r d (x) d over all terms, (3, 3): volume times Cauchy stress, tension positive."""
    d = np.empty((first.size, 3))
    r2 = np.empty(first.size)
    slope = np.empty(first.size)
    separations(x, first, second, shifts, d, r2)
    bond_terms(r2[:bonds], p, slope[:bonds])
    pair_terms(r2[bonds:], p, slope[bonds:])
    tensor = np.zeros((3, 3))
    for q in range(first.size):
        for a in range(3):
            for b in range(3):
                tensor[a, b] += slope[q] * d[q, a] * d[q, b]
    return tensor


@njit(**FAST)
def stiffness_terms(r2, bonds, p, slope, along):
    """Fill u'/r and (u'' - u'/r)/r^2: a term's stiffness is K = u'/r I + (u'' - u'/r)/r^2 d (x) d."""
    sigma2, width = p[1] * p[1], 1.0 / (p[3] - p[2])
    for q in range(r2.size):
        inverse = 1.0 / r2[q]
        t = sigma2 * inverse
        s6 = t * t * t
        u = 4.0 * p[0] * s6 * (s6 - 1.0)
        slope[q] = -24.0 * p[0] * s6 * (2.0 * s6 - 1.0) * inverse
        curvature = 24.0 * p[0] * s6 * (26.0 * s6 - 7.0) * inverse
        if q < bonds:
            if s6 <= 0.5:
                slope[q], curvature = 0.0, 0.0
            left = 1.0 - r2[q] / (p[5] * p[5])
            slope[q] += p[4] / left
            curvature += p[4] / left * (1.0 + 2.0 * (1.0 - left) / left)
        else:
            r = np.sqrt(r2[q])
            z = min(max((r - p[2]) * width, 0.0), 1.0)
            taper = 1.0 + z * z * z * (-10.0 + z * (15.0 - 6.0 * z))
            taper1 = -30.0 * z * z * (1.0 - z) * (1.0 - z) * width
            taper2 = -60.0 * z * (1.0 - z) * (1.0 - 2.0 * z) * width * width
            curvature = curvature * taper + 2.0 * slope[q] * r * taper1 + u * taper2
            slope[q] = slope[q] * taper + u * taper1 / r
        along[q] = (curvature - slope[q]) * inverse
