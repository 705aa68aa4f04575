"""The minimiser reaches the force it is asked for, never raises the energy, and tells how it ended."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.energy import energy, forces, second_derivatives
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.minimiser import BROKEN_BOND, CONVERGED, NOT_CONVERGED, NOT_FINITE, minimise
from prnn_md.md.neighbours import bonded_partners
from prnn_md.md.sample import Samples

MakePolymer = Callable[..., Samples]


def minimised(
    cell: Samples, force_field: BeadSpring, tolerance: float, max_evaluations: int = 20_000
) -> tuple[torch.Tensor, int, int]:
    """Positions (1, N, 3) at the end, status, and evaluations used."""
    x = cell.positions[0].numpy().copy()
    partners = bonded_partners(cell.bonds.numpy(), len(x))
    status, evaluations, _ = minimise(x, cell.box[0].numpy(), partners, force_field, tolerance, max_evaluations)
    return torch.from_numpy(x)[None], status, evaluations


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6, 1e-10])
@pytest.mark.parametrize("seed", [0, 5])
def test_it_converges_to_the_root_mean_square_force_asked_for(
    force_field: BeadSpring, make_polymer: MakePolymer, seed: int, tolerance: float
) -> None:
    cell = make_polymer(seed)
    x, status, evaluations = minimised(cell, force_field, tolerance)
    assert status == CONVERGED
    assert 1 < evaluations < 20_000
    force = forces(x, cell.box, cell.bonds, force_field)
    assert force.square().mean().sqrt() <= tolerance * (1 + 1e-3)


def test_where_it_ends_is_a_minimum(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    """Three rigid translations cost nothing; everything else costs energy."""
    cell = make_polymer(0)
    x, _, _ = minimised(cell, force_field, 1e-10)
    zero = torch.zeros(6, dtype=torch.float64)
    _, _, hessian = second_derivatives(zero, x[0], cell.box[0], cell.bonds, force_field)
    values = torch.linalg.eigvalsh(hessian)
    assert values[:3].abs().max() < 1e-8
    assert values[3] > 1e-3


def test_the_energy_never_rises(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    """Stopped after 1, 3, 5, ... evaluations, the same run shows its energy on the way."""
    cell = make_polymer(1)
    _, _, needed = minimised(cell, force_field, 1e-3)
    stops = [minimised(cell, force_field, 1e-3, stop)[0] for stop in range(1, needed + 2, 2)]
    energies = energy(torch.cat(stops), cell.box.expand(len(stops), 3, 3), cell.bonds, force_field)
    scale = energies.abs().max()
    assert energies[0] == energy(cell.positions, cell.box, cell.bonds, force_field)
    assert torch.diff(energies).max() <= 1e-11 * scale
    assert energies[-1] < energies[0] - 1.0


def test_at_a_minimum_it_evaluates_once_and_moves_nothing(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cell = make_polymer(2)
    x, _, _ = minimised(cell, force_field, 1e-8)
    again, status, evaluations = minimised(Samples(x, cell.box, cell.bonds), force_field, 1e-7)
    assert (status, evaluations) == (CONVERGED, 1)
    assert torch.equal(again, x)


def test_it_finds_neighbours_that_come_from_beyond_its_list(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    """Loose chains collapse; the forces at the end are those of all pairs, also of those once far apart."""
    cell = make_polymer(1, density=0.5)
    x, status, _ = minimised(cell, force_field, 1e-8)
    assert status == CONVERGED
    assert (x - cell.positions).norm(dim=-1).max() > 0.6
    assert forces(x, cell.box, cell.bonds, force_field).square().mean().sqrt() < 1.1e-8


def test_a_broken_bond_is_told_and_nothing_moves(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cell = make_polymer(3)
    positions = cell.positions.clone()
    bond = positions[0, 1] - positions[0, 0]
    positions[0, 0] = positions[0, 1] - 1.6 * bond / bond.norm()
    broken = Samples(positions, cell.box, cell.bonds)
    x, status, evaluations = minimised(broken, force_field, 1e-6)
    assert (status, evaluations) == (BROKEN_BOND, 1)
    assert torch.equal(x, positions)


def test_it_stops_at_the_evaluations_allowed(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    _, status, evaluations = minimised(make_polymer(4), force_field, 1e-10, max_evaluations=20)
    assert (status, evaluations) == (NOT_CONVERGED, 20)


def test_a_tolerance_below_round_off_ends_without_convergence(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    _, status, evaluations = minimised(make_polymer(4), force_field, 1e-30)
    assert status == NOT_CONVERGED
    assert evaluations <= 20_000


def test_positions_that_are_no_numbers_are_told(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cell = make_polymer(4)
    positions = cell.positions.clone()
    positions[0, 7] = np.nan
    _, status, _ = minimised(Samples(positions, cell.box, cell.bonds), force_field, 1e-6)
    assert status == NOT_FINITE
