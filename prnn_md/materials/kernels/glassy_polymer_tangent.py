"""Derivatives of an increment of the Eindhoven Glassy Polymer, in compiled loops.

What an increment depends on, and what comes of it, are counted in one order: strain or stress (6), inverse plastic
tensors (modes, 6), plastic strain.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, INLINED
from prnn_md.materials.kernels.glassy_polymer_flow import factor, log_sinh_over
from prnn_md.materials.kernels.glassy_polymer_increment import (
    AXES,
    BACK,
    BY_Y,
    CHANGE,
    COMPLIANCE,
    DRIVING,
    ELASTIC,
    INVERSE,
    ISOCHORIC,
    NEXT,
    NOMINAL,
    OTHER,
    PLASTIC,
    WORK,
    age_left,
)
from prnn_md.materials.kernels.tensors import add_both, in_axes, product, pushed, trace, unit_vector, vector

CHANGES = 5
"""Matrices to work with: changes of U, of its isochoric part, of the stress and of an elastic tensor, and a spare."""

_STRETCH, _ISOCHORIC, _STRESS, _ELASTIC, _SPARE = range(CHANGES)


@njit(**BARE)
def differentiate(constants, moduli, accumulated, jacobian, y, body, modes, principal, rates, b, changes, out):
    """Fill the derivatives `out` (size, size) of what comes of an increment, after `respond`, by what it depends on."""
    bulk_modulus, _, characteristic_stress, pressure_dependence, age, softening, slowest = constants
    first, second = _prepare(moduli, characteristic_stress, y, body, modes, principal, rates, b)
    of_age, size = age_left(age, softening, accumulated)[1], out.shape[0]
    for d in range(size):
        of_jacobian = _change_deformation(d, jacobian, body, changes)
        change = pressure_dependence * bulk_modulus * of_jacobian / characteristic_stress
        if d == size - 1:
            change -= of_age
        for m in range(len(moduli)):
            _change_trial(d - 6 - 6 * m, body, modes[m], changes)
            _relax_change(factor(rates[m], y), b[m], principal[m, COMPLIANCE], modes[m, CHANGE])
            change += first * moduli[m] * _dot(modes[m, DRIVING], modes[m, CHANGE])
        change *= second
        changes[_STRESS] = 0.0
        for m in range(len(moduli)):
            _change_elastic(change, b[m], principal[m, BY_Y], modes[m], changes)
            _add(moduli[m], changes[_ELASTIC], changes[_STRESS])
            if m == slowest:
                k, elastic = factor(rates[m], y), modes[m, ELASTIC]
                out[size - 1, d] = _change_increment(k, change, elastic, changes[_ELASTIC])
            pushed(body[BACK], changes[_ELASTIC], body[WORK], changes[_SPARE])
            changes[_ELASTIC] = 0.0
            add_both(body[BACK], changes[_ISOCHORIC], modes[m, NEXT], body[WORK], changes[_ELASTIC])
            _add(-1.0, changes[_ELASTIC], changes[_SPARE])
            vector(changes[_SPARE], out[6 + 6 * m : 12 + 6 * m, d])
        if d == size - 1:
            out[size - 1, d] += 1.0
        _change_stress(constants, jacobian, of_jacobian, body, changes)
        vector(changes[_SPARE], out[:6, d])


@njit(**BARE)
def _prepare(moduli, characteristic_stress, y, body, modes, principal, rates, b):
    """Fill what derivatives need of each mode; returns two factors of the change of y.

    With S the driving stress of all modes, dy = (d at_rest + first S:dS) second, where dS is that at constant y.
    """
    total = body[OTHER]
    total[:] = 0.0
    for m in range(len(moduli)):
        mean = (b[m, 0] + b[m, 1] + b[m, 2]) / 3.0
        for i in range(3):
            for j in range(3):
                for a in range(3):
                    total[i, j] += moduli[m] * (b[m, a] - mean) * modes[m, AXES, i, a] * modes[m, AXES, j, a]
    fall = 0.0
    for m in range(len(moduli)):
        in_axes(modes[m, AXES], total, body[WORK], modes[m, DRIVING])
        k, mean = factor(rates[m], y), (b[m, 0] + b[m, 1] + b[m, 2]) / 3.0
        modes[m, CHANGE] = 0.0
        for a in range(3):
            principal[m, COMPLIANCE, a] = 1.0 / (1.0 + k * (2.0 * b[m, a] - mean))
            modes[m, CHANGE, a, a] = -k * b[m, a] * (b[m, a] - mean)
        _relax_change(k, b[m], principal[m, COMPLIANCE], modes[m, CHANGE])
        for a in range(3):
            principal[m, BY_Y, a] = modes[m, CHANGE, a, a]
        fall += moduli[m] * _dot(modes[m, DRIVING], modes[m, CHANGE])
    ratio = np.sqrt(_dot(total, total) / 2.0) / characteristic_stress
    first = log_sinh_over(ratio)[1] / (2.0 * characteristic_stress * characteristic_stress)
    return first, 1.0 / (1.0 - first * fall)


@njit(**INLINED)
def _dot(a, b):
    total = 0.0
    for i in range(3):
        for j in range(3):
            total += a[i, j] * b[i, j]
    return total


@njit(**INLINED)
def _add(share, a, out):
    for i in range(3):
        for j in range(3):
            out[i, j] += share * a[i, j]


@njit(**BARE)
def _change_deformation(d, jacobian, body, changes):
    """Fill the changes of the stretch and of its isochoric part; returns that of J."""
    stretch, isochoric = changes[_STRETCH], changes[_ISOCHORIC]
    stretch[:], isochoric[:] = 0.0, 0.0
    if d >= 6:
        return 0.0
    unit_vector(d, stretch)
    of_jacobian = jacobian * _dot(body[INVERSE], stretch)
    _add(jacobian ** (-1.0 / 3.0), stretch, isochoric)
    _add(-of_jacobian / (3.0 * jacobian), body[ISOCHORIC], isochoric)
    return of_jacobian


@njit(**BARE)
def _change_trial(d, body, mode, changes):
    """Fill the change of a mode's trial tensor in its axes; d is the component of its plastic tensor that changes."""
    spare = changes[_SPARE]
    spare[:] = 0.0
    if 0 <= d < 6:
        unit_vector(d, mode[CHANGE])
        pushed(body[ISOCHORIC], mode[CHANGE], body[WORK], spare)
    add_both(changes[_ISOCHORIC], mode[PLASTIC], body[ISOCHORIC], body[WORK], spare)
    in_axes(mode[AXES], spare, body[WORK], mode[CHANGE])


@njit(**BARE)
def _relax_change(k, b, compliance, change):
    """From the change of B + k (B^2 - tr B / 3 B) in principal axes to that of B at constant k, in place."""
    mean, above, below = (b[0] + b[1] + b[2]) / 3.0, 0.0, 1.0
    for a in range(3):
        above += compliance[a] * change[a, a] / 3.0
        below -= compliance[a] * k * b[a] / 3.0
    for a in range(3):
        for c in range(3):
            if a == c:
                change[a, a] = compliance[a] * (change[a, a] + k * b[a] * above / below)
            else:
                change[a, c] /= 1.0 + k * (b[a] + b[c] - mean)


@njit(**BARE)
def _change_elastic(change_of_y, b, by_y, mode, changes):
    """Fill the change of a mode's elastic tensor, whose determinant stays one."""
    volume = 0.0
    for a in range(3):
        mode[CHANGE, a, a] += change_of_y * by_y[a]
        volume += mode[CHANGE, a, a] / b[a]
    unimodular = (b[0] * b[1] * b[2]) ** (-1.0 / 3.0)
    axes, elastic = mode[AXES], changes[_ELASTIC]
    for i in range(3):
        for j in range(3):
            elastic[i, j] = -volume / 3.0 * mode[ELASTIC, i, j]
            for a in range(3):
                for c in range(3):
                    elastic[i, j] += unimodular * axes[i, a] * mode[CHANGE, a, c] * axes[j, c]


@njit(**BARE)
def _change_increment(k, change_of_y, elastic, change):
    """That of the equivalent value of k dev B."""
    mean, square, along = trace(elastic) / 3.0, 0.0, 0.0
    for i in range(3):
        for j in range(3):
            deviator = elastic[i, j] - (mean if i == j else 0.0)
            square += deviator * deviator / 2.0
            along += deviator * change[i, j] / 2.0
    if square == 0.0:
        return 0.0
    return k * (np.sqrt(square) * change_of_y + along / np.sqrt(square))


@njit(**BARE)
def _change_stress(constants, jacobian, of_jacobian, body, changes):
    """Fill the spare with the change of the nominal stress, given that of the modes' elastic tensors."""
    bulk_modulus, hardening_modulus = constants[:2]
    stress, spare = changes[_STRESS], changes[_SPARE]
    spare[:] = 0.0
    product(changes[_ISOCHORIC], body[ISOCHORIC], spare)
    for i in range(3):
        for j in range(3):
            stress[i, j] += hardening_modulus * (spare[i, j] + spare[j, i])
    mean = trace(stress) / 3.0 - bulk_modulus * of_jacobian
    for i in range(3):
        stress[i, i] -= mean
    product(body[NOMINAL], changes[_STRETCH], body[WORK])
    product(body[WORK], body[INVERSE], spare)
    product(stress, body[INVERSE], body[WORK])
    for i in range(3):
        for j in range(3):
            spare[i, j] = jacobian * body[WORK, i, j] - spare[i, j] + of_jacobian / jacobian * body[NOMINAL, i, j]
