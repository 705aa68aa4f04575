"""Cells in a Langevin bath, ours and those of LAMMPS."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prnn_md.md.langevin import LangevinCell
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.reference.dynamics import Thermal
from prnn_md.reference.system import in_lammps


@dataclass(frozen=True)
class Bath:
    """How so many cells of 80 beads are kept at a temperature."""

    cells: int = 16
    timestep: float = 0.005
    friction: float = 1.0
    equilibration: float = 20.0
    seed: int = 1


def our_cells(samples: Samples, temperature: float, bath: Bath) -> LangevinCell:
    """Our cells; the stress is averaged over whole increments."""
    return LangevinCell(
        samples,
        polymer_force_field(samples),
        temperature,
        bath.timestep,
        bath.friction,
        window=1.0,
        equilibration=bath.equilibration,
        seed=bath.seed,
        threads=1,
    )


@contextmanager
def lammps_at(sample: Samples, temperature: float, bath: Bath, seed: int) -> Iterator[tuple[Any, Thermal]]:
    """A LAMMPS instance in which one sample is in equilibrium, and what drives it on; all steps are averaged."""
    driven = Thermal(temperature, bath.timestep, bath.friction, equilibration=bath.equilibration, window=1.0)
    with in_lammps(sample, force_field := polymer_force_field(sample)) as lammps:
        driven.begin(lammps, force_field, seed)
        driven.rest(lammps, sample.box[0])
        yield lammps, driven
