"""LAMMPS protocols for the bead-spring polymer glass: make a sample, and drive it along a strain path."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.force_field import ForceField
from prnn_md.md.polymer import polymer_force_field, random_walk_chains
from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import biot_from_cauchy, from_mandel, to_mandel
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.system import cauchy_stress, deform, in_lammps, read_sample, use_pairs


def build_sample(beads: int, seed: int, protocol: QuenchProtocol | None = None) -> Samples:
    """One quenched, pressure-free sample of `beads` beads; `seed` fixes chains and noise."""
    protocol = QuenchProtocol() if protocol is None else protocol
    if beads % protocol.beads_per_chain:
        raise LammpsError(f"{beads} beads do not make chains of {protocol.beads_per_chain}: choose a multiple.")
    start = random_walk_chains(beads, protocol, np.random.default_rng(seed))
    force_field = polymer_force_field(start)
    with in_lammps(start, force_field) as lammps:
        _push_off(lammps, seed)
        use_pairs(lammps, force_field)
        _quench(lammps, protocol, seed)
        _relax_box(lammps)
        return read_sample(lammps, start)


def _push_off(lammps: Any, seed: int) -> None:
    """Drive overlapping beads apart under a soft repulsion of growing height."""
    lammps.commands_list(
        [
            "pair_style soft 1.12246",
            "pair_coeff 1 1 0.0",
            "velocity all create 1.0 " + str(seed + 1),
            "fix limit all nve/limit 0.05",
            f"fix bath all langevin 1.0 1.0 1.0 {seed + 2}",
            "variable height equal ramp(1.0,60.0)",
            "fix grow all adapt 1 pair soft a * * v_height",
            "timestep 0.005",
            "run 10000",
            "unfix grow",
        ]
    )
    lammps.command("unfix bath")
    lammps.command("unfix limit")


def _quench(lammps: Any, protocol: QuenchProtocol, seed: int) -> None:
    step = protocol.timestep
    p = protocol
    lammps.commands_list(
        [
            "fix limit all nve/limit 0.05",
            f"fix bath all langevin {p.melt_temperature} {p.melt_temperature} 1.0 {seed + 3}",
            f"timestep {step}",
            "run 5000",
            "unfix limit",
            "fix move all nve",
            f"run {int(p.melt_time / step)}",
            "unfix bath",
            "unfix move",
            f"fix press all npt temp {p.glass_from} {p.glass_from} 0.5 iso 0.0 0.0 5.0",
            f"run {int(0.1 * p.melt_time / step)}",
            "unfix press",
            f"fix press all npt temp {p.glass_from} {p.glass_to} 0.5 iso 0.0 0.0 5.0",
            f"run {int(p.quench_time / step)}",
            "unfix press",
        ]
    )


def _relax_box(lammps: Any) -> None:
    """Minimise energy over positions and all six box components, in rounds, since LAMMPS fixes the reference box."""
    lammps.commands_list(["min_style cg", "min_modify dmax 0.05", "minimize 0 1e-6 20000 200000"])
    for _ in range(10):
        lammps.command("fix relax all box/relax tri 0.0 vmax 0.002")
        lammps.command("minimize 0 1e-8 2000 20000")
        lammps.command("unfix relax")
    lammps.command("minimize 0 1e-8 20000 200000")


def drive_sample(sample: Samples, strains: Tensor, force_field: ForceField, force_tolerance: float = 1e-2) -> Tensor:
    """Athermal quasi-static Biot stresses (T+1, 6) of one sample along strains (T+1, 6) that start at zero.

    Each increment deforms box and positions affinely and minimises by conjugate gradients until no bead
    feels a force above `force_tolerance`. The residual stress of the first point is subtracted. Raises
    LammpsError where a minimisation stops short of the tolerance, a bond is about to break, or stress is lost.
    """
    stresses = []
    with in_lammps(sample, force_field) as lammps:
        lammps.commands_list(["compute virial all pressure NULL virial", "thermo_style custom step pe c_virial[1]"])
        lammps.commands_list(["compute bond all bond/local dist", "compute longest all reduce max c_bond inputs local"])
        lammps.commands_list(["min_style cg", "min_modify norm max dmax 0.1"])
        for number, strain in enumerate(strains):
            frame = deform(lammps, sample.box[0], strain)
            lammps.command("run 0")
            _check_bonds(lammps, force_field, number)
            lammps.command(f"minimize 0 {force_tolerance} 100000 100000")
            _check_bonds(lammps, force_field, number)
            _check_forces(lammps, force_tolerance, number)
            cauchy = frame @ from_mandel(cauchy_stress(lammps, "virial")) @ frame.T
            if not bool(torch.isfinite(cauchy).all()):
                raise LammpsError(f"The stress at increment {number} is not finite: the path overloads the sample.")
            stresses.append(biot_from_cauchy(to_mandel(cauchy), strain))
    result = torch.stack(stresses)
    return result - result[0]


def _check_bonds(lammps: Any, force_field: ForceField, increment: int) -> None:
    """Raise where LAMMPS, close to a bond's largest extent (1 - (r/r0)^2 < 0.1), caps its energy and only warns."""
    longest, bonds = lammps.extract_compute("longest", 0, 0), force_field.terms["bonds"]
    assert isinstance(bonds, FENEBonds)
    if longest > 0.9**0.5 * float(bonds.extent.min()):
        raise LammpsError(
            f"Increment {increment}: a bond of length {longest:.3f} is about to break; take smaller increments."
        )


def _check_forces(lammps: Any, tolerance: float, increment: int) -> None:
    """Raise where the minimiser stopped for another reason than the tolerance."""
    forces = np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
    largest = np.linalg.norm(forces, axis=1).max()
    if not largest <= 1.000001 * tolerance:
        raise LammpsError(f"Increment {increment}: minimisation stopped at a force of {largest:.1e} > {tolerance:.1e}.")
