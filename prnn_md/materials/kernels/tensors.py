"""Small symmetric tensors in compiled loops: 3x3 matrices, and Mandel vectors of six components."""

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, INLINED

_ROWS = (0, 1, 2, 1, 0, 0)
_COLUMNS = (0, 1, 2, 2, 2, 1)
_SWEEPS = 30


@njit(**INLINED)
def matrix(vector, out):
    """The symmetric matrix of a Mandel vector."""
    for c in range(6):
        i, j = _ROWS[c], _COLUMNS[c]
        out[i, j] = out[j, i] = vector[c] if c < 3 else vector[c] * np.sqrt(0.5)


@njit(**INLINED)
def unit_vector(component, out):
    """The symmetric matrix of a Mandel vector that is one in a component, and zero elsewhere."""
    out[:] = 0.0
    i, j = _ROWS[component], _COLUMNS[component]
    out[i, j] = out[j, i] = 1.0 if component < 3 else np.sqrt(0.5)


@njit(**INLINED)
def vector(matrix, out):
    """The Mandel vector of the symmetric part of a matrix."""
    for c in range(6):
        i, j = _ROWS[c], _COLUMNS[c]
        out[c] = matrix[i, i] if c < 3 else (matrix[i, j] + matrix[j, i]) * np.sqrt(0.5)


@njit(**INLINED)
def product(a, b, out):
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@njit(**INLINED)
def add_both(a, b, c, work, out):
    """Add a b c and its transpose, for symmetric a, b and c."""
    product(a, b, work)
    for i in range(3):
        for j in range(3):
            share = work[i, 0] * c[0, j] + work[i, 1] * c[1, j] + work[i, 2] * c[2, j]
            out[i, j] += share
            out[j, i] += share


@njit(**INLINED)
def trace(a):
    return a[0, 0] + a[1, 1] + a[2, 2]


@njit(**BARE)
def principal_axes(matrix, work, values, axes):
    """Fill the principal values (3,) and axes (3, 3), in columns, of a symmetric matrix, by Jacobi's rotations."""
    for i in range(3):
        for j in range(3):
            work[i, j], axes[i, j] = matrix[i, j], 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        size = abs(work[0, 0]) + abs(work[1, 1]) + abs(work[2, 2])
        if abs(work[0, 1]) + abs(work[0, 2]) + abs(work[1, 2]) <= 1e-16 * size:
            break
        for p in range(2):
            for q in range(p + 1, 3):
                if work[p, q] != 0.0:
                    theta = (work[q, q] - work[p, p]) / (2.0 * work[p, q])
                    tangent = (1.0 if theta >= 0.0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
                    cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
                    sine = tangent * cosine
                    for i in range(3):
                        left, right = work[i, p], work[i, q]
                        work[i, p], work[i, q] = cosine * left - sine * right, sine * left + cosine * right
                        left, right = axes[i, p], axes[i, q]
                        axes[i, p], axes[i, q] = cosine * left - sine * right, sine * left + cosine * right
                    for i in range(3):
                        left, right = work[p, i], work[q, i]
                        work[p, i], work[q, i] = cosine * left - sine * right, sine * left + cosine * right
    for i in range(3):
        values[i] = work[i, i]


@njit(**INLINED)
def pushed(by, tensor, work, out):
    """by tensor by, all symmetric."""
    product(by, tensor, work)
    product(work, by, out)


@njit(**INLINED)
def in_axes(axes, tensor, work, out):
    """Components of a tensor in principal axes."""
    product(tensor, axes, work)
    for a in range(3):
        for c in range(3):
            out[a, c] = axes[0, a] * work[0, c] + axes[1, a] * work[1, c] + axes[2, a] * work[2, c]
