"""Any system as MD cells, from a file of coordinates and a TorchMD force field."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from prnn_md.cell import Cell
from prnn_md.md.choice import Dynamics, cells_of
from prnn_md.md.force_field_file import ForceFieldError, atom_types, read_force_field
from prnn_md.md.lammps_data import has_charges, read_lammps_data
from prnn_md.md.md_cell import Backend, Parameters
from prnn_md.md.quench import relax_stress
from prnn_md.md.sample import Samples
from prnn_md.md.xyz_file import read_xyz


def file_cells(
    data: str,
    force_field: str,
    types: Sequence[str] = (),
    relax: bool = True,
    several_images: bool = False,
    count: int = 1,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` equal cells of the configuration in the file `data`.

    `data` is a LAMMPS data file, and `types` are the names in the `force_field` of its particle types, in their order;
    or it is an extended XYZ file, which ends in .xyz and has the names in it, but no bonds. Charges are those of the
    types in the force field. `relax` strains the box until it is free of stress. With `several_images`, pairs may meet
    through several images of a small box.
    """
    names, samples = _configuration(data, types)
    field = read_force_field(force_field, names, samples.bonds, several_images)
    known = atom_types(force_field)
    samples = replace(samples, types=torch.tensor([known.index(name) for name in names]))
    if "charges" not in dict(field.terms.items()) and Path(data).suffix != ".xyz" and has_charges(data):
        raise ForceFieldError(f"{data} has charges, which {force_field} knows nothing of: add electrostatics by type.")
    if relax:
        samples = relax_stress(samples, field)
    samples = Samples.cat([samples] * count)
    return cells_of(samples, field, count, 0, dynamics, backend=backend, trainable=trainable, parameters=parameters)


def _configuration(data: str, types: Sequence[str]) -> tuple[list[str], Samples]:
    """The names of the particles of a file, and the configuration."""
    if Path(data).suffix == ".xyz":
        names, positions, box = read_xyz(data)
        return names, Samples(positions[None], box[None])
    samples = read_lammps_data(data)
    most = int(samples.types.max())
    if most >= len(types):
        raise ForceFieldError(f"{data} has {most + 1} particle types, but types names {len(types)}: {list(types)}.")
    return [types[kind] for kind in samples.types.tolist()], samples
