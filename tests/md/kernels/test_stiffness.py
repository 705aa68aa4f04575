"""The compiled stiffness and the linear solver against torch and dense linear algebra."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.energy import second_derivatives
from prnn_md.md.failure import CONVERGED
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import Field, compiled_field
from prnn_md.md.kernels.minimiser import minimise_by_newton
from prnn_md.md.kernels.neighbours import find_terms
from prnn_md.md.kernels.stiffness import (
    NOT_POSITIVE,
    NOT_SOLVED,
    SOLVED,
    Stiffness,
    factor_chains,
    fene_stiffness,
    hessian_times,
    inverse_if_positive,
    pair_stiffness,
    solve,
    solve_chains,
    stiffness,
)
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples

MakePolymer = Callable[..., Samples]


def field_of(cell: Samples) -> Field:
    return compiled_field(polymer_force_field(cell), cell.types)


def at_minimum(cell: Samples) -> tuple[Stiffness, Field, np.ndarray]:
    """Stiffness of the cell at the energy minimum, its field, and the Hessian (3N, 3N) there by torch."""
    x, box, field = padded(cell.positions[0].numpy()), cell.box[0].numpy(), field_of(cell)
    status, _, terms = minimise_by_newton(x, box, field, 1e-10, 20_000, 0.1)
    assert status == CONVERGED
    zero, force_field = torch.zeros(6, dtype=torch.float64), polymer_force_field(cell)
    y = torch.from_numpy(x[:, :3].copy())
    neighbours = force_field.neighbours(y[None], cell.box)
    _, _, hessian = second_derivatives(force_field, zero, y, cell.box[0], cell.types, neighbours)
    return stiffness(x, terms, field), field, hessian.numpy()


def forces_on(beads: int, seed: int = 0) -> np.ndarray:
    """Random numbers (beads, 4) that sum to zero over the beads, the last column zero."""
    numbers = np.random.default_rng(seed).standard_normal((beads, 3))
    return np.asarray(padded(numbers - numbers.mean(0)))


def flat(rows: np.ndarray) -> np.ndarray:
    """The first three columns of (N, 4) as one row (3N,); the last one must be zero."""
    assert not rows[:, 3].any()
    return rows[:, :3].ravel()


@pytest.mark.parametrize(("bonded", "longest"), [(True, 1.49), (False, 1.7)], ids=["bond", "pair"])
def test_the_stiffness_of_terms_is_the_derivative_of_the_energy(bonded: bool, longest: float) -> None:
    ends, box = torch.zeros(1, 2, 3, dtype=torch.float64), 9.0 * torch.eye(3, dtype=torch.float64)[None]
    pair = Samples(ends, box, torch.tensor([[0, 1]]))
    force_field, p = polymer_force_field(pair), field_of(pair)
    pairs, bonds = force_field.terms["pairs"], force_field.terms["bonds"]
    assert isinstance(pairs, LennardJones)
    assert isinstance(bonds, FENEBonds)
    r = torch.linspace(0.8, longest, 400, dtype=torch.float64).requires_grad_(True)
    if bonded:
        positions = torch.stack([torch.zeros(400, 3), torch.nn.functional.pad(r[:, None], (0, 2))], dim=1)
        energies = bonds(positions, box, pair.types, force_field.neighbours(ends, box))
        compiled = [fene_stiffness(r2, *p.fene_bonds[:, 0]) for r2 in (r.detach() ** 2).tolist()]
    else:
        energies = pairs.of_pairs(r**2, torch.zeros(400, dtype=torch.int64))
        constants = (p.epsilon[0], p.sigma2[0], p.inner[0], p.width[0])
        compiled = [pair_stiffness(r2, *constants) for r2 in (r.detach() ** 2).tolist()]
    (first,) = torch.autograd.grad(energies.sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), r)
    slope, along = torch.tensor(compiled, dtype=torch.float64).T
    torch.testing.assert_close(slope, (first / r).detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(along, ((second - first / r) / r**2).detach(), rtol=1e-10, atol=1e-9)


def test_products_are_those_with_the_hessian(make_polymer: MakePolymer) -> None:
    k, field, hessian = at_minimum(make_polymer(0))
    v, out = forces_on(60), np.empty((60, 4))
    hessian_times(v, k, field, out)
    np.testing.assert_allclose(flat(out), hessian @ flat(v), rtol=1e-10, atol=1e-9)


def test_terms_beyond_the_cutoff_are_left_out_and_bonds_kept(make_polymer: MakePolymer) -> None:
    cell = make_polymer(0)
    x, box, field = padded(cell.positions[0].numpy()), cell.box[0].numpy(), field_of(cell)
    wide, near = (find_terms(x, box, field, field.cutoff + skin) for skin in (0.3, 0.0))
    k = stiffness(x, wide, field)
    assert (k.slope != 0).sum() == len(cell.bonds) + (near.outer2 > 0).sum() < len(cell.bonds) + (wide.outer2 > 0).sum()
    assert 0 <= len(k.second) - (k.slope != 0).sum() < 4
    assert len(k.first) == len(k.second) == k.d.shape[1] == len(k.shifts) == len(k.slope) == len(k.along)


def test_the_factors_of_the_chains_invert_the_tridiagonal_part_of_the_hessian(make_polymer: MakePolymer) -> None:
    k, field, hessian = at_minimum(make_polymer(0))
    bead = np.arange(180) // 3
    chains = np.where(abs(bead[:, None] - bead) <= 1, hessian, 0.0)
    assert np.linalg.eigvalsh(chains).min() > 0
    right, out = forces_on(60), np.zeros((60, 4))
    solve_chains(*factor_chains(k, field, 60), right, out)
    np.testing.assert_allclose(flat(out), np.linalg.solve(chains, flat(right)), rtol=1e-8, atol=1e-10)


def test_where_the_chains_are_not_stable_what_stands_in_for_them_is() -> None:
    """Two beads that an external pull holds where the pair energy curves downward."""
    positions = torch.tensor([[[0.0, 0, 0], [1.4, 0, 0]]], dtype=torch.float64)
    pair = Samples(positions, 9.0 * torch.eye(3, dtype=torch.float64)[None])
    x, field = padded(positions[0].numpy()), field_of(pair)
    k = stiffness(x, find_terms(x, pair.box[0].numpy(), field, field.cutoff), field)
    right, out, v = padded(np.array([[1.0, 0, 0], [-1, 0, 0]])), np.zeros((2, 4)), np.empty((2, 4))
    solve_chains(*factor_chains(k, field, 2), right, out)
    assert (out * right).sum() > 0
    status, used = solve(k, field, right, 1e-8, 100, v)
    assert (status, used) == (NOT_POSITIVE, 1)
    assert (v * right).sum() > 0


@pytest.mark.parametrize("tolerance", [1e-2, 1e-8])
def test_the_solution_is_that_of_dense_algebra(make_polymer: MakePolymer, tolerance: float) -> None:
    k, field, hessian = at_minimum(make_polymer(1))
    right, v = forces_on(60), np.empty((60, 4))
    status, used = solve(k, field, right, tolerance, 1000, v)
    assert status == SOLVED
    assert used < 100
    assert np.linalg.norm(hessian @ flat(v) - flat(right)) <= 1.01 * tolerance * np.linalg.norm(right)
    np.testing.assert_allclose(v.sum(0), 0.0, atol=1e-12)
    if tolerance < 1e-6:
        expected = np.linalg.lstsq(hessian, flat(right), rcond=1e-10)[0]
        np.testing.assert_allclose(flat(v), expected, atol=1e-6 * abs(expected).max())


def test_it_says_when_the_products_allowed_did_not_do(make_polymer: MakePolymer) -> None:
    k, field, _ = at_minimum(make_polymer(1))
    right, v = forces_on(60), np.empty((60, 4))
    assert solve(k, field, right, 1e-12, 3, v) == (NOT_SOLVED, 3)
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
