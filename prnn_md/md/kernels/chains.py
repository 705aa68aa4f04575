"""Compiled angles and torsions: terms of three and four particles in a row.

Such an energy is a function of the vectors b (m, 3) from each particle to the next, its legs; `g` (m, 3) are its first
and `k` (3 m, 3 m) its second derivatives by them. Derivatives of the dihedral angle after Blondel & Karplus,
J. Comput. Chem. 17, 1132 (1996), with their F = -b1, G = -b2, H = b3.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import FAST
from prnn_md.md.kernels.field import COSINE

STRAIGHT = 1e-12  # squared sine of an angle below which its derivatives are left out


@njit(**FAST)
def fill_legs(x, members, legs):
    """Fill the vectors (m, 3) from each of the m + 1 `members` to the next."""
    for leg in range(legs.shape[0]):
        for a in range(3):
            legs[leg, a] = x[members[leg + 1], a] - x[members[leg], a]


@njit(**FAST)
def add_leg_pulls(members, pulls, forces):
    """Add the pulls (m, 3) of legs on the particle where each begins, reversed where it ends."""
    for leg in range(pulls.shape[0]):
        for a in range(3):
            forces[members[leg], a] += pulls[leg, a]
            forces[members[leg + 1], a] -= pulls[leg, a]


@njit(**FAST)
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(**FAST)
def cross(a, b, out):
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@njit(**FAST)
def angle_of_cosine(c, form, number):
    """Energy of an angle and its first two derivatives by c, the cosine of the angle between successive legs."""
    if form == COSINE:
        return number[0] * (1.0 - c), -number[0], 0.0
    c = min(max(c, -1.0), 1.0)
    off = np.pi - np.arccos(c) - number[1]
    sine2 = 1.0 - c * c
    if sine2 < STRAIGHT:
        return number[0] * off * off, 0.0, 0.0
    by_c = 1.0 / np.sqrt(sine2)
    return number[0] * off * off, 2.0 * number[0] * off * by_c, 2.0 * number[0] * (1.0 + off * c * by_c) / sine2


@njit(**FAST)
def angle(legs, form, number, g):
    """Energy of an angle; fills its derivatives g (2, 3) by the legs."""
    r, s = np.sqrt(dot(legs[0], legs[0])), np.sqrt(dot(legs[1], legs[1]))
    c = dot(legs[0], legs[1]) / (r * s)
    u, slope, _ = angle_of_cosine(c, form, number)
    for a in range(3):
        n, m = legs[0, a] / r, legs[1, a] / s
        g[0, a] = slope * (m - c * n) / r
        g[1, a] = slope * (n - c * m) / s
    return u


@njit(**FAST)
def angle_stiffness(legs, form, number, k):
    """Fill the second derivatives k (6, 6) of an angle by its legs."""
    r, s = np.sqrt(dot(legs[0], legs[0])), np.sqrt(dot(legs[1], legs[1]))
    c = dot(legs[0], legs[1]) / (r * s)
    _, slope, curvature = angle_of_cosine(c, form, number)
    n, m, p, q = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for a in range(3):
        n[a], m[a] = legs[0, a] / r, legs[1, a] / s
        p[a], q[a] = m[a] - c * n[a], n[a] - c * m[a]
    for a in range(3):
        for b in range(3):
            one = 1.0 if a == b else 0.0
            nn, mm = n[a] * n[b], m[a] * m[b]
            k[a, b] = (curvature * p[a] * p[b] - slope * (n[a] * p[b] + p[a] * n[b] + c * (one - nn))) / (r * r)
            k[3 + a, 3 + b] = (curvature * q[a] * q[b] - slope * (m[a] * q[b] + q[a] * m[b] + c * (one - mm))) / (s * s)
            k[a, 3 + b] = (curvature * p[a] * q[b] + slope * (one - nn - mm + c * n[a] * m[b])) / (r * s)
    for a in range(3):
        for b in range(3):
            k[3 + b, a] = k[a, 3 + b]


@njit(**FAST)
def dihedral(legs, one, other):
    """Dihedral angle of three legs, by the IUPAC convention; fills the normals `one` and `other` of its planes."""
    cross(legs[0], legs[1], one)
    cross(legs[1], legs[2], other)
    return np.arctan2(dot(legs[0], other) * np.sqrt(dot(legs[1], legs[1])), dot(one, other))


@njit(**FAST)
def waves(phi, numbers):
    """Energy of a torsion and its first two derivatives by the dihedral angle."""
    u, slope, curvature = 0.0, 0.0, 0.0
    for term in range(numbers.shape[0]):
        stiffness, phase, period = numbers[term]
        u += stiffness * (1.0 + np.cos(period * phi - phase))
        slope -= stiffness * period * np.sin(period * phi - phase)
        curvature -= stiffness * period * period * np.cos(period * phi - phase)
    return u, slope, curvature


@njit(**FAST)
def dihedral_gradient(legs, one, other, g):
    """Fill the derivatives g (3, 3) of the dihedral angle by its legs; zero where three particles are in line."""
    length2 = dot(legs[1], legs[1])
    length, one2, other2 = np.sqrt(length2), dot(one, one), dot(other, other)
    if one2 < STRAIGHT * length2 * length2 or other2 < STRAIGHT * length2 * length2:
        g[:] = 0.0
        return
    before, after = dot(legs[0], legs[1]) / (one2 * length), dot(legs[1], legs[2]) / (other2 * length)
    for a in range(3):
        g[0, a] = length / one2 * one[a]
        g[1, a] = -before * one[a] - after * other[a]
        g[2, a] = length / other2 * other[a]


@njit(**FAST)
def torsion(legs, numbers, g):
    """Energy of a torsion; fills its derivatives g (3, 3) by the legs."""
    one, other = np.empty(3), np.empty(3)
    u, slope, _ = waves(dihedral(legs, one, other), numbers)
    dihedral_gradient(legs, one, other, g)
    for leg in range(3):
        for a in range(3):
            g[leg, a] *= slope
    return u


@njit(**FAST)
def torsion_stiffness(legs, numbers, k):
    """Fill the second derivatives k (9, 9) of a torsion by its legs.

    Those of the dihedral angle are the derivatives of `dihedral_gradient`, written with the normals and their cross
    products with the legs.
    """
    one, other, g = np.empty(3), np.empty(3), np.empty((3, 3))
    _, slope, curvature = waves(dihedral(legs, one, other), numbers)
    dihedral_gradient(legs, one, other, g)
    for a in range(9):
        for b in range(9):
            k[a, b] = curvature * g[a // 3, a % 3] * g[b // 3, b % 3]
    if dot(g[0], g[0]) == 0.0:  # three particles are in line
        return
    length2 = dot(legs[1], legs[1])
    length = np.sqrt(length2)
    _add_normal_stiffness(legs[0], legs[1], one, slope, length, 0, k)
    _add_normal_stiffness(legs[2], legs[1], other, slope, length, 2, k)


@njit(**FAST)
def _add_normal_stiffness(leg, middle, normal, slope, length, place, k):
    """Add what the derivatives of one normal contribute: of leg x middle at place 0, of middle x leg at place 2.

    With s = leg.middle / length, unit axis e = middle / length, normal A, and the vectors P = middle x A and
    Q = leg x A (with the sign of the place), g_leg = length A / A^2 and g_middle = -s A / A^2.
    """
    sign = 1.0 if place == 0 else -1.0
    square = dot(normal, normal)
    p, q = np.empty(3), np.empty(3)
    cross(middle, normal, p)
    cross(leg, normal, q)
    along = dot(leg, middle) / length
    for a in range(3):
        for b in range(3):
            # derivative of A_a by leg_b is (eps middle)_ab; of 1/A^2 by leg_b is -2 (middle x A)_b / A^4
            m_eps = _levi_civita(a, b, middle)
            l_eps = _levi_civita(a, b, leg)
            by_leg = sign * m_eps / square - 2.0 * sign * normal[a] * p[b] / (square * square)
            by_middle = -sign * l_eps / square + 2.0 * sign * normal[a] * q[b] / (square * square)
            e_b = middle[b] / length
            s_leg = e_b
            s_middle = (leg[b] - along * e_b) / length
            leg_row, middle_row = 3 * place + a, 3 + a
            leg_column, middle_column = 3 * place + b, 3 + b
            k[leg_row, leg_column] += slope * length * by_leg
            k[leg_row, middle_column] += slope * (e_b * normal[a] / square + length * by_middle)
            k[middle_row, leg_column] -= slope * (s_leg * normal[a] / square + along * by_leg)
            k[middle_row, middle_column] -= slope * (s_middle * normal[a] / square + along * by_middle)


@njit(**FAST)
def _levi_civita(a, b, v):
    """Entry (a, b) of the matrix that maps u to u x v."""
    if a == b:
        return 0.0
    c = 3 - a - b
    return v[c] if (a + 1) % 3 == b else -v[c]


@njit(**FAST)
def add_chain_forces(x, p, forces):
    """Energy of all angles and torsions; adds their forces (N, 3)."""
    legs, g, total = np.empty((3, 3)), np.empty((3, 3)), 0.0
    for row in range(p.angles.shape[0]):
        fill_legs(x, p.angles[row], legs[:2])
        total += angle(legs[:2], p.angle_forms[row], p.angle_numbers[row], g[:2])
        add_leg_pulls(p.angles[row], g[:2], forces)
    for row in range(p.torsions.shape[0]):
        fill_legs(x, p.torsions[row], legs)
        total += torsion(legs, p.torsion_numbers[row], g)
        add_leg_pulls(p.torsions[row], g, forces)
    return total


@njit(**FAST)
def add_chain_virial(x, p, tensor):
    """Add the virial (3, 3) of all angles and torsions, the sum of g (x) b over their legs."""
    legs, g = np.empty((3, 3)), np.empty((3, 3))
    for row in range(p.angles.shape[0]):
        fill_legs(x, p.angles[row], legs[:2])
        angle(legs[:2], p.angle_forms[row], p.angle_numbers[row], g[:2])
        add_outer(g[:2], legs[:2], tensor)
    for row in range(p.torsions.shape[0]):
        fill_legs(x, p.torsions[row], legs)
        torsion(legs, p.torsion_numbers[row], g)
        add_outer(g, legs, tensor)


@njit(**FAST)
def add_outer(left, right, tensor):
    """Add left^T right, the sum of outer products of rows (m, 3), to a tensor (3, 3)."""
    for row in range(left.shape[0]):
        for a in range(3):
            for b in range(3):
                tensor[a, b] += left[row, a] * right[row, b]


@njit(**FAST)
def chain_stiffness(x, p):
    """Second derivatives by their legs of all angles (A, 6, 6) and torsions (D, 9, 9), then the first of both."""
    angles, torsions = p.angles.shape[0], p.torsions.shape[0]
    bend, twist = np.empty((angles, 6, 6)), np.empty((torsions, 9, 9))
    bend_slope, twist_slope = np.empty((angles, 2, 3)), np.empty((torsions, 3, 3))
    legs = np.empty((3, 3))
    for row in range(angles):
        fill_legs(x, p.angles[row], legs[:2])
        angle(legs[:2], p.angle_forms[row], p.angle_numbers[row], bend_slope[row])
        angle_stiffness(legs[:2], p.angle_forms[row], p.angle_numbers[row], bend[row])
    for row in range(torsions):
        fill_legs(x, p.torsions[row], legs)
        torsion(legs, p.torsion_numbers[row], twist_slope[row])
        torsion_stiffness(legs, p.torsion_numbers[row], twist[row])
    return bend, twist, bend_slope, twist_slope


@njit(**FAST)
def stiffness_times(k, apart, pulls):
    """pulls = k apart for one term: k (3 m, 3 m), the others (m, 3)."""
    for a in range(k.shape[0]):
        total = 0.0
        for b in range(k.shape[0]):
            total += k[a, b] * apart[b // 3, b % 3]
        pulls[a // 3, a % 3] = total
