"""The compiled energy and its derivatives against torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.bonded_energy import HarmonicBonds, ScaledPairs
from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.energy import hessian_times as torch_hessian_times
from prnn_md.md.energy import virial as torch_virial
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import Field, compiled_field
from prnn_md.md.kernels.neighbours import Terms, find_terms
from prnn_md.md.kernels.potential import energy_and_forces, virial
from prnn_md.md.kernels.stiffness import fill_joined_stiffness, fill_pair_stiffness, hessian_times, stiffness
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ, to_mandel

MakePolymer = Callable[..., Samples]
SEEDS = pytest.mark.parametrize("seed", range(6))


def scattered(cell: Samples) -> Samples:
    """The cell with each chain of ten moved by whole box vectors, so that images differ from bead to bead."""
    whole = torch.randint(-2, 3, (len(cell.positions[0]) // 10, 3), generator=torch.Generator().manual_seed(3))
    return cell.moved(cell.positions + (whole.double() @ cell.box[0].T).repeat_interleave(10, 0), cell.box)


def as_arrays(cell: Samples) -> tuple[np.ndarray, np.ndarray, Field]:
    """Positions (N, 4), box and field of the one cell."""
    field = compiled_field(polymer_force_field(cell), cell.types)
    return padded(cell.positions[0].numpy()), cell.box[0].numpy(), field


@SEEDS
@pytest.mark.parametrize("reach", [1.5, 1.8])
def test_energy_and_forces_are_those_of_the_definition(make_polymer: MakePolymer, seed: int, reach: float) -> None:
    cell = scattered(make_polymer(seed))
    x, box, field = as_arrays(cell)
    result = np.empty_like(x)
    total = energy_and_forces(x, find_terms(x, box, field, reach), field, result)
    force_field = polymer_force_field(cell)
    place = (cell.positions, cell.box, cell.types, force_field.neighbours(cell.positions, cell.box))
    assert total == pytest.approx(float(force_field(*place)), rel=1e-12)
    expected = forces(force_field, *place)[0]
    torch.testing.assert_close(torch.from_numpy(result[:, :3]), expected, rtol=1e-10, atol=1e-10)
    assert not result[:, 3].any()


@SEEDS
def test_the_virial_is_the_derivative_of_the_energy_by_strain(make_polymer: MakePolymer, seed: int) -> None:
    cell = scattered(make_polymer(seed))
    x, box, field = as_arrays(cell)
    tensor = torch.from_numpy(virial(x, find_terms(x, box, field, field.cutoff), field))
    assert (tensor - tensor.T).abs().max() < 1e-10
    zero, force_field = torch.zeros(1, 6, dtype=torch.float64), polymer_force_field(cell)
    place = (cell.positions, cell.box, cell.types, force_field.neighbours(cell.positions, cell.box))
    expected = biot_stress(force_field, zero, *place)[0]
    torch.testing.assert_close(to_mandel(tensor) / torch.linalg.det(cell.box[0]), expected, rtol=1e-10, atol=1e-10)


def every_form(particles: int, bonds: int, types: int, cutoff: float) -> tuple[Samples, ForceField]:
    """Particles on a line, one behind the other, with harmonic bonds, scaled pairs and pairs within the cutoff."""
    rng = np.random.default_rng([particles, bonds, types])
    x = np.column_stack([np.arange(particles), *rng.uniform(-0.2, 0.2, (2, particles))])
    box = np.diag([particles + 2.0 * cutoff + 1.0, 6.0, 6.0])
    chain = torch.tensor([[i, i + 1] for i in range(bonds)]).reshape(bonds, 2)
    ends = torch.tensor([[i, i + 3] for i in range(bonds - 2)], dtype=torch.int64).reshape(max(0, bonds - 2), 2)
    table = torch.from_numpy(rng.uniform(0.8, 1.2, (types, types)))
    table = table + table.T
    terms: dict[str, torch.nn.Module] = {
        "pairs": LennardJones(table, 0.4 * table, torch.full_like(table, 0.7 * cutoff), torch.full_like(table, cutoff))
    }
    if bonds:
        terms["bonds"] = HarmonicBonds(chain, torch.tensor([30.0]), torch.tensor([0.9]))
    if len(ends):
        constants = torch.tensor([0.7]), torch.tensor([2.5]), torch.tensor([0.3])
        terms["scaled_pairs"] = ScaledPairs(ends, *constants)
    kinds = torch.from_numpy(rng.integers(types, size=particles))
    sample = Samples(torch.from_numpy(x)[None], torch.from_numpy(box)[None], types=kinds)
    return sample, ForceField(terms, torch.ones(particles), LJ, excluded=torch.cat([chain, ends]))


@pytest.mark.parametrize("types", [1, 2])
@pytest.mark.parametrize("particles", [1, 2, 7, 30, 31, 32])
@pytest.mark.parametrize(("bonded", "cutoff"), [(True, 2.5), (False, 2.5), (True, 0.5)])
def test_terms_of_every_form_are_those_of_the_definition(
    particles: int, types: int, bonded: bool, cutoff: float
) -> None:
    """With any number of pairs and joined pairs, none among them, the lists are filled up to multiples of four."""
    sample, force_field = every_form(particles, particles - 1 if bonded else 0, types, cutoff)
    box, field = sample.box[0].numpy(), compiled_field(force_field, sample.types)
    x, result = padded(sample.positions[0].numpy()), np.full((particles, 4), 7.0)
    found = find_terms(x, box, field, cutoff + 0.3)
    place = (sample.positions, sample.box, sample.types, force_field.neighbours(sample.positions, sample.box))
    assert energy_and_forces(x, found, field, result) == pytest.approx(float(force_field(*place)), rel=1e-12, abs=1e-12)
    expected = padded(forces(force_field, *place)[0].numpy())
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)
    tensor = torch_virial(force_field, *place)[0].numpy()
    np.testing.assert_allclose(virial(x, found, field), tensor, rtol=1e-10, atol=1e-10)
    v = np.random.default_rng(0).standard_normal((particles, 3))
    product = torch_hessian_times(force_field, torch.from_numpy(v)[None], *place)[0].numpy()
    hessian_times(padded(v), stiffness(x, found, field), field, result)
    np.testing.assert_allclose(result, padded(product), rtol=1e-9, atol=1e-9)


def side_by_side(arrays: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Copies of arrays of float64 that lie one right behind the other in memory, in a random order."""
    room, begin, copies = np.zeros(sum(array.size for array in arrays)), 0, list(arrays)
    for place in rng.permutation(len(arrays)):
        copies[place] = room[begin : begin + arrays[place].size].reshape(arrays[place].shape)
        copies[place][...] = arrays[place]
        begin += arrays[place].size
    return copies


def names_of_floats(part: Terms | Field) -> list[str]:
    fields = part._asdict().items()
    return [name for name, array in fields if isinstance(array, np.ndarray) and array.dtype == np.float64]


@pytest.mark.parametrize("bonds", ["FENE", "harmonic"])
def test_where_arrays_lie_in_memory_changes_nothing(make_polymer: MakePolymer, bonds: str) -> None:
    """Bit by bit: whether loops are vectorised, which rounds differently, must not hang on what lies beside what."""
    sample, force_field = every_form(60, 59, 2, 2.5)
    x, box = padded(sample.positions[0].numpy()), sample.box[0].numpy()
    field = compiled_field(force_field, sample.types)
    if bonds == "FENE":
        x, box, field = as_arrays(make_polymer(1))
    terms = find_terms(x, box, field, field.cutoff + 0.1)
    of_terms, of_field = names_of_floats(terms), names_of_floats(field)
    arrays = [getattr(terms, name) for name in of_terms] + [getattr(field, name) for name in of_field]
    rng, results = np.random.default_rng(0), set()
    for _ in range(300):
        along, *placed = side_by_side([np.zeros_like(terms.r2), *arrays], rng)
        there = terms._replace(**dict(zip(of_terms, placed[: len(of_terms)], strict=True)))
        field_there = field._replace(**dict(zip(of_field, placed[len(of_terms) :], strict=True)))
        found = np.empty_like(x)
        energy, tensor = energy_and_forces(x, there, field_there, found), virial(x, there, field_there)
        fill_pair_stiffness(there, field_there, along)
        fill_joined_stiffness(there, field_there, along)
        results.add((energy, *(array.tobytes() for array in (found, tensor, there.slope, along))))
    assert len(results) == 1


def test_a_broken_bond_gives_infinite_energy() -> None:
    positions = torch.tensor([[[0.0, 0, 0], [1.5001, 0, 0]]], dtype=torch.float64)
    pair = Samples(positions, 9.0 * torch.eye(3, dtype=torch.float64)[None], torch.tensor([[0, 1]]))
    x, box, field = as_arrays(pair)
    assert energy_and_forces(x, find_terms(x, box, field, 1.8), field, np.empty((2, 4))) == np.inf
