"""Compiled neighbour search in a triclinic periodic box, for cells of up to a few hundred particles."""

from typing import NamedTuple

import numpy as np
from numba import njit

from prnn_md.compiled import FAST
from prnn_md.md.failure import BAD_STRAIN, CONVERGED, SMALL_BOX
from prnn_md.md.kernels.arrays import determinant, inverse, longest_row, padded, product

NARROWEST = 0.25  # width of the narrowest box where pairs may meet through several images, in units of the cutoff


class Terms(NamedTuple):
    """The terms of a cell with two particles: P pairs that may be near enough to interact, then joined pairs.

    Each joins a particle `first` to another `second` (T,), not before it, which `shifts` (T, 4), a sum of box vectors,
    brings next to it. `outer2` (P,) is the squared cutoff of each pair; if there are several kinds of pairs,
    `constants` (5, P) are the epsilon, sigma2, inner, width and raised of each, see `Field`, and else (5, 0). `d`
    (3, T), `r2` and `slope` (T,) are room for the work of one evaluation.

    Four terms in a row are worked on at once. Therefore P and T are multiples of four: up to three of the P pairs, with
    a cutoff of zero, and up to three terms at the end, without a force, join a particle to itself and only fill up the
    list. Pairs are dealt out as cards are: each goes four places after the one that was found before it, and at the end
    of the list to the next of the first four, so that forces on the same particle do not wait for each other.
    """

    first: np.ndarray
    second: np.ndarray
    shifts: np.ndarray
    outer2: np.ndarray
    constants: np.ndarray
    d: np.ndarray
    r2: np.ndarray
    slope: np.ndarray


@njit(**FAST)
def face_width(box):
    """Smallest distance between opposite faces of the box."""
    return 1.0 / longest_row(padded(inverse(box)))


@njit(**FAST)
def box_is_too_small(box, p):
    """Whether a pair could meet through more images than the force field allows, one or a few hundred."""
    return not face_width(box) >= (NARROWEST if p.several_images else 2.0) * p.cutoff


@njit(**FAST)
def strain_fault(stretch, box0, p):
    """BAD_STRAIN or SMALL_BOX for a stretch (3, 3) that a cell cannot follow, else CONVERGED."""
    minor = stretch[0, 0] * stretch[1, 1] - stretch[0, 1] * stretch[1, 0]
    if not (stretch[0, 0] > 0.0 and minor > 0.0 and 0.0 < determinant(stretch) < np.inf):
        return BAD_STRAIN
    return SMALL_BOX if box_is_too_small(product(stretch, box0), p) else CONVERGED


@njit(**FAST)
def find_terms(x, box, p, reach):
    """All pairs within `reach` that are not excluded, with every periodic image that is near enough, and joined pairs.

    `x` (N, 4) are unwrapped positions; `p` is a `Field`.
    """
    n = x.shape[0]
    fractions, home = _wrapped(x, box)
    if face_width(box) >= 2.0 * reach:
        near, found = np.empty(n * (n - 1) // 2, np.uint32), np.empty(n, np.uint32)
        images = np.empty((0, 3))
        _find_near(fractions, box, p.excluded, reach * reach, near, found)
    else:
        near, found, images = _find_images(fractions, home, box, p.excluded, reach)
    size = (np.int64(found.sum()) + 3) // 4 * 4
    total = size + (p.joined.shape[0] + 3) // 4 * 4
    first, second = np.zeros(total, np.uint32), np.zeros(total, np.uint32)
    shifts, outer2 = np.zeros((total, 4)), np.zeros(size)
    constants = np.zeros((5, size if p.epsilon.size > 1 else 0))
    count, q = 0, 0
    for i in range(n):
        for _ in range(found[i]):
            j = near[count]
            if images.shape[0]:
                image = (images[count, 0], images[count, 1], images[count, 2])
            else:
                image = _nearest_image(i, j, fractions)
            first[q], second[q] = i, j
            _fill_shift(i, j, image, home, box, shifts[q])
            kind = p.kinds[p.types[i], p.types[j]]
            outer2[q] = p.outer2[kind]
            if constants.shape[1]:
                constants[0, q], constants[1, q] = p.epsilon[kind], p.sigma2[kind]
                constants[2, q], constants[3, q] = p.inner[kind], p.width[kind]
                constants[4, q] = p.raised[kind]
            count, q = count + 1, _next_place(q, size)
    for _ in range(count, size):
        shifts[q, 0] = 100.0 * reach
        q = _next_place(q, size)
    for k in range(p.joined.shape[0]):
        first[size + k], second[size + k] = p.joined[k, 0], p.joined[k, 1]
    return Terms(first, second, shifts, outer2, constants, np.empty((3, total)), np.empty(total), np.empty(total))


@njit(**FAST)
def _next_place(q, size):
    """Four places on, or the next of the first four."""
    return q + 4 if q + 4 < size else q + 5 - size


@njit(**FAST)
def _wrapped(x, box):
    """Fractional coordinates (3, N) in [0, 1), and the whole numbers of box vectors that were taken off."""
    back = inverse(box)
    fractions, home = np.empty((3, x.shape[0])), np.empty((3, x.shape[0]))
    for i in range(x.shape[0]):
        for a in range(3):
            place = back[a, 0] * x[i, 0] + back[a, 1] * x[i, 1] + back[a, 2] * x[i, 2]
            home[a, i] = np.floor(place)
            fractions[a, i] = place - home[a, i]
    return fractions, home


@njit(**FAST)
def _find_near(fractions, box, excluded, reach2, near, found):
    """Write one after another, particle by particle, those j > i whose nearest image is near i, and their numbers."""
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
            keep = True
            for e in range(excluded.shape[1]):
                keep &= row[k] != excluded[i, e]
            count += keep
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
def _find_images(fractions, home, box, excluded, reach):
    """As `_find_near` for a box of any size, where particles may meet through several images, also their own.

    Returns the particles, their numbers and the images (P, 3); excluded pairs are left out only where they join
    unwrapped positions as they are.
    """
    found = np.zeros(fractions.shape[1], np.uint32)
    count = _fill_images(fractions, home, box, excluded, reach, found, np.empty(0, np.uint32), np.empty((0, 3)))
    near, images = np.empty(count, np.uint32), np.empty((count, 3))
    _fill_images(fractions, home, box, excluded, reach, found, near, images)
    return near, found, images


@njit(**FAST)
def _fill_images(fractions, home, box, excluded, reach, found, near, images):
    """The number of pairs of `_find_images`; fills its results where they have room."""
    n, back, count = fractions.shape[1], inverse(box), 0
    most = np.empty(3, np.int64)
    for a in range(3):
        most[a] = np.int64(reach * np.sqrt(back[a, 0] ** 2 + back[a, 1] ** 2 + back[a, 2] ** 2) + 0.5)
    for i in range(n):
        start = count
        for j in range(i, n):
            nearest = _nearest_image(i, j, fractions)
            for ia in range(-most[0], most[0] + 1):
                for ib in range(-most[1], most[1] + 1):
                    for ic in range(-most[2], most[2] + 1):
                        own = i == j and (ia < 0 or (ia == 0 and (ib < 0 or (ib == 0 and ic <= 0))))
                        image = (nearest[0] + ia, nearest[1] + ib, nearest[2] + ic)
                        if own or _square(i, j, image, fractions, box) >= reach * reach:
                            continue  # the other half of its own images are the same pairs
                        if _is_excluded(i, j, image, home, excluded):
                            continue
                        if images.shape[0]:
                            near[count] = j
                            images[count, 0], images[count, 1], images[count, 2] = image
                        count += 1
        found[i] = count - start
    return count


@njit(**FAST)
def _is_excluded(i, j, image, home, excluded):
    """Whether the pair is excluded, and this image is the one of its unwrapped positions."""
    for a in range(3):
        if image[a] != home[a, j] - home[a, i]:
            return False
    found = False
    for e in range(excluded.shape[1]):
        found |= excluded[i, e] == j
    return found


@njit(**FAST)
def _nearest_image(i, j, fractions):
    """The box vectors that bring particle j next to particle i, in whole numbers."""
    return (
        -np.floor(fractions[0, j] - fractions[0, i] + 0.5),
        -np.floor(fractions[1, j] - fractions[1, i] + 0.5),
        -np.floor(fractions[2, j] - fractions[2, i] + 0.5),
    )


@njit(**FAST)
def _square(i, j, image, fractions, box):
    """Squared distance of particles i and j, the latter moved by `image` box vectors."""
    a = fractions[0, j] - fractions[0, i] + image[0]
    b = fractions[1, j] - fractions[1, i] + image[1]
    c = fractions[2, j] - fractions[2, i] + image[2]
    d0 = box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
    d1 = box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
    d2 = box[2, 0] * a + box[2, 1] * b + box[2, 2] * c
    return d0 * d0 + d1 * d1 + d2 * d2


@njit(**FAST)
def _fill_shift(i, j, image, home, box, shift):
    """The same image of particle j for unwrapped positions, which are `home` box vectors from the wrapped ones."""
    a = image[0] + home[0, i] - home[0, j]
    b = image[1] + home[1, i] - home[1, j]
    c = image[2] + home[2, i] - home[2, j]
    shift[0] = box[0, 0] * a + box[0, 1] * b + box[0, 2] * c
    shift[1] = box[1, 0] * a + box[1, 1] * b + box[1, 2] * c
    shift[2] = box[2, 0] * a + box[2, 1] * b + box[2, 2] * c
