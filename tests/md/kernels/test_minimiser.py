"""The minimisers reach the force they are asked for and tell how they ended; Newton's never raises the energy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.energy import forces, second_derivatives
from prnn_md.md.failure import BROKEN_BOND, CONVERGED, NOT_CONVERGED, NOT_FINITE
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.minimiser import minimise_by_fire, minimise_by_newton
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples

MakePolymer = Callable[..., Samples]
Minimise = Callable[..., tuple[int, int, object]]
MAX_MOVE = 0.1
BOTH = pytest.mark.parametrize("minimise", [minimise_by_newton, minimise_by_fire], ids=["newton", "fire"])


def minimised(
    cell: Samples, tolerance: float, max_evaluations: int = 20_000, minimise: Minimise = minimise_by_newton
) -> tuple[torch.Tensor, int, int]:
    """Positions (1, N, 3) at the end, status, and evaluations used."""
    x, field = padded(cell.positions[0].numpy()), compiled_field(polymer_force_field(cell), cell.types)
    status, evaluations, _ = minimise(x, cell.box[0].numpy(), field, tolerance, max_evaluations, MAX_MOVE)
    assert not x[:, 3].any()
    return torch.from_numpy(x[:, :3].copy())[None], status, evaluations


def root_mean_square_force(x: torch.Tensor, cell: Samples) -> float:
    force_field = polymer_force_field(cell)
    force = forces(force_field, x, cell.box, cell.types, force_field.neighbours(x, cell.box))
    return float(force.square().mean().sqrt())


@BOTH
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6, 1e-10])
@pytest.mark.parametrize("seed", [0, 5])
def test_it_converges_to_the_root_mean_square_force_asked_for(
    make_polymer: MakePolymer, seed: int, tolerance: float, minimise: Minimise
) -> None:
    cell = make_polymer(seed)
    x, status, evaluations = minimised(cell, tolerance, minimise=minimise)
    assert status == CONVERGED
    assert 1 < evaluations < 20_000
    assert root_mean_square_force(x, cell) <= tolerance * (1 + 1e-3)


@BOTH
def test_where_it_ends_is_a_minimum(make_polymer: MakePolymer, minimise: Minimise) -> None:
    """Three rigid translations cost nothing; everything else costs energy."""
    cell = make_polymer(0)
    x, _, _ = minimised(cell, 1e-10, minimise=minimise)
    zero, force_field = torch.zeros(6, dtype=torch.float64), polymer_force_field(cell)
    neighbours = force_field.neighbours(x, cell.box)
    _, _, hessian = second_derivatives(force_field, zero, x[0], cell.box[0], cell.types, neighbours)
    values = torch.linalg.eigvalsh(hessian)
    assert values[:3].abs().max() < 1e-8
    assert values[3] > 1e-3


def test_the_energy_never_rises(make_polymer: MakePolymer) -> None:
    """Stopped after 1, 3, 5, ... evaluations, the same run shows its energy on the way."""
    cell = make_polymer(1)
    _, _, needed = minimised(cell, 1e-3)
    stops = torch.cat([minimised(cell, 1e-3, stop)[0] for stop in range(1, needed + 2, 2)])
    boxes, force_field = cell.box.expand(len(stops), 3, 3), polymer_force_field(cell)
    energies = force_field(stops, boxes, cell.types, force_field.neighbours(stops, boxes))
    assert torch.equal(stops[0], cell.positions[0])
    assert torch.diff(energies).max() <= 1e-11 * energies.abs().max()
    assert energies[-1] < energies[0] - 1.0


@BOTH
def test_no_bead_moves_farther_in_a_step_than_allowed(make_polymer: MakePolymer, minimise: Minimise) -> None:
    cell = make_polymer(1, density=0.5)
    before = cell.positions
    for stop in range(2, 60):
        after, _, _ = minimised(cell, 1e-8, stop, minimise)
        if not torch.equal(after, before):
            assert (after - before).norm(dim=-1).max() <= MAX_MOVE * (1 + 1e-9)
        before = after
    assert (before - cell.positions).norm(dim=-1).max() > MAX_MOVE


@BOTH
def test_at_a_minimum_it_evaluates_once_and_moves_nothing(make_polymer: MakePolymer, minimise: Minimise) -> None:
    cell = make_polymer(2)
    x, _, _ = minimised(cell, 1e-8)
    again, status, evaluations = minimised(cell.moved(x, cell.box), 1e-7, minimise=minimise)
    assert (status, evaluations) == (CONVERGED, 1)
    assert torch.equal(again, x)


@BOTH
def test_it_finds_neighbours_that_come_from_beyond_its_list(make_polymer: MakePolymer, minimise: Minimise) -> None:
    """Loose chains collapse; the forces at the end are those of all pairs, also of those once far apart."""
    cell = make_polymer(1, density=0.5)
    x, status, _ = minimised(cell, 1e-8, minimise=minimise)
    assert status == CONVERGED
    assert (x - cell.positions).norm(dim=-1).max() > 0.6
    assert root_mean_square_force(x, cell) < 1.1e-8


@BOTH
def test_a_broken_bond_is_told_and_nothing_moves(make_polymer: MakePolymer, minimise: Minimise) -> None:
    cell = make_polymer(3)
    positions = cell.positions.clone()
    bond = positions[0, 1] - positions[0, 0]
    positions[0, 0] = positions[0, 1] - 1.6 * bond / bond.norm()
    x, status, evaluations = minimised(cell.moved(positions, cell.box), 1e-6, minimise=minimise)
    assert (status, evaluations) == (BROKEN_BOND, 1)
    assert torch.equal(x, positions)


@BOTH
def test_it_stops_at_the_evaluations_allowed(make_polymer: MakePolymer, minimise: Minimise) -> None:
    _, status, evaluations = minimised(make_polymer(4), 1e-10, max_evaluations=20, minimise=minimise)
    assert (status, evaluations) == (NOT_CONVERGED, 20)


@BOTH
def test_a_tolerance_below_round_off_ends_without_convergence(make_polymer: MakePolymer, minimise: Minimise) -> None:
    _, status, evaluations = minimised(make_polymer(4), 1e-30, minimise=minimise)
    assert status == NOT_CONVERGED
    assert evaluations <= 20_000


@BOTH
def test_positions_that_are_no_numbers_are_told(make_polymer: MakePolymer, minimise: Minimise) -> None:
    cell = make_polymer(4)
    x, field = padded(cell.positions[0].numpy()), compiled_field(polymer_force_field(cell), cell.types)
    x[7] = np.nan
    status, _, _ = minimise(x, cell.box[0].numpy(), field, 1e-6, 20_000, MAX_MOVE)
    assert status == NOT_FINITE
