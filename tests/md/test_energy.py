"""The energy against closed forms, a crystal whose constants are known, differences, and its symmetries."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.energy import biot_stress, forces, second_derivatives, strained_energy, tangent
from prnn_md.md.failure import CONVERGED
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.minimiser import minimise_by_newton
from prnn_md.md.neighbours import Neighbours
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ, face_widths, mandel_rotation, rotation_from_vector, stretch_of

LARGE_BOX = 10.0 * torch.eye(3, dtype=torch.float64)[None]
STRAIN = torch.tensor([[0.02, -0.01, 0.015, 0.01, -0.02, 0.03]], dtype=torch.float64)
ZERO = torch.zeros(1, 6, dtype=torch.float64)
MakePolymer = Callable[..., Samples]


def row_of_beads(*places: float) -> Tensor:
    """One cell of beads on a line along (1, 2, 2), at these distances from the origin."""
    direction = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64) / 3.0
    return (torch.tensor(places, dtype=torch.float64)[:, None] * direction)[None]


def bonded(*bonds: tuple[int, int]) -> Tensor:
    return torch.tensor(bonds, dtype=torch.int64).reshape(-1, 2)


def polymer_energy(positions: Tensor, box: Tensor, *bonds: tuple[int, int]) -> Tensor:
    """Energies (cells,) of beads of the polymer with these bonds."""
    return energy(polymer_force_field(Samples(positions, box, bonded(*bonds))), positions, box)


def bead_spring(epsilon: float, sigma: float, inner: float, outer: float, k: float, extent: float) -> ForceField:
    """Two bonded beads and a third one, with these numbers."""
    table = {"epsilon": epsilon, "sigma": sigma, "inner": inner, "outer": outer}
    pairs = LennardJones(**{name: torch.tensor([[number]]).double() for name, number in table.items()})
    bonds = FENEBonds(bonded((0, 1)), torch.tensor([k]), torch.tensor([extent]), pairs)
    return ForceField({"pairs": pairs, "bonds": bonds}, torch.ones(3), LJ, bonded((0, 1)))


def deformed(
    force_field: ForceField, strain: Tensor, positions: Tensor, box: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Neighbours]:
    """What follows the energy in functions of strain, positions and undeformed boxes: with types and neighbours."""
    stretch = stretch_of(strain)
    neighbours = force_field.neighbours(positions @ stretch.mT, stretch @ box)
    return strain, positions, box, torch.zeros(positions.shape[1], dtype=torch.int64), neighbours


def energy(force_field: ForceField, positions: Tensor, box: Tensor) -> Tensor:
    """Energies (cells,)."""
    return force_field(*deformed(force_field, ZERO, positions, box)[1:])


def forces_on(force_field: ForceField, positions: Tensor, box: Tensor) -> Tensor:
    """Forces (cells, N, 3)."""
    return forces(force_field, *deformed(force_field, ZERO, positions, box)[1:])


def stress_of(force_field: ForceField, strain: Tensor, positions: Tensor, box: Tensor) -> Tensor:
    """Biot stresses (cells, 6)."""
    return biot_stress(force_field, *deformed(force_field, strain, positions, box))


def lennard_jones(r: float) -> float:
    return 4.0 * (r**-12 - r**-6)


def fene(r: float) -> float:
    return -0.5 * 30.0 * 1.5**2 * math.log(1.0 - (r / 1.5) ** 2)


def pair_energy(r: Tensor) -> Tensor:
    """Energy of two free beads of the polymer at the distance r."""
    pairs = polymer_force_field(Samples(row_of_beads(0.0), LARGE_BOX)).terms["pairs"]
    assert isinstance(pairs, LennardJones)
    return pairs.of_pairs(r[None] ** 2, torch.zeros(1, dtype=torch.int64))[0]


def bond_energy(r: Tensor) -> Tensor:
    """Energy of two bonded beads of the polymer at the distance r."""
    positions = torch.stack([torch.zeros(3, dtype=torch.float64), r * row_of_beads(1.0)[0, 0]])[None]
    return polymer_energy(positions, LARGE_BOX, (0, 1))[0]


def derivatives(function: Callable[[Tensor], Tensor], r: float) -> list[float]:
    """Value, slope and curvature of a function at the distance r."""
    x = torch.tensor(r, dtype=torch.float64, requires_grad=True)
    value = function(x)
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
def test_two_free_beads_feel_the_tapered_lennard_jones_energy(r: float, expected: float) -> None:
    assert float(polymer_energy(row_of_beads(0.0, r), LARGE_BOX)) == pytest.approx(expected, abs=1e-14)


def test_two_free_beads_meet_through_the_boundary() -> None:
    positions = torch.tensor([[[0.2, 5.0, 5.0], [29.1, 5.0, 5.0]]], dtype=torch.float64)
    assert float(polymer_energy(positions, LARGE_BOX)) == pytest.approx(lennard_jones(1.1), abs=1e-12)


@pytest.mark.parametrize(("r", "repulsion"), [(0.97, lennard_jones(0.97) + 1), (1.0, 1.0), (1.2, 0.0), (1.45, 0.0)])
def test_a_bond_is_fene_and_repulsion(r: float, repulsion: float) -> None:
    value = polymer_energy(row_of_beads(0.0, r), LARGE_BOX, (1, 0))
    assert float(value) == pytest.approx(fene(r) + repulsion, rel=1e-14)


def test_a_chain_of_three_adds_its_bonds_and_the_pair_of_its_ends() -> None:
    expected = sum(fene(r) + lennard_jones(r) + 1 for r in (0.6, 0.7))
    z = (1.3 - 1.2) / 0.3
    expected += (1 - 10 * z**3 + 15 * z**4 - 6 * z**5) * lennard_jones(1.3)
    value = polymer_energy(row_of_beads(0.0, 0.6, 1.3), LARGE_BOX, (0, 1), (1, 2))
    assert float(value) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("r", [1.5, 1.7])
def test_a_broken_bond_has_infinite_energy(r: float) -> None:
    assert float(polymer_energy(row_of_beads(0.0, r), LARGE_BOX, (0, 1))) == math.inf


def test_parameters_scale_the_energy() -> None:
    """Twice the length scale at twice the energy scale: the same picture, everything doubled."""
    one = bead_spring(1.0, 1.0, 1.2, 1.5, 30.0, 1.5)
    two = bead_spring(2.0, 2.0, 2.4, 3.0, 15.0, 3.0)
    positions = row_of_beads(0.0, 0.9, 2.2)
    expected = 2.0 * energy(one, positions, LARGE_BOX)
    torch.testing.assert_close(energy(two, 2.0 * positions, 2.0 * LARGE_BOX), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("distance", [1.2, 1.5])
def test_the_pair_energy_is_twice_continuously_differentiable(distance: float) -> None:
    below = derivatives(pair_energy, distance - 1e-9)
    at = derivatives(pair_energy, distance)
    above = derivatives(pair_energy, distance + 1e-9)
    assert below == pytest.approx(at, abs=1e-5)
    assert above == pytest.approx(at, abs=1e-5)


def test_the_taper_leaves_lennard_jones_alone_up_to_the_inner_distance() -> None:
    r = 1.2
    slope, curvature = 4 * (-12 * r**-13 + 6 * r**-7), 4 * (156 * r**-14 - 42 * r**-8)
    assert derivatives(pair_energy, r) == pytest.approx([lennard_jones(r), slope, curvature], rel=1e-12)


def test_the_repulsion_of_a_bond_ends_with_value_and_slope_zero() -> None:
    minimum = 2 ** (1 / 6)
    below = derivatives(bond_energy, minimum - 1e-9)
    above = derivatives(bond_energy, minimum + 1e-9)
    assert below[:2] == pytest.approx(above[:2], abs=1e-6)


def test_nothing_is_nan_where_terms_are_switched_off() -> None:
    for r in (1.5, 1.5000001, 3.0):
        assert derivatives(pair_energy, r) == [0.0, 0.0, 0.0]
    assert all(math.isfinite(value) for value in derivatives(bond_energy, 1.4999))
    assert not any(math.isnan(value) for value in derivatives(bond_energy, 1.6))


def test_forces_are_minus_the_differences_of_the_energy(make_polymer: MakePolymer) -> None:
    cell = make_polymer(0)
    force_field, boxes = polymer_force_field(cell), cell.box.expand(20, 3, 3)
    generator = torch.Generator().manual_seed(0)
    step = 1e-6 * torch.randn(20, *cell.positions.shape[1:], generator=generator, dtype=torch.float64)
    difference = energy(force_field, cell.positions + step, boxes) - energy(force_field, cell.positions - step, boxes)
    expected = -2.0 * (forces_on(force_field, cell.positions, cell.box) * step).sum((1, 2))
    torch.testing.assert_close(difference, expected, rtol=1e-6, atol=1e-9)


def test_forces_sum_to_zero(make_polymer: MakePolymer) -> None:
    cell = make_polymer(1)
    total = forces_on(polymer_force_field(cell), cell.positions, cell.box).sum(1)
    assert total.abs().max() < 1e-11


def test_the_biot_stress_is_the_difference_of_the_energy(make_polymer: MakePolymer) -> None:
    cell = make_polymer(2)
    force_field, steps = polymer_force_field(cell), 1e-6 * torch.eye(6, dtype=torch.float64)
    many = (cell.positions.expand(6, -1, -1), cell.box.expand(6, 3, 3))
    up, down = (
        strained_energy(force_field, *deformed(force_field, STRAIN + sign * steps, *many)) for sign in (1.0, -1.0)
    )
    expected = (up - down) / 2e-6 / torch.linalg.det(cell.box)
    stress = stress_of(force_field, STRAIN, cell.positions, cell.box)[0]
    torch.testing.assert_close(stress, expected, rtol=1e-6, atol=1e-6)


def test_second_derivatives_are_differences_of_forces_and_stress(make_polymer: MakePolymer) -> None:
    cell = make_polymer(3)
    force_field, y, box = polymer_force_field(cell), cell.positions[0], cell.box[0]
    *_, types, neighbours = deformed(force_field, STRAIN, cell.positions, cell.box)
    affine, coupling, hessian = second_derivatives(force_field, STRAIN[0], y, box, types, neighbours)
    generator = torch.Generator().manual_seed(1)
    de, dy = torch.randn(6, generator=generator).double(), torch.randn(y.shape, generator=generator).double()

    def gradients(sign: float) -> tuple[Tensor, Tensor]:
        strain = (STRAIN + sign * 1e-6 * de).requires_grad_(True)
        moved = (cell.positions + sign * 1e-6 * dy).requires_grad_(True)
        total = strained_energy(force_field, strain, moved, cell.box, types, neighbours).sum()
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


def face_centred_cubic(cells: int) -> Samples:
    """Beads with twelve neighbours each at the minimum of the pair energy and no others in reach, 4 `cells`^3."""
    edge = 2 ** (1 / 6) * math.sqrt(2)
    corners = torch.cartesian_prod(*3 * [torch.arange(cells, dtype=torch.float64)]).reshape(-1, 3)
    basis = torch.tensor([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], dtype=torch.float64)
    positions = edge * (corners[:, None] + basis).reshape(1, -1, 3)
    return Samples(positions, cells * edge * torch.eye(3, dtype=torch.float64)[None])


@pytest.mark.parametrize("cells", [2, 1])
def test_a_face_centred_cubic_crystal_has_the_constants_of_its_nearest_neighbours(cells: int) -> None:
    """With stiffness k = 72 / r^2 at distance r = 2^(1/6): C11 = sqrt 2 k / r = 72, C12 = C44 = C11 / 2.

    A single unit cell is so narrow that beads meet through several images. Every bead is a centre of symmetry, so that
    strain moves all beads affinely.
    """
    crystal = face_centred_cubic(cells)
    force_field, positions, box = polymer_force_field(crystal), crystal.positions, crystal.box
    assert float(energy(force_field, positions, box)) == pytest.approx(-24.0 * cells**3, rel=1e-12)
    assert stress_of(force_field, ZERO, positions, box).abs().max() < 1e-11
    expected = torch.diag(torch.tensor([36.0, 36, 36, 72, 72, 72], dtype=torch.float64))
    expected[:3, :3] += 36.0
    neighbours = force_field.neighbours(positions, box)
    result, born = tangent(force_field, ZERO[0], positions[0], box[0], crystal.types, neighbours)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(born, expected, rtol=0, atol=1e-9)


def test_the_tangent_is_the_difference_of_the_stress_along_the_minimum(make_polymer: MakePolymer) -> None:
    cell = make_polymer(4)
    force_field = polymer_force_field(cell)
    field = compiled_field(force_field, cell.types)

    def relaxed(strain: Tensor, y: Tensor) -> Tensor:
        stretch = stretch_of(strain).numpy()
        x = padded(y.numpy() @ stretch.T)
        status, *_ = minimise_by_newton(x, stretch @ cell.box[0].numpy(), field, 1e-11, 20_000, 0.1)
        assert status == CONVERGED
        return torch.from_numpy(x[:, :3] @ np.linalg.inv(stretch).T)

    minimum = relaxed(STRAIN[0], cell.positions[0])
    *_, types, neighbours = deformed(force_field, STRAIN, minimum[None], cell.box)
    result, born = tangent(force_field, STRAIN[0], minimum, cell.box[0], types, neighbours)
    step = 1e-6
    for column in range(6):
        stress = []
        for sign in (1.0, -1.0):
            strain = STRAIN.clone()
            strain[0, column] += sign * step
            y = relaxed(strain[0], minimum)[None]
            stress.append(stress_of(force_field, strain, y, cell.box)[0])
        difference = (stress[0] - stress[1]) / (2 * step)
        assert (difference - result[:, column]).norm() < 1e-5 * result.norm()
    assert (result - result.T).abs().max() < 1e-8
    assert torch.linalg.eigvalsh(born - result).min() > 0, "whatever the beads do beyond the affine makes it softer"


def test_cells_of_a_batch_do_not_see_each_other(make_polymer: MakePolymer) -> None:
    cells = [make_polymer(seed) for seed in range(3)]
    force_field, many = polymer_force_field(cells[0]), Samples.cat(cells)
    together = energy(force_field, many.positions, many.box)
    alone = torch.cat([energy(force_field, cell.positions, cell.box) for cell in cells])
    torch.testing.assert_close(together, alone, rtol=1e-14, atol=0)


def test_rotation_turns_forces_and_stress_and_keeps_the_energy(make_polymer: MakePolymer) -> None:
    cell = make_polymer(5)
    force_field, rest = polymer_force_field(cell), (cell.positions, cell.box)
    rotation = rotation_from_vector(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
    turned = (cell.positions @ rotation.T, rotation @ cell.box)
    torch.testing.assert_close(energy(force_field, *turned), energy(force_field, *rest), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        forces_on(force_field, *turned), forces_on(force_field, *rest) @ rotation.T, rtol=1e-10, atol=1e-10
    )
    turn = mandel_rotation(rotation)
    torch.testing.assert_close(
        stress_of(force_field, STRAIN @ turn.T, *turned),
        stress_of(force_field, STRAIN, *rest) @ turn.T,
        rtol=1e-10,
        atol=1e-10,
    )


def test_translation_wrapping_of_chains_and_choice_of_box_vectors_change_nothing(make_polymer: MakePolymer) -> None:
    cell = make_polymer(6, density=0.4, shear=0.05)
    force_field = polymer_force_field(cell)
    expected = energy(force_field, cell.positions, cell.box)
    shift = torch.tensor([3.1, -20.0, 0.7], dtype=torch.float64)
    whole = torch.randint(-3, 4, (6, 3), generator=torch.Generator().manual_seed(0)).double()
    wrapped = cell.positions + (whole @ cell.box[0].T).repeat_interleave(10, 0)
    other_box = cell.box @ torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    for positions, box in [
        (cell.positions + shift, cell.box),
        (wrapped, cell.box),
        (cell.positions, other_box),
    ]:
        torch.testing.assert_close(energy(force_field, positions, box), expected, rtol=1e-11, atol=0)


def test_boxes_narrower_than_twice_the_cutoff_have_the_energy_of_all_images(make_polymer: MakePolymer) -> None:
    """Other vectors of the same lattice make a narrow box, beside one that is wide enough."""
    cell = make_polymer(0)
    narrow = cell.box.clone()
    narrow[0, :, 1] += 2.0 * narrow[0, :, 0]
    force_field = polymer_force_field(cell)
    assert face_widths(narrow).min() < 2.0 * force_field.cutoff < face_widths(cell.box).min()
    positions, box = cell.positions.expand(2, -1, -1), torch.cat([cell.box, narrow])
    wide, same = energy(force_field, positions, box)
    torch.testing.assert_close(same, wide, rtol=1e-12, atol=0)
    wide_forces, same_forces = forces_on(force_field, positions, box)
    torch.testing.assert_close(same_forces, wide_forces, rtol=1e-10, atol=1e-10)
