"""Compiled neighbour search in a triclinic periodic box, for cells of up to a few hundred particles."""

from typing import NamedTuple

import numpy as np
from numba import njit

from prnn_md.md.compiled import FAST


class Terms(NamedTuple):
    """The terms of a cell's energy, bonds and non-bonded pairs, each at its bead of lower index.

    The terms of bead i are numbers `starts`[i] to `starts`[i + 1]; each joins it to the bead `second` (P,), which
    `shifts` (P, 3), a sum of box vectors, brings next to it. `bonded` (B,) are the numbers of the bonds.
    """

    starts: np.ndarray
    second: np.ndarray
    shifts: np.ndarray
    bonded: np.ndarray


@njit(**FAST)
def face_width(box):
    """Smallest distance between opposite faces of the box."""
    inverse = np.linalg.inv(box)
    return 1.0 / np.sqrt((inverse * inverse).sum(axis=1).max())


@njit(**FAST)
def find_terms(x, box, partners, reach):
    """All bonds, and all non-bonded pairs within `reach` with every periodic image that is near enough.

    `x` (N, 3) are unwrapped positions, which bonds join as they are; `partners` as from `bonded_partners`.
    """
    n = x.shape[0]
    fractions = np.linalg.inv(box) @ x.T
    home = np.floor(fractions)
    fractions -= home
    around = 1 if face_width(box) < 2.0 * reach else 0
    near = np.empty(n * (n - 1) // 2, np.uint32)
    found = np.empty(n, np.uint32)
    _find_near(fractions, box, partners, np.inf if around else reach * reach, near, found)
    bonds = (partners >= 0).sum()
    size = bonds + found.sum() * (27 if around else 1)
    starts = np.empty(n + 1, np.uint32)
    second = np.empty(size, np.uint32)
    shifts = np.zeros((size, 3))
    bonded = np.empty(bonds, np.uint32)
    count, bond, read = 0, 0, 0
    for i in range(n):
        starts[i] = count
        for k in range(2):
            if partners[i, k] >= 0:
                second[count] = partners[i, k]
                bonded[bond] = count
                bond += 1
                count += 1
        for k in range(read, read + found[i]):
            j = near[k]
            nearest = _nearest_image(i, j, fractions)
            for ia in range(-around, around + 1):
                for ib in range(-around, around + 1):
                    for ic in range(-around, around + 1):
                        image = nearest[0] + ia, nearest[1] + ib, nearest[2] + ic
                        if not around or _square(i, j, image, fractions, box) < reach * reach:
                            second[count] = j
                            _fill_shift(i, j, image, home, box, shifts[count])
                            count += 1
        read += found[i]
    starts[n] = count
    return Terms(starts, second[:count], shifts[:count], bonded)


@njit(**FAST)
def _find_near(fractions, box, partners, reach2, near, found):
    """Write one after another, bead by bead, the beads j > i with an image near bead i, and their numbers `found`."""
    n = fractions.shape[1]
    squares = np.empty(n)
    row = np.empty(n, np.uint32)
    count = 0
    for i in range(n):
        _squared_distances(i, fractions, box, squares)
        close = 0
        for j in range(i + 1, n):  # without a branch, which would be mispredicted often
            row[close] = j
            close += squares[j - i - 1] < reach2
        start = count
        for k in range(close):
            near[count] = row[k]
            count += (row[k] != partners[i, 0]) & (row[k] != partners[i, 1])
        found[i] = count - start


@njit(**FAST)
def _squared_distances(i, fractions, box, squares):
    """Fill squares[j - i - 1] for j > i with the squared distance under the minimum image.

    Written to be vectorised: the slices begin at index zero.
    """
    b00, b01, b02 = box[0, 0], box[0, 1], box[0, 2]
    b10, b11, b12 = box[1, 0], box[1, 1], box[1, 2]
    b20, b21, b22 = box[2, 0], box[2, 1], box[2, 2]
    first, second, third = fractions[0, i + 1 :], fractions[1, i + 1 :], fractions[2, i + 1 :]
    first_i, second_i, third_i = fractions[0, i], fractions[1, i], fractions[2, i]
    for j in range(first.size):
        a, b, c = first[j] - first_i, second[j] - second_i, third[j] - third_i
        a -= np.floor(a + 0.5)
        b -= np.floor(b + 0.5)
        c -= np.floor(c + 0.5)
        d0 = b00 * a + b01 * b + b02 * c
        d1 = b10 * a + b11 * b + b12 * c
        d2 = b20 * a + b21 * b + b22 * c
        squares[j] = d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def _nearest_image(i, j, fractions):
    """The box vectors that bring bead j next to bead i, in whole numbers."""
    return (
        -np.floor(fractions[0, j] - fractions[0, i] + 0.5),
        -np.floor(fractions[1, j] - fractions[1, i] + 0.5),
        -np.floor(fractions[2, j] - fractions[2, i] + 0.5),
    )


@njit(**FAST)
def _square(i, j, image, fractions, box):
    """Squared distance of beads i and j, the latter moved by `image` box vectors."""
    a = fractions[0, j] - fractions[0, i] + image[0]
    b = fractions[1, j] - fractions[1, i] + image[1]
    c = fractions[2, j] - fractions[2, i] + image[2]
    d0 = box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
    d1 = box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
    d2 = box[2, 0] * a + box[2, 1] * b + box[2, 2] * c
    return d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def _fill_shift(i, j, image, home, box, shift):
    """The same image of bead j for unwrapped positions, which are `home` box vectors from the wrapped ones."""
    a = image[0] + home[0, i] - home[0, j]
    b = image[1] + home[1, i] - home[1, j]
    c = image[2] + home[2, i] - home[2, j]
    shift[0] = box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
    shift[1] = box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
    shift[2] = box[2, 0] * a + box[2, 1] * b + box[2, 2] * c


def bonded_partners(bonds: np.ndarray, particles: int) -> np.ndarray:
    """For each bead its bonded partners of higher index, (N, 2), -1 where there is none.

    Raises ValueError for a bead with more than two such partners, which no linear chain has.
    """
    partners = np.full((particles, 2), -1, dtype=np.int64)
    for low, high in np.sort(np.asarray(bonds), axis=1):
        free = np.flatnonzero(partners[low] < 0)
        if not len(free):
            raise ValueError(f"Bead {low} has more than two bonded partners of higher index: not a linear chain.")
        partners[low, free[0]] = high
    return partners
