"""Our energies and forces against TorchMD's, and our own results where TorchMD's are wrong."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmd.forcefields.forcefield import ForceField as TorchMDForceField
from torchmd.forces import (
    Forces,
    calculate_distances,
    evaluate_angles,
    evaluate_bonds,
    evaluate_electrostatics,
    evaluate_LJ,
    evaluate_repulsion,
    evaluate_repulsion_CG,
    evaluate_torsion,
)
from torchmd.parameters import Parameters

from prnn_md.md.bonded_energy import FENEBonds, HarmonicAngles, HarmonicBonds, Torsions
from prnn_md.md.energy import energy_and_forces, hessian_times
from prnn_md.md.force_field import ForceField
from prnn_md.md.force_field_file import COULOMB, read_force_field
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.neighbours import find_terms
from prnn_md.md.kernels.potential import energy_and_forces as kernel_energy_and_forces
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.md_cell import Backend
from prnn_md.md.overdamped import OverdampedCell
from prnn_md.md.pair_energy import LennardJones, ReactionField
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import KCAL_ANGSTROM, LJ

MakePolymer = Callable[..., Samples]
OPEN = 100.0 * torch.eye(3, dtype=torch.float64)[None]
SEEDS = pytest.mark.parametrize("seed", range(3))

EPSILON = torch.tensor([[1.0, 1.5], [1.5, 0.5]], dtype=torch.float64)
SIGMA = torch.tensor([[1.0, 0.8], [0.8, 0.88]], dtype=torch.float64)
"""Of the glass of Kob and Andersen, whose unlike pairs follow no rule of combination."""

OLIGOMER = """
exclusions: [bonds, angles, 1-4]
atomtypes: [C, N]
masses: {C: 12.0, N: 14.0}
electrostatics:
  C: {charge: 0.25}
  N: {charge: -0.5}
lj:
  C: {sigma: 3.0, epsilon: 0.1, sigma14: 2.7, epsilon14: 0.06}
  N: {sigma: 2.6, epsilon: 0.2, sigma14: 2.4, epsilon14: 0.15}
cutoff: {inner: 6.0, outer: 6.0}
reaction_field: {cutoff: 6.0, dielectric: 78.5}
bonds:
  (C, C): {k0: 310.0, req: 1.52}
  (C, N): {k0: 337.0, req: 1.45}
angles:
  (X, X, X): {k0: 63.0, theta0: 110.7}
  (C, N, C): {k0: 50.0, theta0: 118.0}
dihedrals:
  (X, X, X, X):
    scnb: 2.0
    scee: 1.2
    terms:
      - {phi_k: 0.7, phase: 0.0, per: 1}
      - {phi_k: 0.3, phase: 40.0, per: 2}
      - {phi_k: 1.6, phase: 180.0, per: 3}
  (C, C, C, N):
    scnb: 1.5
    scee: 1.1
    terms:
      - {phi_k: 0.4, phase: 25.0, per: 2}
"""


def random_numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cluster(seed: int) -> Tensor:
    """One cell of 27 particles about a cubic lattice, (1, 27, 3)."""
    lattice = torch.cartesian_prod(*3 * [torch.arange(3, dtype=torch.float64)])
    return (1.1 * lattice + 0.12 * random_numbers(seed, 27, 3))[None]


def chain(seed: int) -> Tensor:
    """One cell of eight particles along a random walk, (1, 8, 3)."""
    return random_numbers(seed, 8, 3).cumsum(0)[None]


def successive(count: int, members: int) -> Tensor:
    """The members of all terms between successive ones of `count` particles."""
    return torch.arange(count).unfold(0, members, 1).clone()


def of_term(term: nn.Module, positions: Tensor, types: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Energy and forces (N, 3) of one cell in a box so large that it is open."""
    particles = positions.shape[1]
    force_field = ForceField({"pairs": term}, torch.ones(particles), LJ)
    types = torch.zeros(particles, dtype=torch.int64) if types is None else types
    energies, found = energy_and_forces(force_field, positions, OPEN, types, force_field.neighbours(positions, OPEN))
    return energies[0], found[0]


def of_torchmd(particles: int, members: Tensor, energies: Tensor, on_members: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The sum of TorchMD's energies, and its forces on the members of each term added up."""
    total = torch.zeros(particles, 3, dtype=torch.float64)
    for column, force in zip(members.T, on_members, strict=True):
        total.index_add_(0, column, force)
    return energies.sum(), total


def of_distances(
    positions: Tensor, members: Tensor, evaluate: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """TorchMD's energy and forces of pairs, from a function of their distance that gives energies and slopes."""
    distance, direction, _ = calculate_distances(positions[0], members, None)
    energies, slope = evaluate(distance)
    pull = direction * slope[:, None]
    return of_torchmd(positions.shape[1], members, energies, [-pull, pull])


def assert_same(result: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], rtol: float = 1e-10) -> None:
    for ours, theirs in zip(result, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol * float(theirs.abs().max()))


@SEEDS
def test_lennard_jones_pairs_of_two_types_are_those_of_torchmd(seed: int) -> None:
    positions, types = cluster(seed), torch.arange(27) % 2
    ten = torch.full((2, 2), 10.0, dtype=torch.float64)
    a, b = 4.0 * EPSILON * SIGMA**12, 4.0 * EPSILON * SIGMA**6
    members = torch.triu_indices(27, 27, 1).T
    expected = of_distances(positions, members, lambda r: evaluate_LJ(r, members, types, a, b, None, None))
    assert_same(of_term(LennardJones(EPSILON, SIGMA, ten, ten), positions, types), expected)


@SEEDS
def test_bonds_are_those_of_torchmd(seed: int) -> None:
    positions, members, kind = chain(seed), successive(8, 2), torch.arange(7) % 2
    stiffness, length = torch.tensor([300.0, 120.0]).double(), torch.tensor([1.5, 1.1]).double()
    table = torch.stack([stiffness, length], -1)[kind]
    expected = of_distances(positions, members, lambda r: evaluate_bonds(r, table))
    assert_same(of_term(HarmonicBonds(members, stiffness, length, kind=kind), positions), expected)


@SEEDS
def test_angles_are_those_of_torchmd(seed: int) -> None:
    positions, members, kind = chain(seed), successive(8, 3), torch.arange(6) % 2
    stiffness, rest = torch.tensor([60.0, 35.0]).double(), torch.tensor([1.9, 2.3]).double()
    first, middle, last = (positions[0, column] for column in members.T)
    table = torch.stack([stiffness, rest], -1)[kind]
    energies, on_members = evaluate_angles(first - middle, last - middle, table)
    expected = of_torchmd(8, members, energies, list(on_members))
    assert_same(of_term(HarmonicAngles(members, stiffness, rest, kind=kind), positions), expected)


@SEEDS
def test_torsions_are_those_of_torchmd(seed: int) -> None:
    """With phases at which it matters in which direction an angle is counted."""
    positions, members, kind = chain(seed), successive(8, 4), torch.arange(5) % 2
    stiffness = torch.tensor([[1.2, -0.4, 0.9], [0.5, 2.0, 0.3]], dtype=torch.float64)
    phase = torch.tensor([[0.3, 1.1, -0.8], [2.0, 0.0, 3.1]], dtype=torch.float64)
    period = torch.tensor([[1.0, 2.0, 3.0], [2.0, 3.0, 6.0]], dtype=torch.float64)
    table = torch.stack([stiffness, phase, period], -1)[kind].reshape(-1, 3)
    places = [positions[0, column] for column in members.T]
    links = [one - other for one, other in pairwise(places)]
    energies, on_members = evaluate_torsion(*links, torch.arange(5).repeat_interleave(3), table)
    expected = of_torchmd(8, members, energies, list(on_members))
    assert_same(of_term(Torsions(members, stiffness, phase, period, kind=kind), positions), expected)


@SEEDS
@pytest.mark.parametrize("dielectric", [1.0, 78.5])
def test_charges_in_a_reaction_field_are_those_of_torchmd(seed: int, dielectric: float) -> None:
    """TorchMD leaves out pairs beyond the cutoff before it works out their energies."""
    positions, charges, cutoff = 3.0 * cluster(seed), random_numbers(seed + 9, 27), 5.0
    members = torch.triu_indices(27, 27, 1).T
    distance, _, _ = calculate_distances(positions[0], members, None)
    members = members[distance <= cutoff]
    assert 50 < len(members) < 300, "some pairs are within the cutoff and some are not"
    expected = of_distances(
        positions, members, lambda r: evaluate_electrostatics(r, members, charges, 1, cutoff, True, dielectric)
    )
    assert_same(
        of_term(ReactionField(charges, COULOMB[KCAL_ANGSTROM.stress], cutoff, dielectric), positions), expected, 1e-9
    )


@pytest.fixture
def double_tables() -> Iterator[None]:
    """TorchMD's tables of parameters in double precision, which it makes in the default one."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def oligomers(seed: int) -> tuple[Tensor, list[str]]:
    """Four zigzag chains of six in a box of 14 by 14 by 15, each across its boundary; their types."""
    row = torch.arange(6, dtype=torch.float64)
    zigzag = torch.stack([1.25 * row + 9.0, 0.8 * (row % 2), torch.zeros(6)], -1)
    starts = torch.tensor([[0, 0, 0], [2, 7, 0], [4, 0, 7], [1, 7, 7]], dtype=torch.float64)
    positions = (starts[:, None] + zigzag).reshape(24, 3)
    return (positions + 0.15 * random_numbers(seed, 24, 3))[None], 4 * ["C", "C", "C", "N", "C", "N"]


@SEEDS
@pytest.mark.usefixtures("double_tables")
def test_charged_molecules_in_a_periodic_box_are_those_of_torchmd(tmp_path: Path, seed: int) -> None:
    """One file for both, with exclusions, scaled third neighbours and chains that reach across the boundary."""
    path = tmp_path / "oligomer.yaml"
    path.write_text(OLIGOMER)
    positions, names = oligomers(seed)
    box = torch.diag(torch.tensor([14.0, 14.0, 15.0], dtype=torch.float64))[None]
    bonds, angles, torsions = (
        np.concatenate([successive(6, members).numpy() + 6 * number for number in range(4)]) for members in (2, 3, 4)
    )
    charges = np.array([{"C": 0.25, "N": -0.5}[name] for name in names])
    molecule = SimpleNamespace(
        numAtoms=24, atomtype=np.array(names, dtype=object), charge=charges, masses=None,
        bonds=bonds, angles=angles, dihedrals=torsions, impropers=np.zeros((0, 4), dtype=int),
    )  # fmt: skip
    terms = ["bonds", "angles", "dihedrals", "1-4", "lj", "electrostatics"]
    parameters = Parameters(TorchMDForceField.create(molecule, str(path)), molecule, terms, torch.float64)
    theirs = torch.zeros(1, 24, 3, dtype=torch.float64)
    engine = Forces(parameters, terms, cutoff=6.0, rfa=True, solventDielectric=78.5)
    (expected,) = engine.compute(positions, box, theirs, returnDetails=True)

    force_field = read_force_field(path, names, torch.from_numpy(bonds))
    types = torch.tensor([["C", "N"].index(name) for name in names])
    place = (positions, box, types, force_field.neighbours(positions, box))
    ours = {name: float(term(*place)) for name, term in force_field.terms.items()}
    assert ours["bonds"] == pytest.approx(expected["bonds"], rel=1e-10)
    assert ours["angles"] == pytest.approx(expected["angles"], rel=1e-10)
    assert ours["torsions"] == pytest.approx(expected["dihedrals"], rel=1e-10)
    nonbonded = ours["pairs"] + ours["charges"] + ours["scaled_pairs"]
    assert nonbonded == pytest.approx(expected["lj"] + expected["electrostatics"], rel=1e-9)
    total, found = energy_and_forces(force_field, *place)
    assert force_field.units is KCAL_ANGSTROM
    assert_same((total[0], found), (torch.tensor(sum(expected.values())), theirs), 1e-9)


def tapered(inner: float, outer: float) -> LennardJones:
    one = torch.ones(1, 1, dtype=torch.float64)
    return LennardJones(one, one, inner * one, outer * one)


def pulls(r: float) -> list[float]:
    """Slopes of the energy of two particles at the distance r, tapered from 1.8 to 2.5, by torch and by a kernel."""
    positions = torch.tensor([[[0.0, 0.0, 0.0], [r, 0.0, 0.0]]], dtype=torch.float64)
    term = tapered(1.8, 2.5)
    field = compiled_field(ForceField({"pairs": term}, torch.ones(2), LJ), torch.zeros(2, dtype=torch.int64))
    x, of_kernel = padded(positions[0].numpy()), np.zeros((2, 4))
    kernel_energy_and_forces(x, find_terms(x, OPEN[0].numpy(), field, 2.5), field, of_kernel)
    return [-float(of_term(term, positions)[1][1, 0]), -float(of_kernel[1, 0])]


def test_the_force_in_the_taper_has_the_whole_slope_of_the_taper() -> None:
    """TorchMD divides that slope by the distance once too often and gets 0.2103."""
    r, z, width = 2.0, 2.0 / 7.0, 0.7
    energy, slope = 4.0 * (r**-12 - r**-6), 24.0 * (r**-7 - 2.0 * r**-13)
    taper, fall = 1.0 - 10.0 * z**3 + 15.0 * z**4 - 6.0 * z**5, -30.0 * z**2 * (1.0 - z) ** 2 / width
    expected = taper * slope + fall * energy
    assert expected == pytest.approx(0.2652, abs=5e-5)
    assert pulls(r) == pytest.approx([expected, expected], rel=1e-12)


@pytest.mark.parametrize("r", [1.7, 1.85, 2.0, 2.2, 2.49])
def test_the_force_in_the_taper_is_the_difference_of_torchmd_s_energy(r: float) -> None:
    """TorchMD's energy has the same taper, and is right."""
    distances = torch.tensor([r - 1e-5, r + 1e-5], dtype=torch.float64)
    members, four = torch.tensor([[0, 1]]).expand(2, 2), torch.full((1, 1), 4.0, dtype=torch.float64)
    types = torch.zeros(2, dtype=torch.int64)
    energies, _ = evaluate_LJ(distances, members, types, four, four, 1.8, 2.5, explicit_forces=False)
    difference = float(energies[1] - energies[0]) / 2e-5
    assert pulls(r) == pytest.approx(2 * [difference], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("r", [0.7, 0.97, 1.1])
def test_the_repulsion_of_a_bond_is_finite_where_no_forces_are_asked_for(r: float) -> None:
    """TorchMD then divides by zero. The parts of its repulsions, named one by one, make up that of our bonds."""
    stiffness, extent = torch.tensor([30.0]), torch.tensor([1.5])
    bond = FENEBonds(successive(2, 2), stiffness, extent, tapered(1.2, 1.5))
    positions = torch.tensor([[[0.0, 0.0, 0.0], [0.0, r, 0.0]]], dtype=torch.float64)
    arguments = (torch.tensor([r], dtype=torch.float64), torch.tensor([[0, 1]]), torch.zeros(2, dtype=torch.int64))
    four = torch.full((1, 1), 4.0, dtype=torch.float64)
    high, high_slope = evaluate_repulsion(*arguments, four, scale=1, explicit_forces=True)
    low, low_slope = evaluate_repulsion_CG(*arguments, four, scale=1, explicit_forces=True)
    spring = -0.5 * 30.0 * 1.5**2 * math.log(1.0 - (r / 1.5) ** 2)
    types = torch.zeros(2, dtype=torch.int64)
    neighbours = ForceField({"bonds": bond}, torch.ones(2), LJ).neighbours(positions, OPEN)
    with torch.no_grad():
        energy = float(bond(positions, OPEN, types, neighbours))
    assert energy == pytest.approx(float(high - low) + 1.0 + spring, rel=1e-12)
    slope = float(high_slope - low_slope) + 30.0 * r / (1.0 - (r / 1.5) ** 2)
    assert -float(of_term(bond, positions)[1][1, 1]) == pytest.approx(slope, rel=1e-12)


def test_forces_have_gradients_by_positions_and_parameters() -> None:
    """Those of TorchMD have none. Lennard-Jones forces are proportional to epsilon, and of degree -1 in all lengths.

    So epsilon dF/depsilon = F, and with Euler's theorem sigma dF/dsigma = -F - r dF/dr.
    """
    positions, types = cluster(5).requires_grad_(True), torch.zeros(27, dtype=torch.int64)
    far = torch.full((1, 1), 20.0, dtype=torch.float64)
    number = torch.tensor([[1.3]], dtype=torch.float64)
    force_field = ForceField({"pairs": LennardJones(number, 0.9 * number / 1.3, far, far)}, torch.ones(27), LJ)
    force_field.make_trainable(["epsilon", "sigma"])
    epsilon, sigma = force_field.value("epsilon"), force_field.value("sigma")
    neighbours = force_field.neighbours(positions.detach(), OPEN)
    total = force_field(positions, OPEN, types, neighbours).sum()
    force = -torch.autograd.grad(total, positions, create_graph=True)[0]
    weights = random_numbers(6, 1, 27, 3)
    by_epsilon, by_sigma, by_place = torch.autograd.grad((force * weights).sum(), (epsilon, sigma, positions))
    work = float((force * weights).sum().detach())
    assert 1.3 * float(by_epsilon) == pytest.approx(work, rel=1e-10)
    assert 0.9 * float(by_sigma) == pytest.approx(-work - float((by_place * positions.detach()).sum()), rel=1e-10)
    product = hessian_times(force_field, weights, positions, OPEN, types, neighbours)
    torch.testing.assert_close(product, -by_place, rtol=1e-10, atol=1e-10)


def overdamped(sample: Samples, backend: Backend, trainable: list[str], **parameters: float) -> OverdampedCell:
    return OverdampedCell(
        sample, polymer_force_field(sample), steps=3, backend=backend, trainable=trainable, parameters=parameters
    )


def langevin(sample: Samples, backend: Backend, trainable: list[str], **parameters: float) -> LangevinCell:
    return LangevinCell(
        sample, polymer_force_field(sample), temperature=0.3, timestep=0.002, equilibration=0.0, clip=1e9,
        backend=backend, trainable=trainable, parameters=parameters,
    )  # fmt: skip


PARAMETERS = {"epsilon": 1.0, "sigma": 1.0, "bond_stiffness": 30.0, "bond_extent": 1.5}
STRAINS = torch.tensor([[0.0, 0, 0, 0, 0, 0], [0.01, -0.005, 0, 0, 0, 0.02], [0.02, -0.01, 0.01, 0, 0, 0.03]])


def stress_sum(cell: OverdampedCell | LangevinCell, length: float) -> Tensor:
    """One number of the stresses along a path of two increments."""
    stresses, _ = cell.rollout(STRAINS.double()[None], length * torch.arange(3, dtype=torch.float64))
    return (stresses * random_numbers(8, *stresses.shape)).sum()


@pytest.mark.parametrize(
    ("make", "backend", "length"),
    [(overdamped, "torch", 1e-4), (overdamped, "kernel", 1e-4), (langevin, "torch", 0.008)],
    ids=["overdamped, torch", "overdamped, kernel", "langevin, torch"],
)
def test_steps_go_through_cells_whose_parameters_are_trained(
    make_polymer: MakePolymer, make: Callable[..., OverdampedCell | LangevinCell], backend: Backend, length: float
) -> None:
    """TorchMD's integrator raises. The gradient is the difference of cells that get other parameters later."""
    sample = make_polymer(0, chains=4, density=0.5)
    cell = make(sample, backend, [*PARAMETERS])
    stress_sum(cell, length).backward()

    def changed(name: str, value: float) -> float:
        other = make(sample, backend, [name])
        other.force_field.set_value(name, value)
        with torch.no_grad():
            return float(stress_sum(other, length))

    for name, value in PARAMETERS.items():
        step = 1e-6 * value
        up, down = (changed(name, value + s) for s in (step, -step))
        gradient = cell.force_field.value(name).grad
        assert gradient is not None
        assert float(gradient) == pytest.approx((up - down) / (2.0 * step), rel=1e-5), name


def test_an_optimiser_changes_what_a_cell_answers(make_polymer: MakePolymer) -> None:
    """Two steps of gradient descent on the stress, after which it is less."""
    cell = overdamped(make_polymer(0, chains=4, density=0.5), "auto", ["epsilon"])
    optimiser = torch.optim.SGD(cell.parameters(), lr=1e-4)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = stress_sum(cell, 1e-4)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]
    assert cell.force_field.numbers()["epsilon"] != [1.0]
