"""Compiled arithmetic on the rows of particles (N, 4) and on matrices (3, 3).

Plain loops: array expressions of numba take much longer to compile.
"""

import numpy as np
from numba import njit

from prnn_md.compiled import BARE, FAST


@njit(**BARE)
def inner(a, b):
    """Scalar product of two arrays (N, 4)."""
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i, 0] * b[i, 0] + a[i, 1] * b[i, 1] + a[i, 2] * b[i, 2] + a[i, 3] * b[i, 3]
    return total


@njit(**BARE)
def copy(a, out):
    """out = a, both (N, 4)."""
    for i in range(a.shape[0]):
        for k in range(4):
            out[i, k] = a[i, k]


@njit(**BARE)
def combine(one, a, other, b, out):
    """out = one a + other b for numbers `one` and `other` and arrays (N, 4)."""
    for i in range(a.shape[0]):
        for k in range(4):
            out[i, k] = one * a[i, k] + other * b[i, k]


@njit(**BARE)
def longest_row(a):
    """Length of the longest row of an array (N, 4)."""
    largest = 0.0
    for i in range(a.shape[0]):
        largest = max(largest, a[i, 0] * a[i, 0] + a[i, 1] * a[i, 1] + a[i, 2] * a[i, 2])
    return np.sqrt(largest)


@njit(**BARE)
def largest_move(a, b):
    """Largest distance between the rows of a and b, both (N, 4)."""
    largest = 0.0
    for i in range(a.shape[0]):
        d0, d1, d2 = a[i, 0] - b[i, 0], a[i, 1] - b[i, 1], a[i, 2] - b[i, 2]
        largest = max(largest, d0 * d0 + d1 * d1 + d2 * d2)
    return np.sqrt(largest)


@njit(**BARE)
def remove_mean(a):
    """Subtract from an array (N, 4) the mean of its rows."""
    for k in range(3):
        mean = 0.0
        for i in range(a.shape[0]):
            mean += a[i, k]
        mean /= a.shape[0]
        for i in range(a.shape[0]):
            a[i, k] -= mean


@njit(**BARE)
def determinant(m):
    """Determinant of a matrix (3, 3)."""
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        + m[0, 1] * (m[1, 2] * m[2, 0] - m[1, 0] * m[2, 2])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@njit(**FAST)
def inverse(m):
    """Inverse of a matrix (3, 3)."""
    out, scale = np.empty((3, 3)), 1.0 / determinant(m)
    for a in range(3):
        for b in range(3):
            c, d, e, f = (b + 1) % 3, (b + 2) % 3, (a + 1) % 3, (a + 2) % 3
            out[a, b] = (m[c, e] * m[d, f] - m[c, f] * m[d, e]) * scale
    return out


@njit(**FAST)
def product(a, b):
    """Product of two matrices (3, 3)."""
    out = np.zeros((3, 3))
    for i in range(3):
        for k in range(3):
            for j in range(3):
                out[i, j] += a[i, k] * b[k, j]
    return out


@njit(**BARE)
def carry(x, matrix, out):
    """Fill the first three columns of `out` with a matrix (3, 3) times the vectors in the first three columns of x."""
    for i in range(x.shape[0]):
        x0, x1, x2 = x[i, 0], x[i, 1], x[i, 2]
        for a in range(3):
            out[i, a] = matrix[a, 0] * x0 + matrix[a, 1] * x1 + matrix[a, 2] * x2


@njit(**FAST)
def padded(x):
    """Rows of three numbers with a zero behind, (N, 4)."""
    out = np.zeros((x.shape[0], 4))
    for i in range(x.shape[0]):
        for a in range(3):
            out[i, a] = x[i, a]
    return out
