"""Protocols that make samples: push-off, melt and quench in LAMMPS, and relaxation of positions and box."""

from typing import Any

from prnn_md.md.force_field import ForceField
from prnn_md.md.quench import QuenchProtocol, relax_stress
from prnn_md.md.sample import Samples
from prnn_md.md.units import thermal_energy
from prnn_md.reference.system import FEMTOSECOND, in_lammps, read_sample, use_pairs

PUSH_STEPS, SETTLE_STEPS = 10_000, 5_000


def quench_in_lammps(start: Samples, force_field: ForceField, protocol: QuenchProtocol, seed: int) -> Samples:
    """The one sample of `start`, overlaps and all, molten, quenched at zero pressure, at rest and free of stress.

    `seed` (1 to 899 million) fixes the noise.
    """
    p = protocol
    with in_lammps(start, force_field) as lammps:
        unit = FEMTOSECOND[lammps.extract_global("units")]
        step, damping = p.timestep * unit, unit / p.friction
        melt = f"{p.melt_temperature} {p.melt_temperature} {damping:.17g}"
        thermostat, barostat = f"{0.5 * damping:.17g}", f"iso 0.0 0.0 {5.0 * damping:.17g}"
        lammps.command(f"timestep {step:.17g}")
        _push_off(lammps, force_field, p, melt, seed)
        use_pairs(lammps, force_field)
        lammps.commands_list(
            [
                f"fix limit all nve/limit {0.05 * p.caps[0]}",
                f"fix bath all langevin {melt} {seed + 3}",
                f"run {SETTLE_STEPS}",
                "unfix limit",
                "fix move all nve",
                f"run {round(p.melt_time / p.timestep)}",
                "unfix bath",
                "unfix move",
                f"fix press all npt temp {p.glass_from} {p.glass_from} {thermostat} {barostat}",
                f"run {round(0.1 * p.melt_time / p.timestep)}",
                "unfix press",
                f"fix press all npt temp {p.glass_from} {p.glass_to} {thermostat} {barostat}",
                f"run {round(p.quench_time / p.timestep)}",
                "unfix press",
            ]
        )
        return _at_rest(lammps, start, force_field)


def quench_crystal_in_lammps(
    start: Samples,
    force_field: ForceField,
    temperatures: list[float],
    stage_time: float,
    timestep: float,
    friction: float,
    seed: int,
) -> Samples:
    """A crystal molten and cooled at constant volume, a stage at each of the temperatures, then relaxed.

    Temperatures in epsilon/k_B or K, times in tau or fs, friction in 1/time.
    """
    with in_lammps(start, force_field) as lammps:
        unit = FEMTOSECOND[lammps.extract_global("units")]
        lammps.commands_list([f"timestep {timestep * unit:.17g}", f"velocity all create {temperatures[0]} {seed}"])
        lammps.command("fix move all nve")
        for number, temperature in enumerate(temperatures, start=1):
            bath = f"{temperature} {temperature} {unit / friction:.17g} {seed + number}"
            lammps.commands_list([f"fix bath all langevin {bath}", f"run {round(stage_time / timestep)}", "unfix bath"])
        lammps.command("unfix move")
        return _at_rest(lammps, start, force_field)


def _push_off(lammps: Any, force_field: ForceField, protocol: QuenchProtocol, melt: str, seed: int) -> None:
    """Drive overlapping particles apart under a soft repulsion of growing height."""
    size, height = protocol.caps[0], 60.0 * thermal_energy(force_field.units, protocol.melt_temperature)
    lammps.commands_list(
        [
            f"pair_style soft {1.12246 * size}",
            "pair_coeff * * 0.0",
            f"velocity all create {protocol.melt_temperature} {seed + 1}",
            f"fix limit all nve/limit {0.05 * size}",
            f"fix bath all langevin {melt} {seed + 2}",
            f"variable height equal ramp({0.01 * height:.17g},{height:.17g})",
            "fix grow all adapt 1 pair soft a * * v_height",
            f"run {PUSH_STEPS}",
            "unfix grow",
            "unfix bath",
            "unfix limit",
        ]
    )


def _at_rest(lammps: Any, start: Samples, force_field: ForceField) -> Samples:
    """The cooled sample at the energy minimum over positions and all six components of the box.

    The box is relaxed by our own Newton's method: the line search of LAMMPS' `fix box/relax` stalls for stiff bonds.
    """
    lammps.commands_list(["min_style cg", "min_modify dmax 0.1", "minimize 0 1e-6 20000 200000"])
    return relax_stress(read_sample(lammps, start), force_field)
