"""Elastic constants at rest are those that LAMMPS finds by straining and relaxing the same sample."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.md.aqs import AQSCell
from prnn_md.md.energy import tangent
from prnn_md.md.force_field import ForceField
from prnn_md.md.glass import PROTOCOL, glass_force_field, quench_glass
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import biot_from_cauchy, from_mandel, to_mandel
from prnn_md.reference.system import cauchy_stress, deform, in_lammps

RMS_FORCE = 5e-10
STEP = 1e-5  # of strain


def polymer() -> tuple[Samples, ForceField]:
    samples = load_library("polymer_80_a")[0][:1]
    return samples, polymer_force_field(samples)


def glass() -> tuple[Samples, ForceField]:
    quick = replace(PROTOCOL, push_time=0.5, melt_time=5.0, quench_time=10.0, timestep=0.01)
    sample = quench_glass(300, 1, quick)
    return sample, glass_force_field(sample)


def relaxed_stresses(sample: Samples, force_field: ForceField, strains: Tensor) -> Tensor:
    """Biot stresses (T, 6) of LAMMPS at strains (T, 6), each minimised from the minimum before."""
    stresses, size = [], sample.positions[0].numel() ** 0.5
    with in_lammps(sample, force_field) as lammps:
        lammps.commands_list(["compute virial all pressure NULL virial", "thermo_style custom step c_virial[1]"])
        lammps.commands_list(["min_style cg", "min_modify norm two"])
        for strain in strains:
            frame = deform(lammps, sample.box[0], strain)
            lammps.command(f"minimize 0 {RMS_FORCE * size:.17g} 100000 100000")
            assert np.linalg.norm(lammps.gather_atoms("f", 1, 3)) < 1.001 * RMS_FORCE * size
            cauchy = frame @ from_mandel(cauchy_stress(lammps, "virial")) @ frame.T
            stresses.append(biot_from_cauchy(to_mandel(cauchy), strain))
    return torch.stack(stresses)


@pytest.mark.parametrize("system", [polymer, glass])
def test_elastic_constants_are_the_slopes_of_stresses_that_lammps_relaxes(
    system: Callable[[], tuple[Samples, ForceField]],
) -> None:
    sample, force_field = system()
    cell = AQSCell(sample, force_field, force_tolerance=1e-10)
    zero, state = torch.zeros(1, 6, dtype=torch.float64), cell.initial_state((1,))
    _, constants, _ = cell.stress_and_tangent(zero, 0.0, state)
    steps = STEP * torch.eye(6, dtype=torch.float64)
    at_rest = sample.moved(cell.sample_positions, sample.box)
    stresses = relaxed_stresses(at_rest, force_field, torch.stack([steps, -steps], 1).flatten(0, 1))
    slopes = (stresses[::2] - stresses[1::2]).T / (2.0 * STEP)
    scale = float(constants.abs().max())
    assert (slopes - constants[0]).abs().max() < 1e-3 * scale
    assert (slopes - constants[0]).norm() < 1e-5 * constants.norm(), "agree far better than asked for"
    neighbours = force_field.neighbours(at_rest.positions, at_rest.box)
    _, affine = tangent(force_field, zero[0], at_rest.positions[0], at_rest.box[0], at_rest.types, neighbours)
    assert (affine - constants[0]).norm() > 0.1 * constants.norm(), "the non-affine part matters"
