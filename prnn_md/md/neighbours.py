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
    around = 1 if face_width(box) < 2.0 * reach else 0
    inverse = np.linalg.inv(box)
    first = np.empty(24 * n, np.uint32)
    second = np.empty(24 * n, np.uint32)
    images = np.zeros((24 * n, 3))
    count = bonds.shape[0]
    for b in range(count):
        first[b], second[b] = bonds[b, 0], bonds[b, 1]
    for i in range(n):
        for j in range(i + 1, n):
            if j == excluded[i, 0] or j == excluded[i, 1]:
                continue
            d0, d1, d2 = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            na = -np.rint(inverse[0, 0] * d0 + inverse[0, 1] * d1 + inverse[0, 2] * d2)
            nb = -np.rint(inverse[1, 0] * d0 + inverse[1, 1] * d1 + inverse[1, 2] * d2)
            nc = -np.rint(inverse[2, 0] * d0 + inverse[2, 1] * d1 + inverse[2, 2] * d2)
            for ia in range(-around, around + 1):
                for ib in range(-around, around + 1):
                    for ic in range(-around, around + 1):
                        a, b, c = na + ia, nb + ib, nc + ic
                        e0 = d0 + box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
                        e1 = d1 + box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
                        e2 = d2 + box[2, 0] * a + box[2, 1] * b + box[2, 2] * c
                        if e0 * e0 + e1 * e1 + e2 * e2 < reach * reach:
                            if count == first.size:
                                first = np.concatenate((first, np.empty_like(first)))
                                second = np.concatenate((second, np.empty_like(second)))
                                images = np.concatenate((images, np.zeros_like(images)))
                            first[count], second[count] = i, j
                            images[count, 0], images[count, 1], images[count, 2] = a, b, c
                            count += 1
    return first[:count].copy(), second[:count].copy(), images[:count].copy()


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
