"""LAMMPS protocols for the bead-spring polymer glass: make a sample, and drive it along a strain path."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.md.force_field import BeadSpring
from prnn_md.md.quench import QuenchProtocol, random_walk_chains
from prnn_md.md.sample import Samples
from prnn_md.mechanics import biot_from_cauchy, from_mandel, stretch_of, to_mandel, upper_triangular_box
from prnn_md.reference.lammps import LammpsError, start_lammps


def build_sample(beads: int, seed: int, force_field: BeadSpring, protocol: QuenchProtocol | None = None) -> Samples:
    """One quenched, pressure-free sample of `beads` beads; `seed` fixes chains and noise."""
    protocol = QuenchProtocol() if protocol is None else protocol
    if beads % protocol.beads_per_chain:
        raise LammpsError(f"{beads} beads do not make chains of {protocol.beads_per_chain}: choose a multiple.")
    start = random_walk_chains(beads, protocol, np.random.default_rng(seed))
    with polymer_in_lammps(start, force_field) as lammps:
        _push_off(lammps, seed)
        _use_glass_potential(lammps, force_field)
        _quench(lammps, protocol, seed)
        _relax_box(lammps)
        return _read_sample(lammps, start.bonds)


@contextmanager
def polymer_in_lammps(sample: Samples, force_field: BeadSpring) -> Iterator[Any]:
    """A LAMMPS instance that holds one sample (its box upper triangular) under the glass potential."""
    lammps = start_lammps()
    try:
        lammps.commands_list(["units lj", "atom_style bond", "boundary p p p", "special_bonds fene"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sample.data"
            path.write_text(data_file(sample, force_field))
            lammps.command(f"read_data {path}")
        lammps.commands_list(["neighbor 0.3 bin", "neigh_modify every 1 delay 0 check yes", "bond_style fene"])
        lammps.command(
            f"bond_coeff 1 {force_field.fene_stiffness:.17g} {force_field.fene_extent:.17g} "
            f"{force_field.epsilon:.17g} {force_field.sigma:.17g}"
        )
        _use_glass_potential(lammps, force_field)
        yield lammps
    finally:
        lammps.close()


def data_file(sample: Samples, force_field: BeadSpring) -> str:
    """The one sample of `sample` as the text of a LAMMPS data file (atom style bond)."""
    positions, box = sample.positions[0], sample.box[0]
    _, triangular = upper_triangular_box(box)
    fractions = torch.linalg.solve(box, positions.T)
    images = torch.floor(fractions)
    wrapped = (triangular @ (fractions - images)).T.tolist()
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = triangular.tolist()
    lines = ["bead-spring polymer", "", f"{len(wrapped)} atoms", f"{len(sample.bonds)} bonds"]
    lines += ["1 atom types", "1 bond types", ""]
    lines += [f"0 {xx:.17g} xlo xhi", f"0 {yy:.17g} ylo yhi", f"0 {zz:.17g} zlo zhi"]
    lines += [f"{xy:.17g} {xz:.17g} {yz:.17g} xy xz yz", "", "Masses", "", f"1 {force_field.mass:.17g}"]
    lines += ["", "Atoms # bond", ""]
    for number, (x, image) in enumerate(zip(wrapped, images.T.int().tolist(), strict=True), start=1):
        place = " ".join(f"{value:.17g}" for value in x)
        lines.append(f"{number} 1 1 {place} {image[0]} {image[1]} {image[2]}")
    lines += ["", "Bonds", ""]
    lines += [f"{number} 1 {i + 1} {j + 1}" for number, (i, j) in enumerate(sample.bonds.tolist(), start=1)]
    return "\n".join(lines) + "\n"


def _use_glass_potential(lammps: Any, force_field: BeadSpring) -> None:
    """Lennard-Jones tapered by 1 - 10 x^3 + 15 x^4 - 6 x^5, which LAMMPS calls lj/mdf."""
    lammps.command(f"pair_style lj/mdf {force_field.inner:.17g} {force_field.outer:.17g}")
    lammps.command(f"pair_coeff 1 1 {force_field.epsilon:.17g} {force_field.sigma:.17g}")


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


def _read_sample(lammps: Any, bonds: Tensor) -> Samples:
    positions = torch.from_numpy(np.array(lammps.gather_atoms("x", 1, 3)).reshape(-1, 3).copy())
    images = torch.from_numpy(np.array(lammps.gather_atoms("image", 0, 3)).reshape(-1, 3).copy())
    box = lammps_box(lammps)
    return Samples((positions + images.to(positions) @ box.T)[None], box[None], bonds)


def lammps_box(lammps: Any) -> Tensor:
    """The current box (3, 3), vectors in columns."""
    low, high, xy, yz, xz, _, _ = lammps.extract_box()
    diagonal = np.array(high) - np.array(low)
    return torch.tensor([[diagonal[0], xy, xz], [0.0, diagonal[1], yz], [0.0, 0.0, diagonal[2]]], dtype=torch.float64)


def virial_stress(lammps: Any) -> Tensor:
    """Cauchy stress (6,) without its kinetic part, Mandel, tension positive, in the frame of LAMMPS' box."""
    pressure = lammps.extract_compute("virial", 0, 1)
    xx, yy, zz, xy, xz, yz = (-pressure[i] for i in range(6))
    return to_mandel(torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64))


def drive_sample(sample: Samples, strains: Tensor, force_field: BeadSpring, force_tolerance: float = 1e-2) -> Tensor:
    """Athermal quasi-static Biot stresses (T+1, 6) of one sample along strains (T+1, 6) that start at zero.

    Each increment deforms box and positions affinely and minimises by conjugate gradients until no bead
    feels a force above `force_tolerance`. The residual stress of the first point is subtracted. Raises
    LammpsError where a minimisation stops short of the tolerance, a bond is about to break, or stress is lost.
    """
    stresses = []
    with polymer_in_lammps(sample, force_field) as lammps:
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
            cauchy = frame @ from_mandel(virial_stress(lammps)) @ frame.T
            if not bool(torch.isfinite(cauchy).all()):
                raise LammpsError(f"The stress at increment {number} is not finite: the path overloads the sample.")
            stresses.append(biot_from_cauchy(to_mandel(cauchy), strain))
    result = torch.stack(stresses)
    return result - result[0]


def _check_bonds(lammps: Any, force_field: BeadSpring, increment: int) -> None:
    """Raise where LAMMPS, close to a bond's largest extent (1 - (r/r0)^2 < 0.1), caps its energy and only warns."""
    longest = lammps.extract_compute("longest", 0, 0)
    if longest > 0.9**0.5 * force_field.fene_extent:
        raise LammpsError(
            f"Increment {increment}: a bond of length {longest:.3f} is about to break; take smaller increments."
        )


def _check_forces(lammps: Any, tolerance: float, increment: int) -> None:
    """Raise where the minimiser stopped for another reason than the tolerance."""
    forces = np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
    largest = np.linalg.norm(forces, axis=1).max()
    if not largest <= 1.000001 * tolerance:
        raise LammpsError(f"Increment {increment}: minimisation stopped at a force of {largest:.1e} > {tolerance:.1e}.")


def deform(lammps: Any, reference_box: Tensor, strain: Tensor) -> Tensor:
    """Set the box to (I + E) h0 with positions remapped; returns the rotation Q from its frame to ours."""
    frame, box = upper_triangular_box(stretch_of(strain) @ reference_box)
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = box.tolist()
    lammps.command(
        f"change_box all x final 0 {xx:.17g} y final 0 {yy:.17g} z final 0 {zz:.17g} "
        f"xy final {xy:.17g} xz final {xz:.17g} yz final {yz:.17g} remap units box"
    )
    return frame
