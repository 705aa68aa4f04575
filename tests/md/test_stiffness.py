"""The compiled stiffness and the linear solver against torch and dense linear algebra."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.energy import bond_energy, pair_energy, second_derivatives
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.minimiser import CONVERGED, minimise
from prnn_md.md.neighbours import bonded_partners, find_terms
from prnn_md.md.sample import Samples
from prnn_md.md.stiffness import (
    NOT_POSITIVE,
    NOT_SOLVED,
    SOLVED,
    Stiffness,
    bond_stiffness,
    factor_chains,
    hessian_times,
    inverse_if_positive,
    pair_stiffness,
    solve,
    solve_chains,
    stiffness,
)

MakePolymer = Callable[..., Samples]


def at_minimum(cell: Samples, force_field: BeadSpring) -> tuple[Stiffness, np.ndarray]:
    """Stiffness of the cell at the energy minimum, and the Hessian (3N, 3N) there by torch."""
    x, box = cell.positions[0].numpy().copy(), cell.box[0].numpy()
    partners = bonded_partners(cell.bonds.numpy(), len(x))
    status, _, terms = minimise(x, box, partners, force_field, 1e-10, 20_000)
    assert status == CONVERGED
    zero = torch.zeros(6, dtype=torch.float64)
    _, _, hessian = second_derivatives(zero, torch.from_numpy(x), cell.box[0], cell.bonds, force_field)
    return stiffness(x, terms, force_field), hessian.numpy()


def forces_on(beads: int, seed: int = 0) -> np.ndarray:
    """Random numbers (beads, 3) that sum to zero over the beads."""
    numbers = np.random.default_rng(seed).standard_normal((beads, 3))
    return np.asarray(numbers - numbers.mean(0))


@pytest.mark.parametrize(
    ("function", "longest", "bonded"),
    [(bond_energy, 1.49, True), (pair_energy, 1.7, False)],
    ids=["bond", "pair"],
)
def test_the_stiffness_of_terms_is_the_derivative_of_the_energy(
    force_field: BeadSpring, function: Callable[..., torch.Tensor], longest: float, bonded: bool
) -> None:
    r = torch.linspace(0.8, longest, 400, dtype=torch.float64).requires_grad_(True)
    (first,) = torch.autograd.grad(function(r**2, force_field).sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), r)
    slope, along = np.empty(len(r)), np.empty(len(r))
    r2 = (r.detach() ** 2).numpy()
    if bonded:
        bond_stiffness(r2, np.arange(len(r), dtype=np.uint32), force_field, slope, along)
    else:
        pair_stiffness(r2, force_field, slope, along)
    expected = (first / r).detach()
    torch.testing.assert_close(torch.from_numpy(slope), expected, rtol=1e-10, atol=1e-10)
    expected_along = ((second - first / r) / r**2).detach()
    torch.testing.assert_close(torch.from_numpy(along), expected_along, rtol=1e-10, atol=1e-9)


def test_products_are_those_with_the_hessian(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    k, hessian = at_minimum(make_polymer(0), force_field)
    v, out = forces_on(60), np.empty((60, 3))
    hessian_times(v, k, out)
    np.testing.assert_allclose(out.ravel(), hessian @ v.ravel(), rtol=1e-10, atol=1e-9)


def test_terms_beyond_the_cutoff_are_left_out_and_bonds_kept(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    cell = make_polymer(0)
    x, box = cell.positions[0].numpy(), cell.box[0].numpy()
    partners = bonded_partners(cell.bonds.numpy(), len(x))
    wide = find_terms(x, box, partners, force_field.outer + 0.3)
    k = stiffness(x, wide, force_field)
    assert len(k.second) == len(find_terms(x, box, partners, force_field.outer).second) < len(wide.second)
    assert len(k.second) == k.starts[-1] == len(k.d) == len(k.slope) == len(k.along)


def test_the_factors_of_the_chains_invert_the_tridiagonal_part_of_the_hessian(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    k, hessian = at_minimum(make_polymer(0), force_field)
    bead = np.arange(180) // 3
    chains = np.where(abs(bead[:, None] - bead) <= 1, hessian, 0.0)
    assert np.linalg.eigvalsh(chains).min() > 0
    right, out = forces_on(60), np.empty((60, 3))
    solve_chains(*factor_chains(k, 60), right, out)
    np.testing.assert_allclose(out.ravel(), np.linalg.solve(chains, right.ravel()), rtol=1e-8, atol=1e-10)


def test_where_the_chains_are_not_stable_what_stands_in_for_them_is(force_field: BeadSpring) -> None:
    """Two beads that an external pull holds where the pair energy curves downward."""
    x = np.array([[0.0, 0, 0], [1.4, 0, 0]])
    none = bonded_partners(np.zeros((0, 2), dtype=np.int64), 2)
    k = stiffness(x, find_terms(x, 9.0 * np.eye(3), none, force_field.outer), force_field)
    right, out, v = np.array([[1.0, 0, 0], [-1, 0, 0]]), np.empty((2, 3)), np.empty((2, 3))
    solve_chains(*factor_chains(k, 2), right, out)
    assert (out * right).sum() > 0
    status, used = solve(k, right, 1e-8, 100, v)
    assert (status, used) == (NOT_POSITIVE, 1)
    assert (v * right).sum() > 0


@pytest.mark.parametrize("tolerance", [1e-2, 1e-8])
def test_the_solution_is_that_of_dense_algebra(
    force_field: BeadSpring, make_polymer: MakePolymer, tolerance: float
) -> None:
    k, hessian = at_minimum(make_polymer(1), force_field)
    right, v = forces_on(60), np.empty((60, 3))
    status, used = solve(k, right, tolerance, 1000, v)
    assert status == SOLVED
    assert used < 100
    assert np.linalg.norm(hessian @ v.ravel() - right.ravel()) <= 1.01 * tolerance * np.linalg.norm(right)
    np.testing.assert_allclose(v.sum(0), 0.0, atol=1e-12)
    if tolerance < 1e-6:
        expected = np.linalg.lstsq(hessian, right.ravel(), rcond=1e-10)[0]
        np.testing.assert_allclose(v.ravel(), expected, atol=1e-6 * abs(expected).max())


def test_it_says_when_the_products_allowed_did_not_do(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    k, _ = at_minimum(make_polymer(1), force_field)
    right, v = forces_on(60), np.empty((60, 3))
    assert solve(k, right, 1e-12, 3, v) == (NOT_SOLVED, 3)
    assert (v * right).sum() > 0


def test_only_positive_definite_blocks_are_inverted() -> None:
    rng, inverse = np.random.default_rng(0), np.empty((3, 3))
    for shift in (-3.0, -1.0, 0.0, 1.0, 3.0):
        for _ in range(20):
            a = rng.standard_normal((3, 3)) + shift * np.eye(3)
            a = a + a.T
            inverse[:] = 7.0
            if inverse_if_positive(a, inverse):
                assert np.linalg.eigvalsh(a).min() > 0
                np.testing.assert_allclose(inverse @ a, np.eye(3), atol=1e-7)
            else:
                assert np.linalg.eigvalsh(a).min() < 1e-3 * np.trace(a) or np.trace(a) < 0
                assert (inverse == 7.0).all()
