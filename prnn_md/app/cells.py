"""`prnn-md cells`: build, inspect and preview libraries of polymer cells."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.libraries import build_library, sample_seeds
from prnn_md.labels.reference import SampleLabeler
from prnn_md.md.aqs import AQSCell
from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.library import library_path, load_library, shipped_libraries
from prnn_md.md.polymer import FORCE_FIELD, polymer_force_field, quench_polymer
from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import face_widths


def inspect(name: str) -> str:
    """What a library holds, how it was made, and whether its cells are at rest."""
    samples, provenance = load_library(name)
    force_field = polymer_force_field(samples)
    neighbours = force_field.neighbours(samples.positions, samples.box)
    at_rest = (samples.positions, samples.box, samples.types, neighbours)
    zero = torch.zeros(len(samples), 6, dtype=torch.float64)
    beads = samples.positions.shape[1]
    density = beads / torch.linalg.det(samples.box)
    lines = [
        f"{library_path(name)}",
        f"cells               {len(samples)} of {beads} beads, {beads - len(samples.bonds)} chains each",
        f"density             {density.mean():.4f} +- {density.std():.4f} per sigma^3",
        f"narrowest width     {face_widths(samples.box).min():.3f} sigma",
        f"largest force       {forces(force_field, *at_rest).abs().max():.1e} epsilon/sigma",
        f"largest stress      {biot_stress(force_field, zero, *at_rest).abs().max():.1e} epsilon/sigma^3",
        f"made by             {json.dumps(provenance, sort_keys=True)}",
    ]
    return "\n".join(lines)


def tension_curves(samples: Samples, largest: float = 0.05, increments: int = 20) -> tuple[Tensor, Tensor]:
    """Strains (T+1,) and axial stresses (cells, T+1) of all cells under tension at constant volume (to first order)."""
    level = torch.linspace(0.0, largest, increments + 1, dtype=torch.float64)
    direction = torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    strains = (level[:, None] * direction).expand(len(samples), increments + 1, 6)
    stresses, _ = AQSCell(samples, polymer_force_field(samples)).rollout(strains, level)
    return level, stresses[..., 0]


def preview(name: str, output: Path) -> None:
    """Draw the chains of the first cell, and the stress of all cells under tension."""
    from matplotlib.figure import Figure

    samples, _ = load_library(name)
    figure = Figure(figsize=(9, 4), layout="constrained")
    _draw_chains(figure.add_subplot(1, 2, 1, projection="3d"), samples)
    axes = figure.add_subplot(1, 2, 2)
    strain, stress = tension_curves(samples)
    axes.plot(strain, stress.T, color="0.75", linewidth=0.6)
    axes.plot(strain, stress.mean(0), color="#0072b2", linewidth=2, label=f"mean of {len(samples)} cells")
    axes.set(
        xlabel="axial Biot strain",
        ylabel=r"axial Biot stress ($\epsilon/\sigma^3$)",
        title="isochoric tension",
    )
    axes.legend(frameon=False)
    figure.suptitle(Path(name).stem)
    figure.savefig(output, dpi=150)


def _draw_chains(axes: Any, samples: Samples) -> None:
    positions, box = samples.positions[0], samples.box[0]
    starts = sorted(set(range(len(positions))) - {int(second) for _, second in samples.bonds})
    for first, last in zip(starts, [*starts[1:], len(positions)], strict=True):
        chain = positions[first:last]
        home = box @ torch.floor(torch.linalg.solve(box, chain.mean(0)))
        axes.plot(*(chain - home).T, marker="o", markersize=5, linewidth=1.5)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    for a in range(8):
        for b in range(a + 1, 8):
            if (corners[a] - corners[b]).abs().sum() == 1:
                axes.plot(*(torch.stack([corners[a], corners[b]]) @ box.T).T, color="0.4", linewidth=0.8)
    axes.set(title=f"first cell, {len(starts)} chains", xlabel="x", ylabel="y", zlabel="z", aspect="equal")


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md cells`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prnn-md cells", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="quench a library; repeat the command to go on after an interruption")
    build.add_argument("output", type=Path, help="the library file to write, ending in .h5")
    build.add_argument("--beads", type=int, default=160)
    build.add_argument("--count", type=int, default=32)
    build.add_argument("--seed", type=int, default=1)
    build.add_argument("--processes", type=int, default=1, help="simulations that run side by side")
    build.add_argument("--timestep", type=float, default=0.01, help="of the molecular dynamics, in tau")
    build.add_argument("--melt-time", type=float, default=1000.0, help="in tau")
    build.add_argument("--quench-time", type=float, default=1000.0, help="in tau")
    shipped = ", ".join(shipped_libraries())
    for command, help in (("inspect", "say what a library holds"), ("preview", "draw a library")):
        named = commands.add_parser(command, help=help)
        named.add_argument("library", help=f"a file, or one of {shipped}")
        if command == "preview":
            named.add_argument("--output", type=Path, help="the PNG file to write (default: <library>.png)")
    options = parser.parse_args(words)
    if options.command == "build":
        _build(options)
    elif options.command == "inspect":
        print(inspect(options.library))
    else:
        output = options.output or Path(f"{Path(options.library).stem}.png")
        preview(options.library, output)
        print(output)
    return 0


def _build(options: argparse.Namespace) -> None:
    protocol = QuenchProtocol(timestep=options.timestep, melt_time=options.melt_time, quench_time=options.quench_time)
    provenance = {
        "system": "bead-spring polymer glass",
        "made_by": f"prnn_md {version('prnn_md')}, own Langevin dynamics",
        "beads": options.beads,
        "seed": options.seed,
        "protocol": asdict(protocol),
        "force_field": FORCE_FIELD.read_text(),
    }
    labeler = SampleLabeler(partial(quench_polymer, options.beads, protocol=protocol), provenance)
    seeds = sample_seeds(options.seed, options.beads, options.count)
    build_library(options.output, labeler, seeds, PoolExecutor(options.processes))
    print(options.output)
