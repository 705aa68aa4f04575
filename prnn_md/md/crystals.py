"""Perfect crystals, argon and silicon, and the amorphous silicon that comes from one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.md.choice import Dynamics, cells_of
from prnn_md.md.force_field import ForceField
from prnn_md.md.force_field_file import read_force_field
from prnn_md.md.md_cell import Backend, Parameters
from prnn_md.md.prepared import prepared_library
from prnn_md.md.quench import Progress, quench_at_constant_volume, relax_stress
from prnn_md.md.sample import Samples

FORCE_FIELDS = Path(__file__).with_name("force_fields")
FCC = torch.tensor([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], dtype=torch.float64)
DIAMOND = torch.cat([FCC, FCC + 0.25])
ARGON_LATTICE, SILICON_LATTICE = 5.27, 5.431  # angstrom
QUENCH = [3500.0, 3500.0, 3000.0, 2500.0, 2200.0, 2000.0, 1800.0, 1600.0, 1400.0, 1200.0, 900.0, 600.0, 300.0, 100.0]
STAGE = (1000.0, 2.0, 0.01)  # time at each temperature and time step (fs), friction (1/fs)


def crystal(basis: Tensor, lattice: float, repeats: int) -> Samples:
    """One cubic crystal of repeats^3 unit cells with edge `lattice`; `basis` (B, 3) in units of it."""
    corners = torch.cartesian_prod(*[torch.arange(repeats, dtype=torch.float64)] * 3)
    positions = lattice * (corners[:, None] + basis).reshape(1, -1, 3)
    return Samples(positions, lattice * repeats * torch.eye(3, dtype=torch.float64)[None])


def argon_force_field(samples: Samples) -> ForceField:
    """Tapered Lennard-Jones argon, kcal/mol and angstrom."""
    return read_force_field(FORCE_FIELDS / "argon.yaml", ["Ar"] * samples.positions.shape[1], samples.bonds)


def silicon_force_field(samples: Samples) -> ForceField:
    """Stillinger-Weber silicon, eV and angstrom."""
    return read_force_field(FORCE_FIELDS / "silicon.yaml", ["Si"] * samples.positions.shape[1], samples.bonds)


def argon_cells(
    repeats: int = 4,
    count: int = 1,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` equal fcc crystals of 4 repeats^3 atoms at zero pressure and temperature."""
    start = crystal(FCC, ARGON_LATTICE, repeats)
    force_field = argon_force_field(start)
    samples = Samples.cat([relax_stress(start, force_field)] * count)
    return cells_of(
        samples, force_field, count, 0, dynamics, backend=backend, trainable=trainable, parameters=parameters
    )


def silicon_cells(
    structure: Literal["crystal", "amorphous"] = "amorphous",
    repeats: int = 2,
    count: int = 8,
    seed: int = 0,
    dynamics: Dynamics | None = None,
    backend: Backend = "auto",
    trainable: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Cell:
    """`count` cells of 8 repeats^3 atoms: equal diamond crystals, or amorphous ones, built when first asked for."""
    start = crystal(DIAMOND, SILICON_LATTICE, repeats)
    force_field = silicon_force_field(start)
    if structure == "crystal":
        samples = Samples.cat([relax_stress(start, force_field)] * count)
    else:
        samples = _amorphous(start, force_field, repeats, count, seed)
    return cells_of(
        samples, force_field, count, seed, dynamics, backend=backend, trainable=trainable, parameters=parameters
    )


def _amorphous(start: Samples, force_field: ForceField, repeats: int, count: int, seed: int) -> Samples:
    """Samples molten and quenched at the density of the crystal within 14 ps, then relaxed."""

    def make(number: int, report: Progress) -> Samples:
        return quench_at_constant_volume(start, force_field, number, QUENCH, *STAGE, report)

    recipe = {"repeats": repeats, "force_field": force_field.numbers(), "temperatures": QUENCH, "stage": STAGE}
    return prepared_library("silicon", recipe, count, seed, make)
