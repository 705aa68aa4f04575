"""Force fields come out of TorchMD's YAML format as TorchMD itself reads them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torchmd.forcefields.forcefield import ForceField
from torchmd.forces import evaluate_LJ
from torchmd.parameters import Parameters

from prnn_md.md.energy import lennard_jones
from prnn_md.md.force_field import POLYMER, BeadSpring

HEAVY = """
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


def test_the_shipped_polymer_is_the_bead_spring_model() -> None:
    expected = BeadSpring(epsilon=1.0, sigma=1.0, inner=1.2, outer=1.5, fene_stiffness=30.0, fene_extent=1.5, mass=1.0)
    assert BeadSpring.from_yaml() == expected


def test_the_switch_is_in_units_of_sigma(tmp_path: Path) -> None:
    path = tmp_path / "heavy.yaml"
    path.write_text(HEAVY)
    expected = BeadSpring(epsilon=0.5, sigma=2.0, inner=2.5, outer=3.5, fene_stiffness=7.5, fene_extent=3.0, mass=12.5)
    assert BeadSpring.from_yaml(path) == expected


@pytest.mark.parametrize("text", [POLYMER.read_text(), HEAVY], ids=["polymer", "heavy"])
def test_pairs_have_the_energy_that_torchmd_gives_them(tmp_path: Path, text: str) -> None:
    """Without a switch, whose force TorchMD gets wrong."""
    path = tmp_path / "field.yaml"
    path.write_text(text)
    kind = yaml.safe_load(text)["atomtypes"][0]
    pair = SimpleNamespace(numAtoms=2, atomtype=np.array([kind, kind], dtype=object), charge=np.zeros(2), masses=None)
    parameters = Parameters(ForceField.create(pair, str(path)), pair, ["lj"], torch.float64, "cpu")
    a, b = parameters.get_AB()
    r = torch.linspace(0.9, 3.0, 20, dtype=torch.float64)
    pairs = torch.tensor([[0, 1]]).expand(20, 2)
    expected, _ = evaluate_LJ(r, pairs, parameters.mapped_atom_types, a, b, None, None, explicit_forces=False)
    torch.testing.assert_close(lennard_jones(r**2, BeadSpring.from_yaml(path)), expected, rtol=1e-12, atol=1e-12)


def test_several_bead_types_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mixed.yaml"
    path.write_text(HEAVY.replace("[C]", "[C, N]"))
    with pytest.raises(ValueError, match=r"mixed.yaml: a bead-spring force field has one bead type, got .*'C', 'N'"):
        BeadSpring.from_yaml(path)
