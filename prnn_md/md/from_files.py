"""Any system as MD cells, from a LAMMPS data file and a TorchMD force field."""

from collections.abc import Sequence

from prnn_md.cell import Cell
from prnn_md.md.choice import Dynamics, cells_of
from prnn_md.md.force_field_file import ForceFieldError, read_force_field
from prnn_md.md.lammps_data import has_charges, read_lammps_data
from prnn_md.md.md_cell import Backend, Parameters
from prnn_md.md.quench import relax_stress
from prnn_md.md.sample import Samples


def file_cells(
    data: str,
    force_field: str,
    types: Sequence[str],
    relax: bool = True,
    several_images: bool = False,
    count: int = 1,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` equal cells of the configuration in the LAMMPS data file `data`.

    Charges are those of the types in the force field. `types` are the names in the `force_field` of its particle
    types, in their order; `relax` strains the box until it is free of stress. With `several_images`, pairs may meet
    through several images of a small box.
    """
    samples = read_lammps_data(data)
    most = int(samples.types.max())
    if most >= len(types):
        raise ForceFieldError(f"{data} has {most + 1} particle types, but types names {len(types)}: {list(types)}.")
    names = [types[kind] for kind in samples.types.tolist()]
    field = read_force_field(force_field, names, samples.bonds, several_images)
    if "charges" not in dict(field.terms.items()) and has_charges(data):
        raise ForceFieldError(
            f"{data} has charges, which {force_field} knows nothing of: add 'electrostatics' by type."
        )
    if relax:
        samples = relax_stress(samples, field)
    samples = Samples.cat([samples] * count)
    return cells_of(samples, field, count, 0, dynamics, backend=backend, trainable=trainable, parameters=parameters)
