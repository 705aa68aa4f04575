"""Cells at a temperature without strain.

`LangevinCell` against `fix langevin` and `fix nve`: kinetic temperature and mean stress, from the same samples with
different noise. Errors of means are those over cells, of the differences between the two as well; block averages in
time are given beside them. They are smaller where a cell may rearrange once, for good.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from langevin import Bath, lammps_at, our_cells
from matplotlib.figure import Figure
from shearing import BLACK, BLUE, ORANGE, STRESS, mean_with_error
from torch import Tensor

from prnn_md.md.library import load_library
from prnn_md.md.sample import Samples
from prnn_md.mechanics import COMPONENTS
from prnn_md.reference.system import velocities_of


@dataclass(frozen=True)
class Settings(Bath):
    """How cells are held at temperatures; `block` is the time over which stresses are averaged."""

    timestep: float = 0.0025
    temperatures: tuple[float, ...] = (0.1, 0.2)
    block: float = 0.25
    blocks: int = 320


SETTINGS = Settings()
QUICK = Settings(cells=2, temperatures=(0.1,), timestep=0.005, equilibration=2.0, blocks=20)


def held_by_us(samples: Samples, temperature: float, settings: Settings) -> tuple[Tensor, Tensor]:
    """Temperatures (cells, blocks) and mean stresses (cells, blocks, 6) without strain."""
    cell = our_cells(samples, temperature, settings)
    state, zero = cell.initial_state((len(samples),)), torch.zeros(len(samples), 6, dtype=torch.float64)
    temperatures, stresses = [], []
    with torch.no_grad():
        for _ in range(settings.blocks):
            stress, state = cell(zero, settings.block, state)
            temperatures.append(state.velocities.square().mean((1, 2)))
            stresses.append(stress + cell.residual_stress)
    return torch.stack(temperatures, 1), torch.stack(stresses, 1)


def held_by_lammps(samples: Samples, temperature: float, settings: Settings) -> tuple[Tensor, Tensor]:
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


def block_error(series: Tensor, joined: int) -> Tensor:
    """Standard errors (6,) of the mean over cells of series (cells, blocks, 6), with so many blocks joined to one."""
    cells, blocks = series.shape[:2]
    means = series[:, : blocks // joined * joined].reshape(cells, -1, joined, 6).mean(2)
    return (means.var(1) / means.shape[1]).sum(0).sqrt() / cells


def run(settings: Settings) -> dict[str, Any]:
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


def verdicts(results: dict[str, Any]) -> dict[str, bool]:
    """What this part claims, and whether its numbers bear it out."""
    claims = {}
    for temperature, found in results.items():
        ours, peer = (found["relative_temperature"][who]["mean"] for who in ("ours", "lammps"))
        claims[f"T = {temperature}: temperatures within 1 %"] = abs(ours - 1.0) < 0.01 and abs(peer - 1.0) < 0.01
        claims[f"T = {temperature}: stresses within 3 errors"] = max(np.abs(found["sigmas"])) < 3.0
    return claims


def figure(results: dict[str, Any], settings: Settings) -> Figure:
    """Mean stress components with error bars, and their differences."""
    page = Figure(figsize=(4.5 * len(results), 6.0), layout="constrained")
    grid = page.subplots(2, len(results), squeeze=False, sharex=True)
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
    return page
