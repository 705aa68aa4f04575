"""Samples that LAMMPS makes are what they claim to be, and answer as ours do."""

import pytest
import torch
from torch import Tensor

from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.failure import CONVERGED
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.minimiser import minimise_by_newton
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import stretch_of
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.polymer import build_sample, drive_sample

ZERO = torch.zeros(1, 6, dtype=torch.float64)


def test_a_short_quench_is_pressure_free_at_rest_and_reproducible_for_its_seed(short: QuenchProtocol) -> None:
    tiny, again, other = (build_sample(40, seed, short) for seed in (2, 2, 3))
    force_field = polymer_force_field(tiny)
    at_rest = (tiny.positions, tiny.box, tiny.types, force_field.neighbours(tiny.positions, tiny.box))
    assert biot_stress(force_field, ZERO, *at_rest).abs().max() < 1e-6
    assert forces(force_field, *at_rest).abs().max() < 1e-6
    assert torch.equal(again.positions, tiny.positions)
    assert torch.equal(again.box, tiny.box)
    assert (other.box - tiny.box).abs().max() > 1e-3


def test_a_sample_is_made_of_whole_chains_near_their_rest_length(sample: Samples) -> None:
    assert sample.positions.shape == (1, 80, 3)
    assert len(sample.bonds) == 4 * 19
    ends = sample.positions[0][sample.bonds]
    lengths = (ends[:, 1] - ends[:, 0]).norm(dim=-1)
    assert float(lengths.min()) > 0.9
    assert float(lengths.max()) < 1.05
    assert 0.9 < 80 / float(torch.linalg.det(sample.box[0])) < 1.15


def follow(sample: Samples, strains: Tensor, tolerance: float) -> Tensor:
    """Biot stresses along the strains by our own minimiser, less the first."""
    force_field = polymer_force_field(sample)
    field = compiled_field(force_field, sample.types)
    y, stresses = sample.positions[0], []
    for strain in strains:
        stretch = stretch_of(strain)
        x, box = padded((y @ stretch.T).numpy()), stretch @ sample.box
        status, *_ = minimise_by_newton(x, box[0].numpy(), field, tolerance, 20_000, 0.1)
        assert status == CONVERGED
        places = torch.from_numpy(x[:, :3].copy())
        y = places @ torch.linalg.inv(stretch).T
        neighbours = force_field.neighbours(places[None], box)
        stresses.append(biot_stress(force_field, strain[None], y[None], sample.box, sample.types, neighbours)[0])
    return torch.stack(stresses) - stresses[0]


def test_driving_a_sample_gives_the_stresses_of_our_own_minimiser(sample: Samples) -> None:
    direction = torch.tensor([1.0, -0.5, 0.2, 0.8, -0.6, 1.0], dtype=torch.float64)
    strains = 2e-3 * torch.arange(5.0, dtype=torch.float64)[:, None] * direction / direction.norm()
    stresses = drive_sample(sample, strains, polymer_force_field(sample), force_tolerance=1e-7)
    assert stresses[0].abs().max() == 0.0
    assert stresses[-1].norm() > 0.05
    torch.testing.assert_close(stresses, follow(sample, strains, 1e-8), rtol=0, atol=1e-4)


def test_beads_that_make_no_whole_chains_are_refused(short: QuenchProtocol) -> None:
    with pytest.raises(LammpsError, match="50 beads do not make chains of 20: choose a multiple"):
        build_sample(50, 0, short)
