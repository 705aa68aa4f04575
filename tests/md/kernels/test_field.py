"""A force field as arrays."""

import numpy as np

from prnn_md.md.kernels.field import excluded_partners


def test_excluded_partners_holds_each_pair_at_its_lower_particle() -> None:
    partners = excluded_partners(np.array([[1, 0], [1, 2], [0, 3]]), 4)
    assert partners.tolist() == [[1, 3], [2, -1], [-1, -1], [-1, -1]]


def test_excluded_partners_has_room_for_a_star() -> None:
    partners = excluded_partners(np.array([[0, 3], [0, 1], [2, 0]]), 4)
    assert partners.tolist() == [[1, 2, 3], [-1, -1, -1], [-1, -1, -1], [-1, -1, -1]]


def test_excluded_partners_of_free_particles_are_none() -> None:
    assert (excluded_partners(np.zeros((0, 2), dtype=np.int64), 3) == -1).all()
