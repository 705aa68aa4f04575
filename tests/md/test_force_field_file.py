"""Force fields come out of TorchMD's YAML format as TorchMD itself reads them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torchmd.forcefields.forcefield import ForceField as TorchMDForceField
from torchmd.forces import evaluate_LJ
from torchmd.parameters import Parameters

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.force_field import ForceField
from prnn_md.md.force_field_file import ForceFieldError, read_force_field
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.polymer import FORCE_FIELD
from prnn_md.mechanics import KCAL_ANGSTROM, LJ

HEAVY = """
units: lj
exclusions: [bonds]
atomtypes: [C]
masses: {C: 12.5}
electrostatics:
  C: {charge: 0.0}
lj:
  C: {sigma: 2.0, epsilon: 0.5}
fene:
  (C, C): {k0: 7.5, r0: 3.0}
switch: {inner: 1.25, outer: 1.75}
"""

MIXED = """
atomtypes: [C, N]
masses: {C: 12.5, N: 14.0}
electrostatics:
  C: {charge: 0.0}
  N: {charge: 0.0}
lj:
  C: {sigma: 2.0, epsilon: 0.5}
  N: {sigma: 1.25, epsilon: 2.0}
cutoff: {inner: 4.0, outer: 4.0}
"""

PAIR = torch.tensor([[0, 1]])
NONE = torch.zeros(0, 2, dtype=torch.int64)


def lennard_jones_of(force_field: ForceField) -> LennardJones:
    pairs = force_field.terms["pairs"]
    assert isinstance(pairs, LennardJones)
    return pairs


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The force field HEAVY in a file."""
    path = tmp_path / "heavy.yaml"
    path.write_text(HEAVY)
    return path


def test_the_shipped_polymer_is_the_bead_spring_model() -> None:
    force_field = read_force_field(FORCE_FIELD, ["B", "B", "B"], torch.tensor([[0, 1], [2, 1]]))
    assert set(force_field.terms) == {"pairs", "bonds"}
    assert isinstance(force_field.terms["bonds"], FENEBonds)
    expected = {"epsilon": [1.0], "sigma": [1.0], "bond_stiffness": [30.0], "bond_extent": [1.5]}
    assert force_field.numbers() == expected
    pairs = lennard_jones_of(force_field)
    assert (pairs.inner.tolist(), pairs.outer.tolist(), force_field.cutoff) == ([1.2], [1.5], 1.5)
    assert force_field.masses.tolist() == [1.0, 1.0, 1.0]
    assert force_field.excluded.tolist() == [[0, 1], [1, 2]], "the ends of the chain are a pair like others"
    assert force_field.units is LJ


def test_the_switch_is_in_units_of_sigma(written: Path) -> None:
    force_field = read_force_field(written, ["C", "C"], PAIR)
    expected = {"epsilon": [0.5], "sigma": [2.0], "bond_stiffness": [7.5], "bond_extent": [3.0]}
    assert force_field.numbers() == expected
    pairs = lennard_jones_of(force_field)
    assert (pairs.inner.tolist(), pairs.outer.tolist(), force_field.cutoff) == ([2.5], [3.5], 3.5)
    assert force_field.masses.tolist() == [12.5, 12.5]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [(FORCE_FIELD.read_text(), "BB"), (HEAVY, "CC"), (MIXED, "CC"), (MIXED, "NC"), (MIXED, "NN")],
    ids=["polymer", "heavy", "mixed, first", "mixed, both", "mixed, second"],
)
def test_pairs_have_the_energy_that_torchmd_gives_them(tmp_path: Path, text: str, kinds: str) -> None:
    """Without a switch, whose force TorchMD gets wrong."""
    path = tmp_path / "field.yaml"
    path.write_text(text)
    pair = SimpleNamespace(numAtoms=2, atomtype=np.array([*kinds], dtype=object), charge=np.zeros(2), masses=None)
    parameters = Parameters(TorchMDForceField.create(pair, str(path)), pair, ["lj"], torch.float64, "cpu")
    a, b = parameters.get_AB()
    r = torch.linspace(0.9, 3.0, 20, dtype=torch.float64)
    members = PAIR.expand(20, 2)
    expected, _ = evaluate_LJ(r, members, parameters.mapped_atom_types, a, b, None, None, explicit_forces=False)
    force_field = read_force_field(path, [*kinds], NONE)
    pairs, types = lennard_jones_of(force_field), yaml.safe_load(text)["atomtypes"]
    kind = pairs.kinds[types.index(kinds[0]), types.index(kinds[1])].expand(20)
    torch.testing.assert_close(pairs.plain(r**2, kind), expected, rtol=1e-12, atol=1e-12)
    assert force_field.masses.tolist() == parameters.masses.flatten().tolist()


def test_a_file_that_says_nothing_has_the_units_of_torchmd(tmp_path: Path) -> None:
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED)
    assert read_force_field(path, ["C", "N"], NONE).units is KCAL_ANGSTROM


def test_a_type_without_numbers_is_refused(written: Path) -> None:
    written.write_text(HEAVY.replace("[C]", "[C, N]"))
    with pytest.raises(ForceFieldError, match=r"heavy.yaml: section '.*' has nothing for \(N\)"):
        read_force_field(written, ["C", "N"], NONE)


def test_types_that_the_file_does_not_know_are_refused_with_those_that_it_has(written: Path) -> None:
    with pytest.raises(ForceFieldError, match=r"heavy.yaml has no atom types N, O; it has C"):
        read_force_field(written, ["C", "O", "N"], NONE)


@pytest.mark.parametrize(
    ("units", "coulomb"), [("lj", 1.0), ("kcal/mol-angstrom", 332.06371), ("eV-angstrom", 14.399645)]
)
def test_charges_act_in_the_units_of_the_file(tmp_path: Path, units: str, coulomb: float) -> None:
    text = f"""
units: {units}
atomtypes: [A]
masses: {{A: 1.0}}
electrostatics: {{A: {{charge: 0.5}}}}
reaction_field: {{cutoff: 9.0, dielectric: 1.0}}
"""
    (tmp_path / "charges.yaml").write_text(text)
    field = read_force_field(tmp_path / "charges.yaml", ["A", "A"], NONE)
    positions = torch.tensor([[[0.0, 0, 0], [2.0, 0, 0]]], dtype=torch.float64)
    box = 20.0 * torch.eye(3, dtype=torch.float64)[None]
    energy = field(positions, box, torch.zeros(2, dtype=torch.int64), field.neighbours(positions, box))
    assert float(energy) == pytest.approx(0.25 * coulomb * (1.0 / 2.0 - 1.0 / 9.0), rel=1e-6)


def test_a_pair_energy_that_is_cut_off_can_be_shifted(tmp_path: Path) -> None:
    text = "units: lj\natomtypes: [A]\nmasses: {A: 1.0}\nlj: {A: {sigma: 1.0, epsilon: 1.0}}\n"
    (tmp_path / "shifted.yaml").write_text(text + "switch: {inner: 2.5, outer: 2.5, shifted: true}\n")
    field = read_force_field(tmp_path / "shifted.yaml", ["A", "A"], NONE)
    positions = torch.tensor([[[0.0, 0, 0], [2.0, 0, 0]]], dtype=torch.float64)
    box = 20.0 * torch.eye(3, dtype=torch.float64)[None]
    energy = field(positions, box, torch.zeros(2, dtype=torch.int64), field.neighbours(positions, box))
    plain = [4.0 * (r**-12 - r**-6) for r in (2.0, 2.5)]
    assert float(energy) == pytest.approx(plain[0] - plain[1], rel=1e-12)
