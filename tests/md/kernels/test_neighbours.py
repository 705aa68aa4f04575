"""The compiled neighbour search against brute force."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.neighbours import Terms, face_width, find_terms
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import face_widths

MakePolymer = Callable[..., Samples]
Term = tuple[int, int, int, int, int]


def terms_within(cell: Samples, reach: float) -> Terms:
    field = compiled_field(polymer_force_field(cell), cell.types)
    return find_terms(padded(cell.positions[0].numpy()), cell.box[0].numpy(), field, reach)


def pairs_of(terms: Terms) -> tuple[np.ndarray, np.ndarray]:
    """Members (P, 2) and shifts (P, 3) of the pairs, without those that only fill up the list, which are too far."""
    real = terms.outer2 > 0.0
    assert len(real) % 4 == 0
    assert (~real).sum() < 4
    members, shifts = np.column_stack([terms.first, terms.second]).astype(int)[: len(real)], terms.shifts[: len(real)]
    assert (shifts[~real, 0] > 50.0).all()
    return members[real], shifts[real, :3]


def scattered(cell: Samples) -> Samples:
    """The cell with each chain of ten moved by whole box vectors, so that images differ from bead to bead."""
    whole = torch.randint(-2, 3, (len(cell.positions[0]) // 10, 3), generator=torch.Generator().manual_seed(3))
    return cell.moved(cell.positions + (whole.double() @ cell.box[0].T).repeat_interleave(10, 0), cell.box)


def brute_force(cell: Samples, reach: float) -> set[Term]:
    """All (i, j, images) of pairs within reach that are no bonds, among two layers of boxes each way.

    A bead meets half of its own images, since the other half are the same pairs.
    """
    x, box = cell.positions[0].numpy(), cell.box[0].numpy()
    bonded = {(*sorted(bond), 0, 0, 0) for bond in cell.bonds.tolist()}
    around = np.array(list(itertools.product(range(-2, 3), repeat=3)), dtype=float)
    found: set[Term] = set()
    for i, j in itertools.combinations_with_replacement(range(len(x)), 2):
        images = around - np.round(np.linalg.solve(box, x[j] - x[i]))
        near = np.linalg.norm(x[j] - x[i] + images @ box.T, axis=1) < reach
        found |= {(i, j, *image) for image in images[near].astype(int).tolist() if i != j or tuple(image) > (0, 0, 0)}
    return found - bonded


@pytest.mark.parametrize(
    ("density", "shear", "own_images"),
    [(0.8, 0.15, False), (0.8, 0.35, False), (2.0, 0.1, False), (2.5, 0.2, False), (8.0, 0.1, True)],
)
def test_find_terms_finds_what_a_search_through_all_images_finds(
    make_polymer: MakePolymer, density: float, shear: float, own_images: bool
) -> None:
    """At the higher densities the box is narrower than twice the reach, so that several images count."""
    cell = scattered(make_polymer(7, chains=4, density=density, shear=shear))
    reach = 1.8
    terms = terms_within(cell, reach)
    assert not terms.shifts[:, 3].any()
    members, shifts = pairs_of(terms)
    images = np.linalg.solve(cell.box[0].numpy(), shifts.T).T.round().astype(int)
    np.testing.assert_allclose(images @ cell.box[0].numpy().T, shifts, atol=1e-12)
    found = [tuple(term) for term in np.column_stack([members, images]).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == brute_force(cell, reach)
    assert any(term[0] == term[1] for term in found) == own_images
    if density > 1.0:
        assert face_width(cell.box[0].numpy()) < 2.0 * reach
        assert len({term[:2] for term in found}) < len(found)


def test_find_terms_has_room_for_many_neighbours() -> None:
    """All pairs of 60 beads in a small cube are near."""
    x = torch.from_numpy(np.random.default_rng(0).uniform(-0.25, 0.25, (1, 60, 3)))
    members, shifts = pairs_of(terms_within(Samples(x, 5.0 * torch.eye(3, dtype=torch.float64)[None]), 1.0))
    assert len(members) == 60 * 59 // 2
    assert not shifts.any()


@pytest.mark.parametrize("seed", range(6))
def test_the_face_width_is_that_of_mechanics(make_polymer: MakePolymer, seed: int) -> None:
    box = make_polymer(seed, chains=2, shear=0.4).box[0]
    assert face_width(box.numpy()) == pytest.approx(float(face_widths(box).min()), rel=1e-13)
