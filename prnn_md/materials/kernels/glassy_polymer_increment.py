"""One increment of the Eindhoven Glassy Polymer, in compiled loops; the names are those of `GlassyPolymer`.

Tensors are symmetric 3x3 matrices, which lie in two arrays, `body` of the deformation and `modes` of each mode.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, INLINED
from prnn_md.materials.kernels.glassy_polymer_flow import factor, solve_flow
from prnn_md.materials.kernels.tensors import matrix, principal_axes, product, pushed, trace

BODY = 8
STRETCH, INVERSE, ISOCHORIC, BACK, CAUCHY, NOMINAL, WORK, OTHER = range(BODY)
"""Matrices of the deformation: U, its inverse, both without volume change, sigma, J sigma U^-1, and two spare ones."""

MODE = 7
PLASTIC, NEXT, TRIAL, AXES, ELASTIC, DRIVING, CHANGE = range(MODE)
"""Those of a mode: inverse plastic tensor before and after, elastic tensor without flow, its axes in columns, elastic
tensor; the driving stress of all modes in these axes, and the change of the elastic tensor."""

NUMBERS = 3
VALUES, COMPLIANCE, BY_Y = range(NUMBERS)
"""Numbers for the principal values of a mode: those of the trial tensor, and derivatives of those after flow."""


@njit(**BARE)
def _deform(strain, body):
    """Fill stretch, its inverse and both without volume change; returns J, or 0 where a stretch is not positive."""
    u = body[STRETCH]
    matrix(strain, u)
    for i in range(3):
        u[i, i] += 1.0
    minor = u[0, 0] * u[1, 1] - u[0, 1] * u[0, 1]
    for i in range(3):
        for j in range(3):
            k, m, n, o = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            body[INVERSE, i, j] = u[k, n] * u[m, o] - u[k, o] * u[m, n]
    jacobian = u[0, 0] * body[INVERSE, 0, 0] + u[0, 1] * body[INVERSE, 1, 0] + u[0, 2] * body[INVERSE, 2, 0]
    if not (u[0, 0] > 0.0 and minor > 0.0 and 0.0 < jacobian < np.inf):
        return 0.0
    scale = jacobian ** (-1.0 / 3.0)
    for i in range(3):
        for j in range(3):
            body[INVERSE, i, j] /= jacobian
            body[ISOCHORIC, i, j] = scale * u[i, j]
            body[BACK, i, j] = body[INVERSE, i, j] / scale
    return jacobian


@njit(**INLINED)
def age_left(age, softening, accumulated):
    """What plastic strain has left of the logarithm of the viscosity, and its derivative by it."""
    r0, r1, r2 = softening
    start = r1 * np.log(r0)
    lost = (1.0 - r2) / r1 * (np.logaddexp(0.0, start + r1 * accumulated) - np.logaddexp(0.0, start))
    left = age * np.exp(-lost)
    return left, left * (r2 - 1.0) / (1.0 + np.exp(-start - r1 * accumulated))


@njit(**BARE)
def _flow_increment(elastic, k):
    """Equivalent value of k dev B."""
    mean, square = trace(elastic) / 3.0, 0.0
    for i in range(3):
        for j in range(3):
            square += (elastic[i, j] - (mean if i == j else 0.0)) ** 2 / 2.0
    return k * np.sqrt(square)


@njit(**BARE)
def _fill_stress(bulk_modulus, hardening_modulus, moduli, jacobian, body, modes):
    """Fill the Cauchy stress and the nominal one."""
    cauchy = body[CAUCHY]
    product(body[ISOCHORIC], body[ISOCHORIC], body[WORK])
    for i in range(3):
        for j in range(3):
            cauchy[i, j] = hardening_modulus * body[WORK, i, j]
            for m in range(len(moduli)):
                cauchy[i, j] += moduli[m] * modes[m, ELASTIC, i, j]
    mean = trace(cauchy) / 3.0 - bulk_modulus * (jacobian - 1.0)
    for i in range(3):
        cauchy[i, i] -= mean
    product(cauchy, body[INVERSE], body[NOMINAL])
    for i in range(3):
        for j in range(3):
            body[NOMINAL, i, j] *= jacobian


@njit(**BARE)
def respond(constants, moduli, viscosities, strain, duration, accumulated, body, modes, principal, rates, b):
    """One increment: fill the matrices of the deformation and of each mode, all but those that only derivatives need.

    Returns J, which is 0 where a stretch is not positive, y, and the increment of plastic strain.
    """
    bulk_modulus, hardening_modulus, characteristic_stress, pressure_dependence, age, softening, slowest = constants
    jacobian = _deform(strain, body)
    if jacobian == 0.0:
        return 0.0, 0.0, 0.0
    for m in range(len(moduli)):
        rates[m] = duration * moduli[m] / viscosities[m]
        pushed(body[ISOCHORIC], modes[m, PLASTIC], body[WORK], modes[m, TRIAL])
        principal_axes(modes[m, TRIAL], body[WORK], principal[m, VALUES], modes[m, AXES])
    at_rest = pressure_dependence * bulk_modulus * (jacobian - 1.0) / characteristic_stress
    at_rest -= age_left(age, softening, accumulated)[0]
    values, axes = principal[:, VALUES], modes[:, AXES]
    slopes, stress, change = principal[0, BY_Y], body[CAUCHY], body[NOMINAL]
    y = solve_flow(moduli, characteristic_stress, values, axes, at_rest, rates, b, slopes, stress, change)
    for m in range(len(moduli)):
        unimodular = (b[m, 0] * b[m, 1] * b[m, 2]) ** (-1.0 / 3.0)  # which an implicit step loses in second order
        for i in range(3):
            for j in range(3):
                modes[m, ELASTIC, i, j] = 0.0
                for a in range(3):
                    share = unimodular * b[m, a]
                    modes[m, ELASTIC, i, j] += share * modes[m, AXES, i, a] * modes[m, AXES, j, a]
        pushed(body[BACK], modes[m, ELASTIC], body[WORK], modes[m, NEXT])
    _fill_stress(bulk_modulus, hardening_modulus, moduli, jacobian, body, modes)
    return jacobian, y, _flow_increment(modes[slowest, ELASTIC], factor(rates[slowest], y))
