"""Athermal quasi-static shear of polymer and glass samples.

`AQSCell`, a truncated Newton method, against conjugate gradients in LAMMPS, both after every increment down to the same
root-mean-square force. Until the first plastic event of either the stresses must be the same. Events are found without
comparing the two: the first increment of each that does not lead back when `AQSCell` reverses it, which leaves out
jumps that a single increment undoes. Later, minimisers may choose different basins, so that only the sizes of events,
the falls of the shear stress, are compared. Where both choose the same basin their events are the same too: the two
sets are not independent, and a Kolmogorov-Smirnov test is milder than its p value says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import ks_2samp
from shearing import BLACK, BLUE, ORANGE, STRESS, mean_with_error, shear_path, shear_stress
from torch import Tensor

from prnn_md.md.aqs import AQSCell
from prnn_md.md.force_field import ForceField
from prnn_md.md.glass import PROTOCOL, glass_force_field, quench_glass
from prnn_md.md.polymer import polymer_force_field, quench_polymer
from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import biot_from_cauchy, from_mandel, stretch_of, to_mandel
from prnn_md.reference.system import cauchy_stress, deform, in_lammps, read_sample

FAST_POLYMER = QuenchProtocol(timestep=0.01, push_time=1.0, melt_time=50.0, quench_time=100.0)
FAST_GLASS = replace(PROTOCOL, timestep=0.01, push_time=0.5, melt_time=50.0, quench_time=100.0)
SMALLEST_EVENT = 1e-3
MOVED = 0.01
"""A particle this far from where it was before, after a reversed increment, tells of a plastic event."""


@dataclass(frozen=True)
class Settings:
    """How samples are sheared at rest; `shear` is the engineering strain at the end."""

    beads: int = 500
    particles: int = 300
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    directions: tuple[str, ...] = ("xy", "yz")
    shear: float = 0.1
    increments: int = 100
    rms_force: float = 1e-6
    polymer: QuenchProtocol = FAST_POLYMER
    glass: QuenchProtocol = FAST_GLASS


SETTINGS = Settings()
QUICK = Settings(beads=200, seeds=(1,), shear=0.03, increments=10)


def samples_of(settings: Settings) -> Iterator[tuple[str, int, Samples, ForceField]]:
    """The samples of both systems, each with its system, its seed and its force field."""
    for seed in settings.seeds:
        polymer = quench_polymer(settings.beads, seed, settings.polymer)
        yield "polymer", seed, polymer, polymer_force_field(polymer)
        glass = quench_glass(settings.particles, seed, settings.glass)
        yield "glass", seed, glass, glass_force_field(glass)


def relaxed_in_lammps(
    sample: Samples, force_field: ForceField, strains: Tensor, rms_force: float
) -> tuple[Tensor, Tensor]:
    """Biot stresses (T, 6) of LAMMPS at strains (T, 6), and minima (T, N, 3) carried back, each from the one before."""
    stresses, minima, size = [], [], sample.positions[0].numel() ** 0.5
    with in_lammps(sample, force_field) as lammps:
        lammps.commands_list(["compute virial all pressure NULL virial", "thermo_style custom step pe c_virial[1]"])
        lammps.commands_list(["thermo 0", "min_style cg", "min_modify norm two"])
        for strain in strains:
            frame = deform(lammps, sample.box[0], strain)
            for _ in range(10):  # its line search may give up, and goes on when it starts anew
                lammps.command(f"minimize 0 {rms_force * size:.17g} 100000 100000")
                reached = float(np.linalg.norm(lammps.gather_atoms("f", 1, 3)) / size)
                if reached <= 1.001 * rms_force:
                    break
            if not reached <= 1.001 * rms_force:
                raise RuntimeError(f"LAMMPS stopped at an rms force of {reached:.1e} instead of {rms_force:.0e}.")
            cauchy = frame @ from_mandel(cauchy_stress(lammps, "virial")) @ frame.T
            stresses.append(biot_from_cauchy(to_mandel(cauchy), strain))
            back = torch.linalg.inv(stretch_of(strain)) @ frame
            minima.append(read_sample(lammps, sample).positions[0] @ back.mT)
    return torch.stack(stresses), torch.stack(minima)


def relaxed(cell: AQSCell, strains: Tensor) -> tuple[Tensor, Tensor]:
    """The same of ours."""
    state, stresses, minima = cell.initial_state((1,)), [], []
    for strain in strains:
        stress, state = cell(strain[None], 0.0, state)
        stresses.append(stress[0] + cell.residual_stress[0])
        minima.append(state.positions[0])
    return torch.stack(stresses), torch.stack(minima)


def first_event(cell: AQSCell, strains: Tensor, minima: Tensor) -> int:
    """The first increment of a path (T+1, 6) whose minimum (T+1, N, 3) does not lead back; T + 1 if all do."""
    state = cell.initial_state((1,))
    for number, (before, after) in enumerate(pairwise(minima), start=1):
        state.positions[0] = after
        _, back = cell(strains[number - 1 : number], 0.0, state)
        moved = back.positions[0] - before
        if float((moved - moved.mean(0)).norm(dim=-1).max()) > MOVED:
            return number
    return len(strains)


def curve_of_both(sample: Samples, force_field: ForceField, strains: Tensor, rms_force: float) -> dict[str, Any]:
    """Stresses (T+1, 6) of ours and LAMMPS with the first plastic event of either."""
    cell = AQSCell(sample, force_field, force_tolerance=rms_force, threads=1)
    ours, minima = relaxed(cell, strains)
    peer, peer_minima = relaxed_in_lammps(sample, force_field, strains, rms_force)
    event = min(first_event(cell, strains, found) for found in (minima, peer_minima))
    return {"ours": ours, "lammps": peer, "first_event": event}


def falls(stress: Tensor) -> list[float]:
    """Sizes of all events of a curve (T,): the falls of the stress, those in consecutive increments as one."""
    sizes, size = [], 0.0
    for change in [*stress.diff().tolist(), 1.0]:
        if change < 0.0:
            size -= change
        elif size:
            sizes.append(size)
            size = 0.0
    return [size for size in sizes if size >= SMALLEST_EVENT]


def run(settings: Settings) -> dict[str, Any]:
    """Curves of all samples and directions, and what they say about each system."""
    curves = []
    for system, seed, sample, force_field in samples_of(settings):
        for direction in settings.directions:
            strains = shear_path(direction, settings.shear, settings.increments)
            curve = curve_of_both(sample, force_field, strains, settings.rms_force)
            curves.append({"system": system, "seed": seed, "direction": direction, **curve})
            print(f"  {system} {seed} {direction}: first event in increment {curve['first_event']}", flush=True)
    systems = {name: of_system([c for c in curves if c["system"] == name]) for name in ("polymer", "glass")}
    return {"systems": systems, "curves": [plain(curve) for curve in curves]}


def of_system(curves: list[dict[str, Any]]) -> dict[str, Any]:
    """Agreement until the first events and distributions of the sizes of events, of the curves of one system.

    The largest differences of any stress component are relative to the standard deviation of the shear stress.
    """
    shears = {who: [shear_stress(c[who], c["direction"]) for c in curves] for who in ("ours", "lammps")}
    scale = float(torch.cat(shears["ours"]).std())
    apart = [(c["ours"] - c["lammps"]).abs().amax(-1) / scale for c in curves]
    before = [float(d[: c["first_event"]].max()) for d, c in zip(apart, curves, strict=True)]
    parted = [int((d > 1e-2).nonzero()[0]) if bool((d > 1e-2).any()) else None for d in apart]
    sizes = {who: [size for shear in shears[who] for size in falls(shear)] for who in shears}
    result = {
        "stress_scale": scale,
        "first_events": [c["first_event"] for c in curves],
        "largest_difference_before": max(before),
        "parted_by_a_hundredth_in_increment": parted,
        "event_sizes": sizes,
        "events": {who: len(found) for who, found in sizes.items()},
        "largest_stress": {who: mean_with_error(torch.stack([s.max() for s in shears[who]])) for who in shears},
    }
    if min(len(found) for found in sizes.values()) > 1:
        test = ks_2samp(sizes["ours"], sizes["lammps"])
        result["event_size"] = {who: mean_with_error(torch.tensor(found)) for who, found in sizes.items()}
        result["kolmogorov_smirnov"] = {"distance": float(test.statistic), "p": float(test.pvalue)}
    return result


def plain(curve: dict[str, Any]) -> dict[str, Any]:
    """A curve with its shear stresses as numbers."""
    shears = {who: shear_stress(curve[who], curve["direction"]) for who in ("ours", "lammps")}
    difference = (curve["ours"] - curve["lammps"]).abs().amax(-1)
    numbers = {who: [round(value, 9) for value in shear.tolist()] for who, shear in shears.items()}
    return {**curve, **numbers, "largest_difference": [float(f"{value:.3g}") for value in difference.tolist()]}


def verdicts(results: dict[str, Any]) -> dict[str, bool]:
    """What this part claims, and whether its numbers bear it out."""
    claims = {}
    for system, found in results["systems"].items():
        claims[f"{system}: the same to 1e-4 until the first event"] = found["largest_difference_before"] < 1e-4
        if "kolmogorov_smirnov" in found:
            claims[f"{system}: the same distribution of event sizes"] = found["kolmogorov_smirnov"]["p"] > 0.05
    return claims


def figure(results: dict[str, Any], settings: Settings) -> Figure:
    """Of each system a curve, the differences of all curves, and the sizes of events."""
    page = Figure(figsize=(9.0, 9.5), layout="constrained")
    grid = page.subplots(3, 2)
    strain = np.linspace(0.0, settings.shear, settings.increments + 1)
    for column, (system, found) in enumerate(results["systems"].items()):
        curves = [curve for curve in results["curves"] if curve["system"] == system]
        particles = settings.beads if system == "polymer" else settings.particles
        grid[0][column].set_title(f"{system}, {particles} particles")
        _curve(grid[0][column], strain, curves[0])
        _differences(grid[1][column], strain, curves, found["stress_scale"])
        _sizes(grid[2][column], found["event_sizes"])
    return page


def _curve(axes: Axes, strain: np.ndarray, curve: dict[str, Any]) -> None:
    axes.plot(strain, curve["ours"], color=BLUE, label="AQSCell")
    axes.plot(strain, curve["lammps"], color=ORANGE, linestyle=(0, (3, 3)), label="LAMMPS")
    if curve["first_event"] < len(strain):
        axes.axvline(strain[curve["first_event"]], color=BLACK, linewidth=0.8, linestyle=":", label="first event")
    axes.set(xlabel=f"shear strain {curve['direction']}", ylabel=f"shear stress ({STRESS})")
    axes.legend(loc="lower right", frameon=False)


def _differences(axes: Axes, strain: np.ndarray, curves: list[dict[str, Any]], scale: float) -> None:
    for number, curve in enumerate(curves):
        gap, first = np.array(curve["largest_difference"]) / scale, curve["first_event"]
        label = ("before the first event", "after it") if number == 0 else (None, None)
        axes.semilogy(strain[1:first], gap[1:first], color=BLUE, linewidth=1.2, label=label[0], zorder=3)
        axes.semilogy(strain[first:], gap[first:], color=ORANGE, linewidth=0.6, label=label[1])
    axes.axhline(1e-4, color=BLACK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="shear strain", ylabel="difference / stress scale", ylim=(1e-8, 1e2))
    axes.legend(loc="upper left", frameon=False, ncols=2)


def _sizes(axes: Axes, sizes: dict[str, list[float]]) -> None:
    styles = {"ours": (BLUE, "-", "AQSCell"), "lammps": (ORANGE, (0, (3, 3)), "LAMMPS")}
    for who, found in sizes.items():
        colour, line, name = styles[who]
        if found:
            ordered = np.sort(found)
            part = np.arange(1, len(ordered) + 1) / len(ordered)
            axes.step(ordered, part, where="post", color=colour, linestyle=line, label=f"{name}, {len(found)} events")
    axes.set(xscale="log", xlabel=f"fall of the shear stress ({STRESS})", ylabel="part of the events up to it")
    axes.set_ylim(0.0, 1.25)
    if any(sizes.values()):
        axes.legend(loc="upper left", frameon=False)
