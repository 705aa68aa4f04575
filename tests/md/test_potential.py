"""The compiled energy, its derivatives and the neighbour search against torch and brute force."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.energy import biot_stress, energy, forces
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.neighbours import Terms, bonded_partners, face_width, find_terms
from prnn_md.md.potential import energy_and_forces, virial
from prnn_md.md.sample import Samples
from prnn_md.mechanics import face_widths, to_mandel

MakePolymer = Callable[..., Samples]
SEEDS = pytest.mark.parametrize("seed", range(6))
Term = tuple[int, int, int, int, int]


def terms_within(cell: Samples, reach: float) -> Terms:
    x = cell.positions[0].numpy()
    return find_terms(x, cell.box[0].numpy(), bonded_partners(cell.bonds.numpy(), len(x)), reach)


def scattered(cell: Samples) -> Samples:
    """The cell with each chain of ten moved by whole box vectors, so that images differ from bead to bead."""
    whole = torch.randint(-2, 3, (len(cell.positions[0]) // 10, 3), generator=torch.Generator().manual_seed(3))
    moved = cell.positions + (whole.double() @ cell.box[0].T).repeat_interleave(10, 0)
    return Samples(moved, cell.box, cell.bonds)


@SEEDS
@pytest.mark.parametrize("reach", [1.5, 1.8])
def test_energy_and_forces_are_those_of_the_definition(
    force_field: BeadSpring, make_polymer: MakePolymer, seed: int, reach: float
) -> None:
    cell = scattered(make_polymer(seed))
    x = cell.positions[0].numpy()
    result = np.empty_like(x)
    total = energy_and_forces(x, terms_within(cell, reach), force_field, result)
    assert total == pytest.approx(float(energy(cell.positions, cell.box, cell.bonds, force_field)), rel=1e-12)
    expected = forces(cell.positions, cell.box, cell.bonds, force_field)[0]
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=1e-10, atol=1e-10)


@SEEDS
def test_the_virial_is_the_derivative_of_the_energy_by_strain(
    force_field: BeadSpring, make_polymer: MakePolymer, seed: int
) -> None:
    cell = scattered(make_polymer(seed))
    terms = terms_within(cell, force_field.outer)
    tensor = torch.from_numpy(virial(cell.positions[0].numpy(), terms, force_field))
    assert (tensor - tensor.T).abs().max() < 1e-10
    zero = torch.zeros(1, 6, dtype=torch.float64)
    expected = biot_stress(zero, cell.positions, cell.box, cell.bonds, force_field)[0]
    torch.testing.assert_close(to_mandel(tensor) / torch.linalg.det(cell.box[0]), expected, rtol=1e-10, atol=1e-10)


def test_a_broken_bond_gives_infinite_energy(force_field: BeadSpring) -> None:
    x = np.array([[0.0, 0, 0], [1.5001, 0, 0]])
    terms = find_terms(x, 9.0 * np.eye(3), bonded_partners(np.array([[0, 1]]), 2), 1.8)
    assert energy_and_forces(x, terms, force_field, np.empty((2, 3))) == np.inf


def brute_force(cell: Samples, reach: float) -> set[Term]:
    """All (i, j, images) of non-bonded pairs within reach, among two layers of boxes each way."""
    x, box = cell.positions[0].numpy(), cell.box[0].numpy()
    bonded = {tuple(sorted(bond)) for bond in cell.bonds.tolist()}
    around = np.array(list(itertools.product(range(-2, 3), repeat=3)), dtype=float)
    found = set()
    for i, j in itertools.combinations(range(len(x)), 2):
        if (i, j) in bonded:
            continue
        images = around - np.round(np.linalg.solve(box, x[j] - x[i]))
        near = np.linalg.norm(x[j] - x[i] + images @ box.T, axis=1) < reach
        found |= {(i, j, *image) for image in images[near].astype(int).tolist()}
    return found


@pytest.mark.parametrize(("density", "shear"), [(0.8, 0.15), (0.8, 0.35), (2.0, 0.1), (2.5, 0.2)])
def test_find_terms_finds_what_a_search_through_all_images_finds(
    make_polymer: MakePolymer, density: float, shear: float
) -> None:
    """At the two higher densities the box is narrower than twice the reach, so that several images count."""
    cell = scattered(make_polymer(7, chains=4, density=density, shear=shear))
    reach = 1.8
    terms = terms_within(cell, reach)
    first = np.repeat(np.arange(len(terms.starts) - 1), np.diff(terms.starts.astype(int)))
    joined = np.stack([first, terms.second.astype(int)], axis=1)
    images = np.linalg.solve(cell.box[0].numpy(), terms.shifts.T).T.round().astype(int)
    np.testing.assert_allclose(images @ cell.box[0].numpy().T, terms.shifts, atol=1e-12)
    np.testing.assert_array_equal(joined[terms.bonded], cell.bonds.numpy())
    assert not images[terms.bonded].any()
    pairs = np.delete(np.concatenate([joined, images], axis=1), terms.bonded, axis=0)
    found = [tuple(term) for term in pairs.tolist()]
    assert len(found) == len(set(found))
    assert set(found) == brute_force(cell, reach)
    if density > 1.0:
        assert face_width(cell.box[0].numpy()) < 2.0 * reach
        assert len({term[:2] for term in found}) < len(found)


def test_find_terms_has_room_for_many_neighbours() -> None:
    """All pairs of 60 beads in a small cube are near."""
    x = np.random.default_rng(0).uniform(-0.25, 0.25, (60, 3))
    none = np.zeros((0, 2), dtype=np.int64)
    terms = find_terms(x, 5.0 * np.eye(3), bonded_partners(none, 60), 1.0)
    assert len(terms.second) == 60 * 59 // 2
    assert not terms.shifts.any()


@SEEDS
def test_the_face_width_is_that_of_mechanics(make_polymer: MakePolymer, seed: int) -> None:
    box = make_polymer(seed, chains=2, shear=0.4).box[0]
    assert face_width(box.numpy()) == pytest.approx(float(face_widths(box).min()), rel=1e-13)


def test_bonded_partners_holds_each_bond_at_its_lower_bead() -> None:
    partners = bonded_partners(np.array([[1, 0], [1, 2], [0, 3]]), 4)
    assert [sorted(row) for row in partners.tolist()] == [[1, 3], [-1, 2], [-1, -1], [-1, -1]]


def test_bonded_partners_refuses_a_star() -> None:
    with pytest.raises(ValueError, match="Bead 0 has more than two bonded partners of higher index"):
        bonded_partners(np.array([[0, 1], [0, 2], [0, 3]]), 4)
