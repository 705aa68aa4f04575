"""The energy against closed forms, a crystal whose constants are known, differences, and its symmetries."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.md.energy import (
    biot_stress,
    bond_energy,
    energy,
    forces,
    pair_energy,
    second_derivatives,
    strained_energy,
    tangent,
)
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.minimiser import CONVERGED, minimise
from prnn_md.md.neighbours import bonded_partners
from prnn_md.md.sample import Samples
from prnn_md.mechanics import mandel_rotation, rotation_from_vector, stretch_of

NO_BONDS = torch.zeros(0, 2, dtype=torch.int64)
LARGE_BOX = 10.0 * torch.eye(3, dtype=torch.float64)[None]
STRAIN = torch.tensor([[0.02, -0.01, 0.015, 0.01, -0.02, 0.03]], dtype=torch.float64)
MakePolymer = Callable[..., Samples]


def row_of_beads(*places: float) -> Tensor:
    """One cell of beads on a line along (1, 2, 2), at these distances from the origin."""
    direction = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64) / 3.0
    return (torch.tensor(places, dtype=torch.float64)[:, None] * direction)[None]


def lennard_jones(r: float) -> float:
    return 4.0 * (r**-12 - r**-6)


def fene(r: float) -> float:
    return -0.5 * 30.0 * 1.5**2 * math.log(1.0 - (r / 1.5) ** 2)


def derivatives(function: Callable[[Tensor, BeadSpring], Tensor], r: float, force_field: BeadSpring) -> list[float]:
    """Value, slope and curvature of a pair function at the distance r."""
    x = torch.tensor(r, dtype=torch.float64, requires_grad=True)
    value = function(x**2, force_field)
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, x)
    return [result.item() for result in (value, slope, curvature)]


@pytest.mark.parametrize(
    ("r", "expected"),
    [
        (1.0, 0.0),
        (2 ** (1 / 6), -1.0),
        (1.2, lennard_jones(1.2)),
        (1.35, 0.5 * lennard_jones(1.35)),
        (1.275, (1 - 10 / 64 + 15 / 256 - 6 / 1024) * lennard_jones(1.275)),
        (1.5, 0.0),
        (2.0, 0.0),
    ],
)
def test_two_free_beads_feel_the_tapered_lennard_jones_energy(
    force_field: BeadSpring, r: float, expected: float
) -> None:
    assert float(energy(row_of_beads(0.0, r), LARGE_BOX, NO_BONDS, force_field)) == pytest.approx(expected, abs=1e-14)


def test_two_free_beads_meet_through_the_boundary(force_field: BeadSpring) -> None:
    positions = torch.tensor([[[0.2, 5.0, 5.0], [29.1, 5.0, 5.0]]], dtype=torch.float64)
    assert float(energy(positions, LARGE_BOX, NO_BONDS, force_field)) == pytest.approx(lennard_jones(1.1), abs=1e-12)


@pytest.mark.parametrize(("r", "repulsion"), [(0.97, lennard_jones(0.97) + 1), (1.0, 1.0), (1.2, 0.0), (1.45, 0.0)])
def test_a_bond_is_fene_and_repulsion(force_field: BeadSpring, r: float, repulsion: float) -> None:
    value = energy(row_of_beads(0.0, r), LARGE_BOX, torch.tensor([[1, 0]]), force_field)
    assert float(value) == pytest.approx(fene(r) + repulsion, rel=1e-14)


def test_a_chain_of_three_adds_its_bonds_and_the_pair_of_its_ends(force_field: BeadSpring) -> None:
    bonds = torch.tensor([[0, 1], [1, 2]])
    positions = row_of_beads(0.0, 0.6, 1.3)
    expected = sum(fene(r) + lennard_jones(r) + 1 for r in (0.6, 0.7))
    z = (1.3 - 1.2) / 0.3
    expected += (1 - 10 * z**3 + 15 * z**4 - 6 * z**5) * lennard_jones(1.3)
    assert float(energy(positions, LARGE_BOX, bonds, force_field)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("r", [1.5, 1.7])
def test_a_broken_bond_has_infinite_energy(force_field: BeadSpring, r: float) -> None:
    assert float(energy(row_of_beads(0.0, r), LARGE_BOX, torch.tensor([[0, 1]]), force_field)) == math.inf


def test_parameters_scale_the_energy() -> None:
    """Twice the length scale at twice the energy scale: the same picture, everything doubled."""
    one = BeadSpring(1.0, 1.0, 1.2, 1.5, 30.0, 1.5, 1.0)
    two = BeadSpring(2.0, 2.0, 2.4, 3.0, 15.0, 3.0, 1.0)
    bonds = torch.tensor([[0, 1]])
    positions = row_of_beads(0.0, 0.9, 2.2)
    expected = 2.0 * energy(positions, LARGE_BOX, bonds, one)
    torch.testing.assert_close(energy(2.0 * positions, 2.0 * LARGE_BOX, bonds, two), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("distance", [1.2, 1.5])
def test_the_pair_energy_is_twice_continuously_differentiable(force_field: BeadSpring, distance: float) -> None:
    below = derivatives(pair_energy, distance - 1e-9, force_field)
    at = derivatives(pair_energy, distance, force_field)
    above = derivatives(pair_energy, distance + 1e-9, force_field)
    assert below == pytest.approx(at, abs=1e-5)
    assert above == pytest.approx(at, abs=1e-5)


def test_the_taper_leaves_lennard_jones_alone_up_to_the_inner_distance(force_field: BeadSpring) -> None:
    r = 1.2
    slope, curvature = 4 * (-12 * r**-13 + 6 * r**-7), 4 * (156 * r**-14 - 42 * r**-8)
    expected = pytest.approx([lennard_jones(r), slope, curvature], rel=1e-12)
    assert derivatives(pair_energy, r, force_field) == expected


def test_the_repulsion_of_a_bond_ends_with_value_and_slope_zero(force_field: BeadSpring) -> None:
    minimum = 2 ** (1 / 6)
    below = derivatives(bond_energy, minimum - 1e-9, force_field)
    above = derivatives(bond_energy, minimum + 1e-9, force_field)
    assert below[:2] == pytest.approx(above[:2], abs=1e-6)


def test_nothing_is_nan_where_terms_are_switched_off(force_field: BeadSpring) -> None:
    for r in (1.5, 1.5000001, 3.0):
        assert derivatives(pair_energy, r, force_field) == [0.0, 0.0, 0.0]
    assert all(math.isfinite(value) for value in derivatives(bond_energy, 1.4999, force_field))
    assert not any(math.isnan(value) for value in derivatives(bond_energy, 1.6, force_field))


def test_forces_are_minus_the_differences_of_the_energy(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cell = make_polymer(0)
    generator = torch.Generator().manual_seed(0)
    step = 1e-6 * torch.randn(20, *cell.positions.shape[1:], generator=generator, dtype=torch.float64)
    boxes = cell.box.expand(20, 3, 3)
    difference = energy(cell.positions + step, boxes, cell.bonds, force_field)
    difference -= energy(cell.positions - step, boxes, cell.bonds, force_field)
    expected = -2.0 * (forces(cell.positions, cell.box, cell.bonds, force_field) * step).sum((1, 2))
    torch.testing.assert_close(difference, expected, rtol=1e-6, atol=1e-9)


def test_forces_sum_to_zero(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cell = make_polymer(1)
    total = forces(cell.positions, cell.box, cell.bonds, force_field).sum(1)
    assert total.abs().max() < 1e-11


def test_the_biot_stress_is_the_difference_of_the_energy(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cell = make_polymer(2)
    steps = 1e-6 * torch.eye(6, dtype=torch.float64)
    many = (cell.positions.expand(6, -1, -1), cell.box.expand(6, 3, 3), cell.bonds, force_field)
    difference = strained_energy(STRAIN + steps, *many) - strained_energy(STRAIN - steps, *many)
    expected = difference / 2e-6 / torch.linalg.det(cell.box)
    stress = biot_stress(STRAIN, cell.positions, cell.box, cell.bonds, force_field)[0]
    torch.testing.assert_close(stress, expected, rtol=1e-6, atol=1e-6)


def test_second_derivatives_are_differences_of_forces_and_stress(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    cell = make_polymer(3)
    y, box = cell.positions[0], cell.box[0]
    affine, coupling, hessian = second_derivatives(STRAIN[0], y, box, cell.bonds, force_field)
    generator = torch.Generator().manual_seed(1)
    de, dy = torch.randn(6, generator=generator).double(), torch.randn(y.shape, generator=generator).double()

    def gradients(sign: float) -> tuple[Tensor, Tensor]:
        strain = (STRAIN + sign * 1e-6 * de).requires_grad_(True)
        moved = (cell.positions + sign * 1e-6 * dy).requires_grad_(True)
        total = strained_energy(strain, moved, cell.box, cell.bonds, force_field).sum()
        by_strain, by_position = torch.autograd.grad(total, (strain, moved))
        return by_strain.flatten(), by_position.flatten()

    (strain_up, position_up), (strain_down, position_down) = gradients(1.0), gradients(-1.0)
    torch.testing.assert_close(
        affine @ de + coupling @ dy.flatten(), (strain_up - strain_down) / 2e-6, rtol=1e-5, atol=1e-2
    )
    torch.testing.assert_close(
        coupling.T @ de + hessian @ dy.flatten(), (position_up - position_down) / 2e-6, rtol=1e-5, atol=1e-2
    )
    assert (hessian - hessian.T).abs().max() < 1e-8


def face_centred_cubic() -> tuple[Tensor, Tensor]:
    """32 beads, each with twelve neighbours at the minimum of the pair energy and no others in reach."""
    edge = 2 ** (1 / 6) * math.sqrt(2)
    corners = torch.cartesian_prod(*3 * [torch.arange(2.0, dtype=torch.float64)])
    basis = torch.tensor([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], dtype=torch.float64)
    positions = edge * (corners[:, None] + basis).reshape(1, -1, 3)
    return positions, 2 * edge * torch.eye(3, dtype=torch.float64)[None]


def test_a_face_centred_cubic_crystal_has_the_constants_of_its_nearest_neighbours(
    force_field: BeadSpring,
) -> None:
    """With stiffness k = 72 / r^2 at distance r = 2^(1/6): C11 = sqrt 2 k / r = 72, C12 = C44 = C11 / 2."""
    positions, box = face_centred_cubic()
    zero = torch.zeros(1, 6, dtype=torch.float64)
    assert float(energy(positions, box, NO_BONDS, force_field)) == pytest.approx(-6.0 * 32, rel=1e-12)
    assert biot_stress(zero, positions, box, NO_BONDS, force_field).abs().max() < 1e-11
    expected = torch.diag(torch.tensor([36.0, 36, 36, 72, 72, 72], dtype=torch.float64))
    expected[:3, :3] += 36.0
    result = tangent(zero[0], positions[0], box[0], NO_BONDS, force_field)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-9)


def test_the_tangent_is_the_difference_of_the_stress_along_the_minimum(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    cell = make_polymer(4)
    partners = bonded_partners(cell.bonds.numpy(), 60)

    def relaxed(strain: Tensor, y: Tensor) -> Tensor:
        stretch = stretch_of(strain).numpy()
        x = np.ascontiguousarray(y.numpy() @ stretch.T)
        status, *_ = minimise(x, stretch @ cell.box[0].numpy(), partners, force_field, 1e-11, 20_000)
        assert status == CONVERGED
        return torch.from_numpy(x @ np.linalg.inv(stretch).T)

    minimum = relaxed(STRAIN[0], cell.positions[0])
    result = tangent(STRAIN[0], minimum, cell.box[0], cell.bonds, force_field)
    step = 1e-6
    for column in range(6):
        stress = []
        for sign in (1.0, -1.0):
            strain = STRAIN.clone()
            strain[0, column] += sign * step
            y = relaxed(strain[0], minimum)[None]
            stress.append(biot_stress(strain, y, cell.box, cell.bonds, force_field)[0])
        difference = (stress[0] - stress[1]) / (2 * step)
        assert (difference - result[:, column]).norm() < 1e-5 * result.norm()
    assert (result - result.T).abs().max() < 1e-8


def test_cells_of_a_batch_do_not_see_each_other(force_field: BeadSpring, make_polymer: MakePolymer) -> None:
    cells = [make_polymer(seed) for seed in range(3)]
    positions, box = (torch.cat([getattr(cell, name) for cell in cells]) for name in ("positions", "box"))
    together = energy(positions, box, cells[0].bonds, force_field)
    alone = torch.cat([energy(cell.positions, cell.box, cell.bonds, force_field) for cell in cells])
    torch.testing.assert_close(together, alone, rtol=1e-14, atol=0)


def test_rotation_turns_forces_and_stress_and_keeps_the_energy(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    cell = make_polymer(5)
    rotation = rotation_from_vector(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
    positions, box = cell.positions @ rotation.T, rotation @ cell.box
    torch.testing.assert_close(
        energy(positions, box, cell.bonds, force_field),
        energy(cell.positions, cell.box, cell.bonds, force_field),
        rtol=1e-12,
        atol=0,
    )
    torch.testing.assert_close(
        forces(positions, box, cell.bonds, force_field),
        forces(cell.positions, cell.box, cell.bonds, force_field) @ rotation.T,
        rtol=1e-10,
        atol=1e-10,
    )
    turn = mandel_rotation(rotation)
    torch.testing.assert_close(
        biot_stress(STRAIN @ turn.T, positions, box, cell.bonds, force_field),
        biot_stress(STRAIN, cell.positions, cell.box, cell.bonds, force_field) @ turn.T,
        rtol=1e-10,
        atol=1e-10,
    )


def test_translation_wrapping_of_chains_and_choice_of_box_vectors_change_nothing(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    cell = make_polymer(6, density=0.4, shear=0.05)
    expected = energy(cell.positions, cell.box, cell.bonds, force_field)
    shift = torch.tensor([3.1, -20.0, 0.7], dtype=torch.float64)
    whole = torch.randint(-3, 4, (6, 3), generator=torch.Generator().manual_seed(0)).double()
    wrapped = cell.positions + (whole @ cell.box[0].T).repeat_interleave(10, 0)
    other_box = cell.box @ torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    for positions, box in [
        (cell.positions + shift, cell.box),
        (wrapped, cell.box),
        (cell.positions, other_box),
    ]:
        torch.testing.assert_close(energy(positions, box, cell.bonds, force_field), expected, rtol=1e-11, atol=0)


def test_boxes_narrower_than_twice_the_cutoff_are_refused_by_number(
    force_field: BeadSpring, make_polymer: MakePolymer
) -> None:
    cell = make_polymer(0)
    narrow = cell.box.clone()
    narrow[0, :, 1] += 2.0 * narrow[0, :, 0]
    positions, box = cell.positions.expand(3, -1, -1), torch.cat([cell.box, narrow, cell.box])
    with pytest.raises(ValueError, match=r"Cells \[1\] are narrower than twice the cutoff, 3 .*more beads"):
        energy(positions, box, cell.bonds, force_field)
