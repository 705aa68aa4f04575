"""The dynamics of this package against those of LAMMPS, on the same samples.

    python benchmarks/lammps_comparison.py [--quick] [--only athermal thermal rates] [--output FOLDER] [--json FILE]

Writes one JSON file with settings, seeds, versions, numbers and verdicts, in which parts that are not run anew stay as
they are, and a figure of each part. All numbers are in reduced Lennard-Jones units. The full study takes ten to
fifteen minutes on one core.

athermal   Athermal quasi-static shear of polymer and glass samples: `AQSCell`, a truncated Newton method, against
           conjugate gradients in LAMMPS, both after every increment down to the same root-mean-square force. Until
           the first plastic event of either the stresses must be the same. Events are found without comparing the
           two: the first increment of each that does not lead back when `AQSCell` reverses it, which leaves out jumps
           that a single increment undoes. Later, minimisers may choose different basins, so that only the sizes of
           events, the falls of the shear stress, are compared. Where both choose the same basin their events are the
           same too: the two sets are not independent, and a Kolmogorov-Smirnov test is milder than its p value says.
thermal    `LangevinCell` without strain against `fix langevin` and `fix nve`: kinetic temperature and mean stress.
rates      `LangevinCell` under shear at three rates against the same thermostat with `fix deform`, which carries
           positions along with the box and leaves peculiar velocities alone, as ours does.

Each thermal cell is simulated by both from the same sample with different noise. Errors of means are those over cells,
of the differences between the two as well; block averages in time are given beside them. They are smaller where a cell
may rearrange once, for good.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import ks_2samp
from torch import Tensor

from prnn_md.files import replaced_when_done, write_text
from prnn_md.md.aqs import AQSCell
from prnn_md.md.force_field import ForceField
from prnn_md.md.glass import PROTOCOL, glass_force_field, quench_glass
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field, quench_polymer
from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import (
    COMPONENTS,
    biot_from_cauchy,
    from_mandel,
    stretch_of,
    to_mandel,
)
from prnn_md.reference.dynamics import Thermal as LangevinReference
from prnn_md.reference.system import cauchy_stress, deform, in_lammps, read_sample, velocities_of

PACKAGES = ("prnn_md", "lammps", "torch", "numpy", "scipy", "numba")
ROOT = Path(__file__).parents[1]
RESULTS, SCRATCH = "results/lammps_comparison", "outputs/lammps_comparison"
BLACK, BLUE, ORANGE = "#000000", "#0072B2", "#D55E00"
STRESS = r"$\varepsilon/\sigma^3$"
FAST_POLYMER = QuenchProtocol(timestep=0.01, push_time=1.0, melt_time=50.0, quench_time=100.0)
FAST_GLASS = replace(PROTOCOL, timestep=0.01, push_time=0.5, melt_time=50.0, quench_time=100.0)
SMALLEST_EVENT = 1e-3
MOVED = 0.01
"""A particle this far from where it was before, after a reversed increment, tells of a plastic event."""


@dataclass(frozen=True)
class Athermal:
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


@dataclass(frozen=True)
class Thermal:
    """How cells of 80 beads are held at a temperature; `block` is the time over which stresses are averaged."""

    cells: int = 16
    temperatures: tuple[float, ...] = (0.1, 0.2)
    timestep: float = 0.0025
    friction: float = 1.0
    equilibration: float = 20.0
    block: float = 0.25
    blocks: int = 320
    seed: int = 1


@dataclass(frozen=True)
class Rates:
    """How cells of 80 beads are sheared at a temperature; stresses are averaged over the second half of the path."""

    cells: int = 16
    directions: tuple[str, ...] = ("xy", "yz")
    temperature: float = 0.2
    rates: tuple[float, ...] = (5e-4, 5e-3, 5e-2)
    timestep: float = 0.005
    friction: float = 1.0
    equilibration: float = 20.0
    shear: float = 0.1
    increments: int = 10
    seed: int = 2


QUICK: dict[str, Any] = {
    "athermal": Athermal(beads=200, seeds=(1,), shear=0.03, increments=10),
    "thermal": Thermal(cells=2, temperatures=(0.1,), timestep=0.005, equilibration=2.0, blocks=20),
    "rates": Rates(cells=2, directions=("xy",), rates=(5e-3, 1.5e-2, 5e-2), equilibration=2.0),
}


def shear_path(direction: str, shear: float, increments: int) -> Tensor:
    """Biot strains (T+1, 6) in equal steps up to an engineering shear strain."""
    strains = torch.zeros(increments + 1, 6, dtype=torch.float64)
    strains[:, COMPONENTS.index(direction)] = torch.linspace(0.0, shear / 2**0.5, increments + 1, dtype=torch.float64)
    return strains


def shear_stress(stresses: Tensor, direction: str) -> Tensor:
    """The shear stress (...,) of Mandel stresses (..., 6)."""
    return stresses[..., COMPONENTS.index(direction)] / 2**0.5


def mean_with_error(values: Tensor) -> dict[str, Any]:
    """Mean over the first dimension and its standard error."""
    return {"mean": values.mean(0).tolist(), "error": (values.std(0) / len(values) ** 0.5).tolist()}


# Athermal shear


def athermal_samples(settings: Athermal) -> Iterator[tuple[str, int, Samples, ForceField]]:
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


def athermal_curve(sample: Samples, force_field: ForceField, strains: Tensor, rms_force: float) -> dict[str, Any]:
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


def athermal(settings: Athermal) -> dict[str, Any]:
    """Curves of all samples and directions, and what they say about each system."""
    curves = []
    for system, seed, sample, force_field in athermal_samples(settings):
        for direction in settings.directions:
            strains = shear_path(direction, settings.shear, settings.increments)
            curve = athermal_curve(sample, force_field, strains, settings.rms_force)
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


# Cells at a temperature


@contextmanager
def lammps_at(
    sample: Samples, temperature: float, settings: "Thermal | Rates", seed: int
) -> Iterator[tuple[Any, LangevinReference]]:
    """A LAMMPS instance in which one sample is in equilibrium, and what drives it on; all steps are averaged."""
    driven = LangevinReference(
        temperature, settings.timestep, settings.friction, equilibration=settings.equilibration, window=1.0
    )
    with in_lammps(sample, force_field := polymer_force_field(sample)) as lammps:
        driven.begin(lammps, force_field, seed)
        driven.rest(lammps, sample.box[0])
        yield lammps, driven


def held_by_us(samples: Samples, temperature: float, settings: Thermal) -> tuple[Tensor, Tensor]:
    """Temperatures (cells, blocks) and mean stresses (cells, blocks, 6) without strain."""
    cell = langevin_cell(samples, temperature, settings)
    state, zero = cell.initial_state((len(samples),)), torch.zeros(len(samples), 6, dtype=torch.float64)
    temperatures, stresses = [], []
    with torch.no_grad():
        for _ in range(settings.blocks):
            stress, state = cell(zero, settings.block, state)
            temperatures.append(state.velocities.square().mean((1, 2)))
            stresses.append(stress + cell.residual_stress)
    return torch.stack(temperatures, 1), torch.stack(stresses, 1)


def held_by_lammps(samples: Samples, temperature: float, settings: Thermal) -> tuple[Tensor, Tensor]:
    """The same of LAMMPS."""
    temperatures, stresses, zero = [], [], torch.zeros(6, dtype=torch.float64)
    for number in range(len(samples)):
        sample, seed = samples[[number]], 10_000 * settings.seed + 10 * number + 1
        with lammps_at(sample, temperature, settings, seed) as (lammps, driven):
            for _ in range(settings.blocks):
                stresses.append(driven.increment(lammps, sample.box[0], zero, zero, settings.block))
                temperatures.append(velocities_of(lammps).square().mean())
    shape = (len(samples), settings.blocks)
    return torch.stack(temperatures).reshape(shape), torch.stack(stresses).reshape(*shape, 6)


def langevin_cell(samples: Samples, temperature: float, settings: "Thermal | Rates") -> LangevinCell:
    """Our cells; the stress is averaged over whole increments."""
    return LangevinCell(
        samples,
        polymer_force_field(samples),
        temperature,
        settings.timestep,
        settings.friction,
        window=1.0,
        equilibration=settings.equilibration,
        seed=settings.seed,
        threads=1,
    )


def block_error(series: Tensor, joined: int) -> Tensor:
    """Standard errors (6,) of the mean over cells of series (cells, blocks, 6), with so many blocks joined to one."""
    cells, blocks = series.shape[:2]
    means = series[:, : blocks // joined * joined].reshape(cells, -1, joined, 6).mean(2)
    return (means.var(1) / means.shape[1]).sum(0).sqrt() / cells


def thermal(settings: Thermal) -> dict[str, Any]:
    """Temperatures and mean stresses of both at all temperatures."""
    samples, result = load_library("polymer_80_a")[0][: settings.cells], {}
    for temperature in settings.temperatures:
        found = {
            "ours": held_by_us(samples, temperature, settings),
            "lammps": held_by_lammps(samples, temperature, settings),
        }
        result[str(temperature)] = compared(found, temperature)
        ratio = [result[str(temperature)]["relative_temperature"][who]["mean"] for who in found]
        print(f"  T = {temperature}: temperature {ratio[0]:.4f} and {ratio[1]:.4f} of what it ought to be", flush=True)
    return result


def compared(found: dict[str, tuple[Tensor, Tensor]], temperature: float) -> dict[str, Any]:
    """Means and errors of temperature and stress; `sigmas` are the differences in units of their errors."""
    means = {who: stress.mean(1) for who, (_, stress) in found.items()}
    difference = mean_with_error(means["ours"] - means["lammps"])
    joined = max(1, found["ours"][1].shape[1] // 16)
    return {
        "relative_temperature": {who: mean_with_error(t.mean(1) / temperature) for who, (t, _) in found.items()},
        "stress": {who: mean_with_error(mean) for who, mean in means.items()},
        "block_error": {who: block_error(stress, joined).tolist() for who, (_, stress) in found.items()},
        "difference": difference,
        "sigmas": (np.array(difference["mean"]) / np.array(difference["error"])).tolist(),
    }


# Cells under shear at a rate


def sheared_by_us(samples: Samples, rate: float, settings: Rates) -> Tensor:
    """Mean shear stresses (directions, cells, T) over all increments of a path at a rate."""
    cell = langevin_cell(samples, settings.temperature, settings)
    paths = torch.stack([shear_path(d, settings.shear, settings.increments) for d in settings.directions])
    strains = paths[:, None].expand(-1, len(samples), -1, -1)
    times = torch.linspace(0.0, settings.shear / rate, settings.increments + 1, dtype=torch.float64)
    with torch.no_grad():
        stresses = cell.rollout(strains, times)[0] + cell.residual_stress[None, :, None]
    shears = [shear_stress(stress, d) for stress, d in zip(stresses, settings.directions, strict=True)]
    return torch.stack(shears)[..., 1:]


def sheared_by_lammps(samples: Samples, rate: float, settings: Rates) -> Tensor:
    """The same of LAMMPS."""
    result, dt = [], settings.shear / rate / settings.increments
    for turn, direction in enumerate(settings.directions):
        strains = shear_path(direction, settings.shear, settings.increments)
        for number in range(len(samples)):
            sample, seed = samples[[number]], 10_000 * settings.seed + 100 * number + 10 * turn + 1
            with lammps_at(sample, settings.temperature, settings, seed) as (lammps, driven):
                stresses = [driven.increment(lammps, sample.box[0], *pair, dt) for pair in pairwise(strains)]
            result.append(shear_stress(torch.stack(stresses), direction))
    return torch.stack(result).reshape(len(settings.directions), len(samples), -1)


def rates(settings: Rates) -> dict[str, Any]:
    """Shear stresses of both at all rates, averaged over directions and the second half of the path.

    `rise` is how much more it is than at the rate before, in the same cells.
    """
    samples, rows = load_library("polymer_80_b")[0][: settings.cells], []
    slower: dict[str, Tensor] = {}
    for rate in settings.rates:
        found = {
            "ours": sheared_by_us(samples, rate, settings),
            "lammps": sheared_by_lammps(samples, rate, settings),
        }
        late = {who: stress[..., settings.increments // 2 :].mean((0, 2)) for who, stress in found.items()}
        difference = mean_with_error(late["ours"] - late["lammps"])
        row = {
            "rate": rate,
            "stress": {who: mean_with_error(mean) for who, mean in late.items()},
            "difference": difference,
            "sigmas": difference["mean"] / difference["error"],
            "rise": {who: mean_with_error(late[who] - mean) for who, mean in slower.items()},
            "curves": {who: mean_with_error(stress.mean(0)) for who, stress in found.items()},
        }
        slower = late
        means = [row["stress"][who] for who in ("ours", "lammps")]
        texts = [f"{m['mean']:.3f} +- {m['error']:.3f}" for m in means]
        print(f"  rate {rate}: shear stress {texts[0]} against {texts[1]}", flush=True)
        rows.append(row)
    return {"rows": rows}


# Verdicts and figures


def verdicts(results: dict[str, Any]) -> dict[str, bool]:
    """What the study claims, and whether its numbers bear it out."""
    claims = {}
    for system, found in results.get("athermal", {"systems": {}})["systems"].items():
        claims[f"{system}: the same to 1e-4 until the first event"] = found["largest_difference_before"] < 1e-4
        if "kolmogorov_smirnov" in found:
            claims[f"{system}: the same distribution of event sizes"] = found["kolmogorov_smirnov"]["p"] > 0.05
    for temperature, found in results.get("thermal", {}).items():
        ours, peer = (found["relative_temperature"][who]["mean"] for who in ("ours", "lammps"))
        claims[f"T = {temperature}: temperatures within 1 %"] = abs(ours - 1.0) < 0.01 and abs(peer - 1.0) < 0.01
        claims[f"T = {temperature}: stresses within 3 errors"] = max(np.abs(found["sigmas"])) < 3.0
    rows = results.get("rates", {"rows": []})["rows"]
    for row in rows:
        claims[f"rate {row['rate']}: stresses within 3 errors"] = abs(row["sigmas"]) < 3.0
    for who in ("ours", "lammps") if rows else ():
        rises = [row["rise"][who] for row in rows[1:]]
        claims[f"the stress rises with the rate, {who}"] = all(r["mean"] > 2.0 * r["error"] for r in rises)
    return {claim: bool(held) for claim, held in claims.items()}


def athermal_figure(results: dict[str, Any], settings: Athermal) -> Figure:
    """Of each system a curve, the differences of all curves, and the sizes of events."""
    figure = Figure(figsize=(9.0, 9.5), layout="constrained")
    grid = figure.subplots(3, 2)
    strain = np.linspace(0.0, settings.shear, settings.increments + 1)
    for column, (system, found) in enumerate(results["systems"].items()):
        curves = [curve for curve in results["curves"] if curve["system"] == system]
        particles = settings.beads if system == "polymer" else settings.particles
        grid[0][column].set_title(f"{system}, {particles} particles")
        _curve(grid[0][column], strain, curves[0])
        _differences(grid[1][column], strain, curves, found["stress_scale"])
        _sizes(grid[2][column], found["event_sizes"])
    return figure


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


def thermal_figure(results: dict[str, Any], settings: Thermal) -> Figure:
    """Mean stress components with error bars, and their differences."""
    figure = Figure(figsize=(4.5 * len(results), 6.0), layout="constrained")
    grid = figure.subplots(2, len(results), squeeze=False, sharex=True)
    place = np.arange(6)
    for column, (temperature, found) in enumerate(results.items()):
        for who, shift, colour, name in (("ours", -0.1, BLUE, "LangevinCell"), ("lammps", 0.1, ORANGE, "LAMMPS")):
            numbers = found["stress"][who]
            style = {"fmt": "o", "color": colour, "label": name, "capsize": 3}
            grid[0][column].errorbar(place + shift, numbers["mean"], numbers["error"], **style)
        gap = found["difference"]
        grid[1][column].errorbar(place, gap["mean"], gap["error"], fmt="o", color=BLACK, capsize=3)
        grid[1][column].axhline(0.0, color=BLACK, linewidth=0.8, linestyle=":")
        grid[0][column].set_title(rf"$T$ = {temperature} $\varepsilon/k_B$, {settings.cells} cells of 80 beads")
        grid[0][column].legend(loc="lower right", frameon=False)
        grid[1][column].set_xticks(place, [rf"${c}$" for c in COMPONENTS])
    grid[0][0].set_ylabel(f"mean stress, Mandel ({STRESS})")
    grid[1][0].set_ylabel(f"ours - LAMMPS ({STRESS})")
    return figure


def rates_figure(results: dict[str, Any], settings: Rates) -> Figure:
    """Curves at all rates, and the stress of their second half over the rate."""
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    width = settings.shear / settings.increments
    strain = width * (np.arange(settings.increments) + 0.5)
    markers = ("o", "s", "^")
    for row, marker in zip(results["rows"], markers, strict=True):
        for who, colour, name in (("ours", BLUE, "LangevinCell"), ("lammps", ORANGE, "LAMMPS")):
            numbers = row["curves"][who]
            shift = 0.05 * width * (-1 if who == "ours" else 1)
            label = rf"{name}, {row['rate']:g} $\tau^{{-1}}$"
            left.errorbar(strain + shift, numbers["mean"], numbers["error"], color=colour, marker=marker, label=label,
                          linewidth=1.0, markersize=4)  # fmt: skip
    for who, colour, name in (("ours", BLUE, "LangevinCell"), ("lammps", ORANGE, "LAMMPS")):
        points = [row["stress"][who] for row in results["rows"]]
        shifted = [row["rate"] * (0.96 if who == "ours" else 1.04) for row in results["rows"]]
        right.errorbar(shifted, [p["mean"] for p in points], [p["error"] for p in points], color=colour, marker="o",
                       label=name, capsize=3)  # fmt: skip
    left.set(xlabel="shear strain", ylabel=f"shear stress ({STRESS})")
    left.set_ylim(0.0, 1.45 * left.get_ylim()[1])
    left.legend(loc="upper left", frameon=False, fontsize=8)
    half = 0.5 * settings.shear
    right.set(xscale="log", xlabel=r"shear rate ($\tau^{-1}$)")
    right.set_ylabel(f"mean shear stress from strain {half:g} to {settings.shear:g} ({STRESS})")
    right.legend(loc="upper left", frameon=False)
    return figure


PARTS: dict[str, tuple[Any, Callable[[Any], dict[str, Any]], Callable[[Any, Any], Figure]]] = {
    "athermal": (Athermal(), athermal, athermal_figure),
    "thermal": (Thermal(), thermal, thermal_figure),
    "rates": (Rates(), rates, rates_figure),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in a minute: too little for verdicts")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="parts to run anew")
    parser.add_argument("--output", type=Path, help=f"folder, by default {RESULTS}, or with --quick {SCRATCH}")
    parser.add_argument("--json", type=Path, help="file for the numbers, by default comparison.json in the folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.output or ROOT / (SCRATCH if options.quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    table = options.json or folder / "comparison.json"
    report = json.loads(table.read_text()) if table.exists() else {"parts": {}}
    for name in options.only:
        settings, work, draw = PARTS[name]
        settings = QUICK[name] if options.quick else settings
        print(name, flush=True)
        start = time.process_time()
        results = work(settings)
        report["parts"][name] = {
            "quick": options.quick,
            "settings": asdict(settings),
            "versions": {package: version(package) for package in PACKAGES},
            "cpu_seconds": round(time.process_time() - start),
            "results": results,
        }
        with replaced_when_done(folder / f"{name}.png") as file:
            draw(results, settings).savefig(file, format="png", dpi=150)
        report["verdicts"] = verdicts({part: entry["results"] for part, entry in report["parts"].items()})
        write_text(table, json.dumps(report) + "\n")
    for claim, held in report["verdicts"].items():
        print(f"{'yes' if held else 'NO '}  {claim}")


if __name__ == "__main__":
    main()
