"""LAMMPS and this package agree about the polymer; samples are what they claim to be."""

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.md.energy import biot_stress, energy, forces
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.minimiser import CONVERGED, minimise
from prnn_md.md.neighbours import bonded_partners
from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import (
    biot_from_cauchy,
    from_mandel,
    rotation_from_vector,
    stretch_of,
    to_mandel,
    upper_triangular_box,
)
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.polymer import (
    build_sample,
    data_file,
    drive_sample,
    polymer_in_lammps,
    virial_stress,
)

FORCE_FIELD = BeadSpring.from_yaml()
SHORT = QuenchProtocol(melt_time=10.0, quench_time=20.0)
ZERO = torch.zeros(1, 6, dtype=torch.float64)


@pytest.fixture(scope="module")
def sample() -> Samples:
    return build_sample(80, 1, FORCE_FIELD, SHORT)


def strained_and_shaken(sample: Samples, seed: int) -> tuple[Samples, Tensor]:
    """The sample under a random strain, turned at random, every bead displaced, chains in several images."""
    generator = torch.Generator().manual_seed(seed)
    strain = 0.05 * torch.randn(6, generator=generator, dtype=torch.float64)
    rotation = rotation_from_vector(torch.randn(3, generator=generator, dtype=torch.float64))
    gradient = rotation @ stretch_of(strain)
    shaken = sample.positions[0] + 0.01 * torch.randn(80, 3, generator=generator, dtype=torch.float64)
    whole = torch.randint(-2, 3, (4, 3), generator=generator).double()
    shaken += (whole @ sample.box[0].T).repeat_interleave(20, 0)
    return Samples((shaken @ gradient.T)[None], (gradient @ sample.box[0])[None], sample.bonds), strain


@pytest.mark.parametrize("seed", range(6))
def test_energy_forces_and_stress_are_those_of_lammps(sample: Samples, seed: int) -> None:
    cell, _ = strained_and_shaken(sample, seed)
    frame, _ = upper_triangular_box(cell.box[0])
    with polymer_in_lammps(cell, FORCE_FIELD) as lammps:
        lammps.command("compute virial all pressure NULL virial")
        lammps.command("thermo_style custom step pe c_virial[1]")
        lammps.command("run 0")
        total = lammps.extract_compute("thermo_pe", 0, 0)
        force = torch.from_numpy(np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)) @ frame.T
        cauchy = frame @ from_mandel(virial_stress(lammps)) @ frame.T
    assert total == pytest.approx(float(energy(cell.positions, cell.box, cell.bonds, FORCE_FIELD)), rel=1e-8)
    expected = forces(cell.positions, cell.box, cell.bonds, FORCE_FIELD)[0]
    assert (force - expected).norm() < 1e-8 * expected.norm()
    stress = biot_stress(ZERO, cell.positions, cell.box, cell.bonds, FORCE_FIELD)[0]
    assert (to_mandel(cauchy) - stress).norm() < 1e-8 * stress.norm()


def test_a_short_quench_is_pressure_free_at_rest_and_reproducible_for_its_seed() -> None:
    tiny, again, other = (build_sample(40, seed, FORCE_FIELD, SHORT) for seed in (2, 2, 3))
    assert biot_stress(ZERO, tiny.positions, tiny.box, tiny.bonds, FORCE_FIELD).abs().max() < 1e-6
    assert forces(tiny.positions, tiny.box, tiny.bonds, FORCE_FIELD).abs().max() < 1e-6
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
    partners = bonded_partners(sample.bonds.numpy(), 80)
    y, stresses = sample.positions[0].numpy(), []
    for strain in strains:
        stretch = stretch_of(strain).numpy()
        x = np.ascontiguousarray(y @ stretch.T)
        status, *_ = minimise(x, stretch @ sample.box[0].numpy(), partners, FORCE_FIELD, tolerance, 20_000)
        assert status == CONVERGED
        y = x @ np.linalg.inv(stretch).T
        arguments = (torch.from_numpy(y)[None], sample.box, sample.bonds, FORCE_FIELD)
        stresses.append(biot_stress(strain[None], *arguments)[0])
    return torch.stack(stresses) - stresses[0]


def test_driving_a_sample_gives_the_stresses_of_our_own_minimiser(sample: Samples) -> None:
    direction = torch.tensor([1.0, -0.5, 0.2, 0.8, -0.6, 1.0], dtype=torch.float64)
    strains = 2e-3 * torch.arange(5.0, dtype=torch.float64)[:, None] * direction / direction.norm()
    stresses = drive_sample(sample, strains, FORCE_FIELD, force_tolerance=1e-7)
    assert stresses[0].abs().max() == 0.0
    assert stresses[-1].norm() > 0.05
    torch.testing.assert_close(stresses, follow(sample, strains, 1e-8), rtol=0, atol=1e-4)


def test_the_virial_is_turned_back_from_the_box_of_lammps(sample: Samples) -> None:
    """A path that jumps at once to its last strain: Cauchy from LAMMPS, Biot from the energy."""
    cell, strain = strained_and_shaken(sample, 9)
    gradient = cell.box[0] @ torch.linalg.inv(sample.box[0])
    rotation = gradient @ torch.linalg.inv(stretch_of(strain))
    frame, _ = upper_triangular_box(cell.box[0])
    with polymer_in_lammps(cell, FORCE_FIELD) as lammps:
        lammps.command("compute virial all pressure NULL virial")
        lammps.command("thermo_style custom step c_virial[1]")
        lammps.command("run 0")
        back = rotation.T @ frame
        cauchy = to_mandel(back @ from_mandel(virial_stress(lammps)) @ back.T)
    y = cell.positions @ torch.linalg.inv(gradient).T
    expected = biot_stress(strain[None], y, sample.box, sample.bonds, FORCE_FIELD)[0]
    torch.testing.assert_close(biot_from_cauchy(cauchy, strain), expected, rtol=1e-8, atol=1e-8)


def test_a_data_file_holds_upper_triangular_box_wrapped_beads_and_bonds(sample: Samples) -> None:
    cell, _ = strained_and_shaken(sample, 3)
    lines = data_file(cell, FORCE_FIELD).splitlines()
    assert "80 atoms" in lines
    assert "76 bonds" in lines
    beads = np.array([line.split() for line in lines[lines.index("Atoms # bond") + 2 :][:80]], dtype=float)
    frame, box = upper_triangular_box(cell.box[0])
    fractions = np.linalg.solve(box.numpy(), beads[:, 3:6].T)
    assert fractions.min() >= -1e-12
    assert fractions.max() < 1 + 1e-12
    unwrapped = torch.from_numpy(beads[:, 3:6] + beads[:, 6:9] @ box.numpy().T)
    torch.testing.assert_close(unwrapped @ frame.T, cell.positions[0], rtol=1e-12, atol=1e-12)


def test_beads_that_make_no_whole_chains_are_refused() -> None:
    with pytest.raises(LammpsError, match="50 beads do not make chains of 20: choose a multiple"):
        build_sample(50, 0, FORCE_FIELD, SHORT)
