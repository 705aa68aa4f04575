"""Force-field parameters, read from TorchMD YAML files."""

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
import yaml

POLYMER = Path(__file__).with_name("polymer.yaml")


class BeadSpring(NamedTuple):
    """Parameters of the bead-spring polymer, one bead type; a named tuple, which compiled functions take as it is.

    Pairs: Lennard-Jones (`epsilon`, `sigma`), tapered to zero between the distances `inner` and `outer`.
    Bonds: FENE with `fene_stiffness` k and `fene_extent` r0, plus the WCA repulsion of the pair.
    """

    epsilon: float
    sigma: float
    inner: float
    outer: float
    fene_stiffness: float
    fene_extent: float
    mass: float

    @staticmethod
    def from_yaml(path: str | Path = POLYMER) -> "BeadSpring":
        """Read a TorchMD force field that has the extra sections `fene` and `switch`, for its only bead type.

        TorchMD keeps parameters in single precision on the way: 1.1 becomes 1.10000002.
        """
        from torchmd.forcefields.forcefield import ForceField
        from torchmd.parameters import Parameters

        sections = yaml.safe_load(Path(path).read_text())
        if len(sections["atomtypes"]) != 1:
            raise ValueError(f"{path}: a bead-spring force field has one bead type, got {sections['atomtypes']}.")
        kind = sections["atomtypes"][0]
        molecule = SimpleNamespace(numAtoms=1, atomtype=np.array([kind], dtype=object), charge=np.zeros(1), masses=None)
        parameters = Parameters(ForceField.create(molecule, str(path)), molecule, ["lj"], torch.float64, "cpu")
        sigma, epsilon = parameters.nonbonded_params["params"][0].tolist()
        fene = sections["fene"][f"({kind}, {kind})"]
        return BeadSpring(
            epsilon=epsilon,
            sigma=sigma,
            inner=sections["switch"]["inner"] * sigma,
            outer=sections["switch"]["outer"] * sigma,
            fene_stiffness=fene["k0"],
            fene_extent=fene["r0"],
            mass=float(parameters.masses[0, 0]),
        )
