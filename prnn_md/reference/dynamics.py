"""How LAMMPS follows a strain path: at rest after every increment, or at a temperature and a strain rate."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.force_field import ForceField
from prnn_md.md.langevin import REAL, REDUCED
from prnn_md.mechanics import LJ, Units, biot_from_cauchy, from_mandel, stretch_of, to_mandel, upper_triangular_box
from prnn_md.reference.lammps import LammpsError
from prnn_md.reference.system import FEMTOSECOND, cauchy_from_pressure, cauchy_stress, deform

VERSION = 1
"""Of all dynamics: to be raised when one of them gives other stresses for the same numbers."""

RESTARTS = 10
"""Times that a minimiser whose line search gives up is started anew."""


def plain_fields(item: Any) -> dict[str, Any]:
    """The fields of a dataclass by name; 1 and 1.0 are the same in one that holds a floating-point number."""
    floats = {field.name for field in fields(item) if field.type in (float, float | None)}
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {name: float(v) if name in floats and v is not None else v for name, v in values.items()}


class ReferenceDynamics(Protocol):
    """Follows increments of strain in a LAMMPS instance that holds one sample.

    `reference_box` (3, 3) is that of the undeformed sample; stresses are Biot, (6,), with nothing subtracted.
    """

    rate_dependent: ClassVar[bool]

    @property
    def about(self) -> Mapping[str, str]:
        """What is to be known of every stress: what moves the particles, and when it stops."""

    @property
    def physics(self) -> Mapping[str, Any]:
        """All that stresses depend on but the sample and the path, as plain numbers and strings."""

    def in_units(self, units: Units) -> "ReferenceDynamics":
        """The same with numbers that are left out as they are usual for a system with these units."""

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

    @property
    def physics(self) -> Mapping[str, Any]:
        return _physics(self)

    def in_units(self, units: Units) -> "Athermal":
        return self

    def amount(self, times: Tensor) -> float:
        return float(len(times))

    def begin(self, lammps: Any, force_field: ForceField, seed: int) -> None:
        lammps.commands_list(["compute stress all pressure NULL virial", "thermo_style custom step pe c_stress[1]"])
        lammps.commands_list(["thermo 0", "min_style cg", "min_modify norm max dmax 0.1"])
        _watch_bonds(lammps, force_field)

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
    the mean over the second half of the time `equilibration`, at the volume of the sample without temperature. Numbers
    that are left out are `REDUCED` or `REAL` by the units of the system.
    """

    temperature: float | None = None
    timestep: float | None = None
    friction: float | None = None
    equilibration: float | None = None
    window: float = 0.5

    rate_dependent: ClassVar[bool] = True

    @property
    def about(self) -> Mapping[str, str]:
        return {"integrator": "LAMMPS nve with langevin", "stop": f"mean over the last {self.window:g} of an increment"}

    @property
    def physics(self) -> Mapping[str, Any]:
        return _physics(self)

    def in_units(self, units: Units) -> "Thermal":
        usual = REDUCED if units is LJ else REAL
        missing = {name: value for name, value in usual.items() if getattr(self, name) is None}
        return replace(self, **missing)

    def amount(self, times: Tensor) -> float:
        return self._number("equilibration") + float(times[-1])

    def _number(self, name: str) -> float:
        """A number that `in_units` has filled in where it was left out."""
        value = getattr(self, name)
        if value is None:
            raise LammpsError(f"{name} of Thermal is missing: give it, or take the usual one by in_units(system.units)")
        return float(value)

    def begin(self, lammps: Any, force_field: ForceField, seed: int) -> None:
        unit = FEMTOSECOND[lammps.extract_global("units")]
        temperature, damping = self._number("temperature"), unit / self._number("friction")
        lammps.commands_list(
            [
                f"timestep {self._number('timestep') * unit:.17g}",
                f"velocity all create {temperature} {seed} mom no rot no dist gaussian",
                "compute_modify thermo_temp extra/dof 0",  # the bath moves the centre of mass too
                "compute stress all pressure thermo_temp",
                "thermo 0",
                "fix move all nve",
                f"fix bath all langevin {temperature} {temperature} {damping:.17g} {seed}",
            ]
        )
        _watch_bonds(lammps, force_field)

    def rest(self, lammps: Any, reference_box: Tensor) -> Tensor:
        steps = max(2, round(self._number("equilibration") / self._number("timestep")))
        frame, _ = upper_triangular_box(reference_box)
        sampling = _Sampling(steps, steps // 2)
        lammps.command("reset_timestep 0")
        sampling.begin(lammps)
        lammps.command(f"run {steps}")
        return _biot(sampling.end(lammps), frame, reference_box.new_zeros(6))

    def increment(self, lammps: Any, reference_box: Tensor, before: Tensor, strain: Tensor, dt: float) -> Tensor:
        steps = int(np.ceil(dt / self._number("timestep") - 1e-6))
        if steps < 1:
            raise LammpsError("the strain changes in no time: a path at a strain rate needs times that go on")
        unit = FEMTOSECOND[lammps.extract_global("units")]
        _, box = upper_triangular_box(stretch_of(strain) @ reference_box)
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = box.tolist()
        sampling = _Sampling(steps, max(1, round(self.window * steps)))
        lammps.commands_list([f"timestep {dt / steps * unit:.17g}", "reset_timestep 0"])
        sampling.begin(lammps)  # before the deformation, so that a stress has the volume at which its forces act
        lammps.command(
            f"fix strain all deform 1 x final 0 {xx:.17g} y final 0 {yy:.17g} z final 0 {zz:.17g} "
            f"xy final {xy:.17g} xz final {xz:.17g} yz final {yz:.17g} remap x flip no units box"
        )
        lammps.command(f"run {steps}")
        mean = sampling.end(lammps)
        lammps.command("unfix strain")
        _check_bonds(lammps)
        middle = before + (sampling.middle - 1) / steps * (strain - before)
        frame, _ = upper_triangular_box(stretch_of(middle) @ reference_box)
        return _biot(mean, frame, middle)


class _Sampling:
    """The mean stress over the last `window` of so many steps; in long windows of every fourth step."""

    def __init__(self, steps: int, window: int) -> None:
        self.steps = steps
        self.every = 4 if window >= 64 and steps % 4 == 0 else 1
        self.samples = window // self.every

    @property
    def middle(self) -> float:
        """The mean number of the steps that are sampled, of which the last is `steps`."""
        return self.steps - 0.5 * self.every * (self.samples - 1)

    def begin(self, lammps: Any) -> None:
        lammps.command(f"fix mean all ave/time {self.every} {self.samples} {self.steps} c_stress[*]")

    def end(self, lammps: Any) -> Tensor:
        """The mean Cauchy stress (6,) in the frame of the box."""
        mean = cauchy_from_pressure([lammps.extract_fix("mean", 0, 1, i) for i in range(6)], lammps)
        lammps.command("unfix mean")
        return mean


def _physics(dynamics: "Athermal | Thermal") -> Mapping[str, Any]:
    return {"dynamics": type(dynamics).__name__, "version": VERSION, **plain_fields(dynamics)}


def _biot(cauchy: Tensor, frame: Tensor, strain: Tensor) -> Tensor:
    """Biot stress (6,) of a Cauchy stress (6,) in the frame of LAMMPS' box."""
    if not bool(cauchy.isfinite().all()):
        raise LammpsError("the stress is not finite: the path overloads the sample")
    return biot_from_cauchy(to_mandel(frame @ from_mandel(cauchy) @ frame.T), strain)


def largest_force(lammps: Any) -> float:
    """The largest force on any particle, in LAMMPS' unit."""
    forces = np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
    return float(np.linalg.norm(forces, axis=1).max())


def _watch_bonds(lammps: Any, force_field: ForceField) -> None:
    """Let `_check_bonds` see the longest of bonds that may break."""
    bonds = dict(force_field.terms.items()).get("bonds")
    if isinstance(bonds, FENEBonds):
        lammps.commands_list(["compute bond all bond/local dist", "compute longest all reduce max c_bond inputs local"])
        lammps.command(f"variable extent equal {float(bonds.extent.min()):.17g}")


def _check_bonds(lammps: Any) -> None:
    """Raise where LAMMPS, close to a bond's largest extent (1 - (r/r0)^2 < 0.1), caps its energy and only warns."""
    if not lammps.has_id("compute", "longest"):
        return
    longest, extent = lammps.extract_compute("longest", 0, 0), lammps.extract_variable("extent")
    if longest > 0.9**0.5 * extent:
        raise LammpsError(f"a bond of length {longest:.3f} is about to break; take smaller increments")
