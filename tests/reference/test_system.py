"""LAMMPS and this package agree about a sample and its force field."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import biot_from_cauchy, from_mandel, stretch_of, to_mandel, upper_triangular_box
from prnn_md.reference.system import cauchy_stress, data_file, deform, in_lammps, lammps_box, read_sample

ZERO = torch.zeros(1, 6, dtype=torch.float64)
Strained = Callable[[Samples, int], tuple[Samples, Tensor]]


@pytest.mark.parametrize("seed", range(6))
def test_energy_forces_and_stress_are_those_of_lammps(
    sample: Samples, strained_and_shaken: Strained, seed: int
) -> None:
    cell, _ = strained_and_shaken(sample, seed)
    frame, _ = upper_triangular_box(cell.box[0])
    force_field = polymer_force_field(cell)
    with in_lammps(cell, force_field) as lammps:
        lammps.command("compute virial all pressure NULL virial")
        lammps.command("thermo_style custom step pe c_virial[1]")
        lammps.command("run 0")
        total = lammps.extract_compute("thermo_pe", 0, 0)
        force = torch.from_numpy(np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)) @ frame.T
        cauchy = frame @ from_mandel(cauchy_stress(lammps, "virial")) @ frame.T
    place = (cell.positions, cell.box, cell.types, force_field.neighbours(cell.positions, cell.box))
    assert total == pytest.approx(float(force_field(*place)), rel=1e-8)
    expected = forces(force_field, *place)[0]
    assert (force - expected).norm() < 1e-8 * expected.norm()
    stress = biot_stress(force_field, ZERO, *place)[0]
    assert (to_mandel(cauchy) - stress).norm() < 1e-8 * stress.norm()


def test_the_virial_is_turned_back_from_the_box_of_lammps(sample: Samples, strained_and_shaken: Strained) -> None:
    """A path that jumps at once to its last strain: Cauchy from LAMMPS, Biot from the energy."""
    cell, strain = strained_and_shaken(sample, 9)
    gradient = cell.box[0] @ torch.linalg.inv(sample.box[0])
    rotation = gradient @ torch.linalg.inv(stretch_of(strain))
    frame, _ = upper_triangular_box(cell.box[0])
    force_field = polymer_force_field(cell)
    with in_lammps(cell, force_field) as lammps:
        lammps.command("compute virial all pressure NULL virial")
        lammps.command("thermo_style custom step c_virial[1]")
        lammps.command("run 0")
        back = rotation.T @ frame
        cauchy = to_mandel(back @ from_mandel(cauchy_stress(lammps, "virial")) @ back.T)
    y = cell.positions @ torch.linalg.inv(gradient).T
    stretch = stretch_of(strain)
    neighbours = force_field.neighbours(y @ stretch.T, stretch @ sample.box)
    expected = biot_stress(force_field, strain[None], y, sample.box, sample.types, neighbours)[0]
    torch.testing.assert_close(biot_from_cauchy(cauchy, strain), expected, rtol=1e-8, atol=1e-8)


def test_a_deformed_sample_comes_back_in_the_frame_of_lammps(sample: Samples, strained_and_shaken: Strained) -> None:
    cell, _ = strained_and_shaken(sample, 4)
    strain = torch.tensor([0.02, -0.01, 0.01, 0.015, -0.02, 0.01], dtype=torch.float64)
    with in_lammps(cell, polymer_force_field(cell)) as lammps:
        frame = deform(lammps, cell.box[0], strain)
        lammps.command("run 0")
        box, result = lammps_box(lammps), read_sample(lammps, cell)
    gradient = stretch_of(strain)
    torch.testing.assert_close(frame @ box, gradient @ cell.box[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(result.box[0], box, rtol=0, atol=0)
    back = torch.linalg.inv(cell.box[0]) @ torch.linalg.inv(gradient) @ frame
    fractions = result.positions[0] @ back.T
    expected = torch.linalg.solve(cell.box[0], cell.positions[0].T).T
    torch.testing.assert_close(fractions, expected, rtol=0, atol=1e-12)
    assert torch.equal(result.bonds, cell.bonds)


def test_a_data_file_holds_upper_triangular_box_wrapped_beads_and_bonds(
    sample: Samples, strained_and_shaken: Strained
) -> None:
    cell, _ = strained_and_shaken(sample, 3)
    lines = data_file(cell, polymer_force_field(cell)).splitlines()
    assert "80 atoms" in lines
    assert "76 bonds" in lines
    beads = np.array([line.split() for line in lines[lines.index("Atoms # molecular") + 2 :][:80]], dtype=float)
    frame, box = upper_triangular_box(cell.box[0])
    fractions = np.linalg.solve(box.numpy(), beads[:, 3:6].T)
    assert fractions.min() >= -1e-12
    assert fractions.max() < 1 + 1e-12
    unwrapped = torch.from_numpy(beads[:, 3:6] + beads[:, 6:9] @ box.numpy().T)
    torch.testing.assert_close(unwrapped @ frame.T, cell.positions[0], rtol=1e-12, atol=1e-12)
    bonds = np.array([line.split() for line in lines[lines.index("Bonds") + 2 :][:76]], dtype=int)
    assert (bonds[:, 2:] - 1).tolist() == cell.bonds.tolist()
