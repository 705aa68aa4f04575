"""How LAMMPS follows a strain path: at rest after every increment, or at a temperature and a strain rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.force_field import ForceField
from prnn_md.mechanics import biot_from_cauchy, from_mandel, stretch_of, to_mandel, upper_triangular_box
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.system import FEMTOSECOND, cauchy_from_pressure, cauchy_stress, deform

RESTARTS = 10
"""Times that a minimiser whose line search gives up is started anew."""


class ReferenceDynamics(Protocol):
    """Follows increments of strain in a LAMMPS instance that holds one sample.

    `reference_box` (3, 3) is that of the undeformed sample; stresses are Biot, (6,), with nothing subtracted.
    """

    rate_dependent: ClassVar[bool]

    @property
    def about(self) -> Mapping[str, str]:
        """What is to be known of every stress: what moves the particles, and when it stops."""

    def amount(self, times: Tensor) -> float:
        """How much work a path with these times (T+1,) is, in any unit."""

    def begin(self, lammps: Any, force_field: ForceField, seed: int) -> None:
        """Set up what increments need; `seed` (1 to 900 million) fixes all noise, also velocities."""

    def rest(self, lammps: Any, reference_box: Tensor) -> Tensor:
        """Bring the undeformed sample to rest, or into equilibrium; returns the stress that it has there."""

    def increment(self, lammps: Any, reference_box: Tensor, before: Tensor, strain: Tensor, dt: float) -> Tensor:
        """Go from one strain (6,) to another in the time dt (tau or fs); returns the stress at the end."""


@dataclass(frozen=True)
class Athermal:
    """Athermal quasi-static: box and positions are deformed affinely, then the energy is minimised.

    Conjugate gradients go on until no particle feels a force above `force_tolerance`, in the unit of force of the
    force field.
    """

    force_tolerance: float = 1e-3

    rate_dependent: ClassVar[bool] = False

    @property
    def about(self) -> Mapping[str, str]:
        return {"minimiser": "LAMMPS cg", "stop": f"largest force at most {self.force_tolerance:g}"}

    def amount(self, times: Tensor) -> float:
        return float(len(times))

    def begin(self, lammps: Any, force_field: ForceField, seed: int) -> None:
        lammps.commands_list(["compute stress all pressure NULL virial", "thermo_style custom step pe c_stress[1]"])
        lammps.commands_list(["thermo 0", "min_style cg", "min_modify norm max dmax 0.1"])
        bonds = dict(force_field.terms.items()).get("bonds")
        if isinstance(bonds, FENEBonds):
            lammps.commands_list(
                ["compute bond all bond/local dist", "compute longest all reduce max c_bond inputs local"]
            )
            lammps.command(f"variable extent equal {float(bonds.extent.min()):.17g}")

    def rest(self, lammps: Any, reference_box: Tensor) -> Tensor:
        zero = reference_box.new_zeros(6)
        return self.increment(lammps, reference_box, zero, zero, 0.0)

    def increment(self, lammps: Any, reference_box: Tensor, before: Tensor, strain: Tensor, dt: float) -> Tensor:
        frame = deform(lammps, reference_box, strain)
        lammps.command("run 0")
        _check_bonds(lammps)
        for _ in range(RESTARTS):
            lammps.command(f"minimize 0 {self.force_tolerance} 100000 100000")
            largest = largest_force(lammps)
            if largest <= 1.000001 * self.force_tolerance:
                break
        else:
            raise LammpsError(f"minimisation stopped at a force of {largest:.1e} > {self.force_tolerance:.1e}")
        _check_bonds(lammps)
        return _biot(cauchy_stress(lammps, "stress"), frame, strain)


@dataclass(frozen=True)
class Thermal:
    """Langevin dynamics at `temperature` while the box is deformed at the strain rate of the path.

    Steps of at most `timestep`, with `friction` (1/time); times in tau or fs, temperatures in epsilon/k_B or K. The
    stress of an increment, with its kinetic part, is the mean over the last part `window` of its steps, that at rest
    the mean over the second half of the time `equilibration`.
    """

    temperature: float
    timestep: float
    friction: float
    equilibration: float
    window: float = 0.5

    rate_dependent: ClassVar[bool] = True

    @property
    def about(self) -> Mapping[str, str]:
        return {"integrator": "LAMMPS nve with langevin", "stop": f"mean over the last {self.window:g} of an increment"}

    def amount(self, times: Tensor) -> float:
        return self.equilibration + float(times[-1])

    def begin(self, lammps: Any, force_field: ForceField, seed: int) -> None:
        unit = FEMTOSECOND[lammps.extract_global("units")]
        lammps.commands_list(
            [
                f"timestep {self.timestep * unit:.17g}",
                f"velocity all create {self.temperature} {seed} mom no rot no dist gaussian",
                "compute_modify thermo_temp extra/dof 0",  # the bath moves the centre of mass too
                "compute stress all pressure thermo_temp",
                "thermo 0",
                "fix move all nve",
                f"fix bath all langevin {self.temperature} {self.temperature} {unit / self.friction:.17g} {seed}",
            ]
        )

    def rest(self, lammps: Any, reference_box: Tensor) -> Tensor:
        steps = max(2, round(self.equilibration / self.timestep))
        frame, _ = upper_triangular_box(reference_box)
        lammps.command("reset_timestep 0")
        return _biot(_mean_stress(lammps, steps, steps // 2), frame, reference_box.new_zeros(6))

    def increment(self, lammps: Any, reference_box: Tensor, before: Tensor, strain: Tensor, dt: float) -> Tensor:
        steps = int(np.ceil(dt / self.timestep - 1e-6))
        if steps < 1:
            raise LammpsError("the strain changes in no time: a path at a strain rate needs times that go on")
        unit = FEMTOSECOND[lammps.extract_global("units")]
        lammps.command(f"timestep {dt / steps * unit:.17g}")
        _, box = upper_triangular_box(stretch_of(strain) @ reference_box)
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = box.tolist()
        lammps.command("reset_timestep 0")
        lammps.command(
            f"fix strain all deform 1 x final 0 {xx:.17g} y final 0 {yy:.17g} z final 0 {zz:.17g} "
            f"xy final {xy:.17g} xz final {xz:.17g} yz final {yz:.17g} remap x flip no units box"
        )
        mean = _mean_stress(lammps, steps, max(1, round(self.window * steps)))
        lammps.command("unfix strain")
        middle = strain + 0.5 * self.window * (before - strain)
        frame, _ = upper_triangular_box(stretch_of(middle) @ reference_box)
        return _biot(mean, frame, middle)


def _mean_stress(lammps: Any, steps: int, window: int) -> Tensor:
    """Run so many steps; returns the mean Cauchy stress (6,) over the last ones, in the frame of the box."""
    every = 4 if steps % 4 == 0 and window >= 4 else 1
    lammps.command(f"fix mean all ave/time {every} {window // every} {steps} c_stress[*]")
    lammps.command(f"run {steps}")
    mean = cauchy_from_pressure([lammps.extract_fix("mean", 0, 1, i) for i in range(6)], lammps)
    lammps.command("unfix mean")
    return mean


def _biot(cauchy: Tensor, frame: Tensor, strain: Tensor) -> Tensor:
    """Biot stress (6,) of a Cauchy stress (6,) in the frame of LAMMPS' box."""
    if not bool(cauchy.isfinite().all()):
        raise LammpsError("the stress is not finite: the path overloads the sample")
    return biot_from_cauchy(to_mandel(frame @ from_mandel(cauchy) @ frame.T), strain)


def largest_force(lammps: Any) -> float:
    """The largest force on any particle, in LAMMPS' unit."""
    forces = np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
    return float(np.linalg.norm(forces, axis=1).max())


def _check_bonds(lammps: Any) -> None:
    """Raise where LAMMPS, close to a bond's largest extent (1 - (r/r0)^2 < 0.1), caps its energy and only warns."""
    if not lammps.has_id("compute", "longest"):
        return
    longest, extent = lammps.extract_compute("longest", 0, 0), lammps.extract_variable("extent")
    if longest > 0.9**0.5 * extent:
        raise LammpsError(f"a bond of length {longest:.3f} is about to break; take smaller increments")
