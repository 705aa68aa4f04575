"""The compiled energy and its derivatives against torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import Field, compiled_field
from prnn_md.md.kernels.neighbours import find_terms
from prnn_md.md.kernels.potential import energy_and_forces, virial
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import to_mandel

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


def test_a_broken_bond_gives_infinite_energy() -> None:
    positions = torch.tensor([[[0.0, 0, 0], [1.5001, 0, 0]]], dtype=torch.float64)
    pair = Samples(positions, 9.0 * torch.eye(3, dtype=torch.float64)[None], torch.tensor([[0, 1]]))
    x, box, field = as_arrays(pair)
    assert energy_and_forces(x, find_terms(x, box, field, 1.8), field, np.empty((2, 4))) == np.inf
