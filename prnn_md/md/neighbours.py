"""Compiled neighbour search in a triclinic periodic box, for cells of up to a few hundred particles."""

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST


@njit(**FAST)
def face_width(box):
    """Smallest distance between opposite faces of the box."""
    inverse = np.linalg.inv(box)
    return 1.0 / np.sqrt((inverse * inverse).sum(axis=1).max())


@njit(**FAST)
def find_terms(x, box, bonds, excluded, reach):
    """All bonds, then all non-bonded pairs within `reach`, each with every periodic image that is near enough.

    `bonds` (B, 2); `excluded` (N, 2): the bonded partners of higher index, -1 where there is none. Returns
    first (P,), second (P,) and images (P, 3), the integer box vectors to add to the second bead; bonds join
    unwrapped positions, so their images are zero.
    """
    n = x.shape[0]
    fractions = np.linalg.inv(box) @ x.T
    home = np.floor(fractions)
    fractions -= home
    around = 1 if face_width(box) < 2.0 * reach else 0
    candidates = np.empty((n * (n - 1) // 2, 2), np.uint32)
    found = _candidates(fractions, box, excluded, np.inf if around else reach * reach, candidates)
    size = bonds.shape[0] + found * (27 if around else 1)
    first = np.empty(size, np.uint32)
    second = np.empty(size, np.uint32)
    images = np.zeros((size, 3))
    count = bonds.shape[0]
    for b in range(count):
        first[b], second[b] = bonds[b, 0], bonds[b, 1]
    for q in range(found):
        i, j = candidates[q, 0], candidates[q, 1]
        for ia in range(-around, around + 1):
            for ib in range(-around, around + 1):
                for ic in range(-around, around + 1):
                    a = ia - np.floor(fractions[0, j] - fractions[0, i] + 0.5)
                    b = ib - np.floor(fractions[1, j] - fractions[1, i] + 0.5)
                    c = ic - np.floor(fractions[2, j] - fractions[2, i] + 0.5)
                    if around and _square(i, j, a, b, c, fractions, box) >= reach * reach:
                        continue
                    first[count], second[count] = i, j
                    images[count, 0] = a + home[0, i] - home[0, j]
                    images[count, 1] = b + home[1, i] - home[1, j]
                    images[count, 2] = c + home[2, i] - home[2, j]
                    count += 1
    return first[:count].copy(), second[:count].copy(), images[:count].copy()


@njit(**FAST)
def _candidates(fractions, box, excluded, reach2, candidates):
    """Fill `candidates` with the non-bonded pairs whose nearest images are close; returns their number."""
    n = fractions.shape[1]
    squares = np.empty(n)
    found = 0
    for i in range(n):
        _squared_distances(i, fractions, box, squares)
        low, high = excluded[i, 0], excluded[i, 1]
        for j in range(i + 1, n):
            if squares[j] < reach2 and j != low and j != high:
                candidates[found, 0], candidates[found, 1] = i, j
                found += 1
    return found


@njit(**FAST)
def _squared_distances(i, fractions, box, squares):
    """Fill squares[j] for j > i with the squared distance under the minimum image; written to be vectorised."""
    b00, b01, b02 = box[0, 0], box[0, 1], box[0, 2]
    b10, b11, b12 = box[1, 0], box[1, 1], box[1, 2]
    b20, b21, b22 = box[2, 0], box[2, 1], box[2, 2]
    first, second, third = fractions[0], fractions[1], fractions[2]
    first_i, second_i, third_i = first[i], second[i], third[i]
    for j in range(i + 1, first.size):
        a, b, c = first[j] - first_i, second[j] - second_i, third[j] - third_i
        a -= np.floor(a + 0.5)
        b -= np.floor(b + 0.5)
        c -= np.floor(c + 0.5)
        d0 = b00 * a + b01 * b + b02 * c
        d1 = b10 * a + b11 * b + b12 * c
        d2 = b20 * a + b21 * b + b22 * c
        squares[j] = d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def _square(i, j, a, b, c, fractions, box):
    """Squared distance of beads i and j, the latter moved by the box vectors (a, b, c)."""
    a += fractions[0, j] - fractions[0, i]
    b += fractions[1, j] - fractions[1, i]
    c += fractions[2, j] - fractions[2, i]
    d0 = box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
    d1 = box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
    d2 = box[2, 0] * a + box[2, 1] * b + box[2, 2] * c
    return d0 * d0 + d1 * d1 + d2 * d2


def excluded_partners(bonds: np.ndarray, particles: int) -> np.ndarray:
    """For each bead its bonded partners of higher index, (N, 2), -1 where there is none.

    Raises ValueError for a bead with more than two such partners, which no linear chain has.
    """
    excluded = np.full((particles, 2), -1, dtype=np.int64)
    for low, high in np.sort(np.asarray(bonds), axis=1):
        free = np.flatnonzero(excluded[low] < 0)
        if not len(free):
            raise ValueError(f"Bead {low} has more than two bonded partners of higher index: not a linear chain.")
        excluded[low, free[0]] = high
    return excluded
