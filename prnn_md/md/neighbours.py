"""Compiled neighbour search in a triclinic periodic box, for cells of up to a few hundred particles."""

import numpy as np
from numba import njit

from prnn_md.md.potential import FAST


@njit(cache=True, nogil=True)
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
    first = np.empty(24 * n, np.uint32)
    second = np.empty(24 * n, np.uint32)
    images = np.zeros((24 * n, 3))
    count = bonds.shape[0]
    for b in range(count):
        first[b], second[b] = bonds[b, 0], bonds[b, 1]
    around = 1 if face_width(box) < 2.0 * reach else 0
    squares = np.empty(n)
    for i in range(n):
        _squared_distances(i, fractions, box, squares)
        for j in range(i + 1, n):
            if around == 0 and squares[j] >= reach * reach:
                continue
            if j == excluded[i, 0] or j == excluded[i, 1]:
                continue
            for ia in range(-around, around + 1):
                for ib in range(-around, around + 1):
                    for ic in range(-around, around + 1):
                        a = _nearest(fractions[0, j] - fractions[0, i]) + ia
                        b = _nearest(fractions[1, j] - fractions[1, i]) + ib
                        c = _nearest(fractions[2, j] - fractions[2, i]) + ic
                        if around and _square(i, j, a, b, c, fractions, box) >= reach * reach:
                            continue
                        if count == first.size:
                            first = np.concatenate((first, np.empty_like(first)))
                            second = np.concatenate((second, np.empty_like(second)))
                            images = np.concatenate((images, np.zeros_like(images)))
                        first[count], second[count] = i, j
                        images[count, 0] = a + home[0, i] - home[0, j]
                        images[count, 1] = b + home[1, i] - home[1, j]
                        images[count, 2] = c + home[2, i] - home[2, j]
                        count += 1
    return first[:count].copy(), second[:count].copy(), images[:count].copy()


@njit(**FAST, inline="always")
def _nearest(difference):
    """The box vectors to add to a difference of wrapped fractions in (-1, 1) to bring it nearest to zero."""
    return -1.0 if difference > 0.5 else (1.0 if difference < -0.5 else 0.0)


@njit(**FAST, inline="always")
def _square(i, j, a, b, c, fractions, box):
    """Squared distance of beads i and j, the latter moved by the box vectors (a, b, c)."""
    a += fractions[0, j] - fractions[0, i]
    b += fractions[1, j] - fractions[1, i]
    c += fractions[2, j] - fractions[2, i]
    d0 = box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
    d1 = box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
    d2 = box[2, 0] * a + box[2, 1] * b + box[2, 2] * c
    return d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def _squared_distances(i, fractions, box, squares):
    """Fill squares[j] for j > i with the squared distance under the minimum image."""
    for j in range(i + 1, fractions.shape[1]):
        a = _nearest(fractions[0, j] - fractions[0, i])
        b = _nearest(fractions[1, j] - fractions[1, i])
        c = _nearest(fractions[2, j] - fractions[2, i])
        squares[j] = _square(i, j, a, b, c, fractions, box)


def excluded_partners(bonds: np.ndarray, particles: int) -> np.ndarray:
    """For each bead its bonded partners of higher index, (N, 2), -1 where there is none.

    Raises ValueError for a bead with more than two such partners, which no linear chain has.
    """
    excluded = np.full((particles, 2), -1, dtype=np.int64)
    for low, high in np.sort(np.asarray(bonds), axis=1):
        free = np.flatnonzero(excluded[low] < 0)
        if not len(free):
            raise ValueError(
                f"Bead {low} has more than two bonded partners of higher index: not a linear chain."
            )
        excluded[low, free[0]] = high
    return excluded
