"""Cells under shear at three rates.

`LangevinCell` against the same thermostat in LAMMPS with `fix deform`, which carries positions along with the box and
leaves peculiar velocities alone, as ours does. Both start from the same samples, with different noise.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from langevin import Bath, lammps_at, our_cells
from matplotlib.figure import Figure
from shearing import BLUE, ORANGE, STRESS, mean_with_error, shear_path, shear_stress
from torch import Tensor

from prnn_md.md.library import load_library
from prnn_md.md.sample import Samples


@dataclass(frozen=True)
class Settings(Bath):
    """How cells are sheared at a temperature; stresses are averaged over the second half of the path."""

    directions: tuple[str, ...] = ("xy", "yz")
    temperature: float = 0.2
    rates: tuple[float, ...] = (5e-4, 5e-3, 5e-2)
    shear: float = 0.1
    increments: int = 10
    seed: int = 2


SETTINGS = Settings()
QUICK = Settings(cells=2, directions=("xy",), rates=(5e-3, 1.5e-2, 5e-2), equilibration=2.0)


def sheared_by_us(samples: Samples, rate: float, settings: Settings) -> Tensor:
    """Mean shear stresses (directions, cells, T) over all increments of a path at a rate."""
    cell = our_cells(samples, settings.temperature, settings)
    paths = torch.stack([shear_path(d, settings.shear, settings.increments) for d in settings.directions])
    strains = paths[:, None].expand(-1, len(samples), -1, -1)
    times = torch.linspace(0.0, settings.shear / rate, settings.increments + 1, dtype=torch.float64)
    with torch.no_grad():
        stresses = cell.rollout(strains, times)[0] + cell.residual_stress[None, :, None]
    shears = [shear_stress(stress, d) for stress, d in zip(stresses, settings.directions, strict=True)]
    return torch.stack(shears)[..., 1:]


def sheared_by_lammps(samples: Samples, rate: float, settings: Settings) -> Tensor:
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


def run(settings: Settings) -> dict[str, Any]:
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


def verdicts(results: dict[str, Any]) -> dict[str, bool]:
    """What this part claims, and whether its numbers bear it out."""
    rows = results["rows"]
    claims = {f"rate {row['rate']}: stresses within 3 errors": abs(row["sigmas"]) < 3.0 for row in rows}
    for who in ("ours", "lammps"):
        rises = [row["rise"][who] for row in rows[1:]]
        claims[f"the stress rises with the rate, {who}"] = all(r["mean"] > 2.0 * r["error"] for r in rises)
    return claims


def figure(results: dict[str, Any], settings: Settings) -> Figure:
    """Curves at all rates, and the stress of their second half over the rate."""
    page = Figure(figsize=(10.0, 4.2), layout="constrained")
    left, right = page.subplots(1, 2)
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
    return page
