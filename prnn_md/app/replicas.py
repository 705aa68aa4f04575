"""`prnn-md dataset replicas`: how sure labels are that are means over so many replicas, and how many it takes."""

import sys
from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from prnn_md.app.colours import BLACK, BLUE, GREEN, GREY, ORANGE
from prnn_md.data.dataset import DatasetFile, StressStrainData
from prnn_md.files import replaced_when_done
from prnn_md.statistics import ReplicaError, replica_errors, replicas_needed

LEAST = 3
"""Replicas below which a spread says little: a mean over two has an interval seven times as wide as one over six."""

TARGETS = {"standard_error": "standard error", "student_t": "95 % half-width (Student-t)"}
"""What can be asked for, by its name in ReplicaError."""


def replicas(name: str, output: Path, resamples: int, seed: int, target: float, half_width: bool) -> None:
    """Print how errors fall with the number of replicas, and how many reach the target; draw it as a PNG file.

    Paths with the most replicas are looked at. Raises ValueError for a set without replicas or a bad target.
    """
    file = DatasetFile(name)
    data = file.read()
    most = int(data.replica_count.max())
    if most == 0:
        raise ValueError(f"{file.path}: it has no replicas, so that its stresses are taken to be exact.")
    full = data.select((data.replica_count == most).nonzero().flatten().tolist())
    generator = torch.Generator().manual_seed(seed)
    errors = replica_errors(full.replicas[:, :most].double(), data.stress_scale, generator, resamples)
    what = "student_t" if half_width else "standard_error"
    counts, reached = [row.replicas for row in errors], [getattr(row, what) for row in errors]
    needed, is_extrapolated = replicas_needed(counts, reached, target)
    print(_table(data, len(full), errors))
    print(_advice(what, target, needed, is_extrapolated, most))
    _warn_of_few(data)
    with replaced_when_done(output) as temporary:
        figure(data.name, errors, what, target, needed).savefig(temporary, format="png", dpi=150)
    print(output)


def _table(data: StressStrainData, full: int, errors: Sequence[ReplicaError]) -> str:
    most = errors[-1].replicas
    lines = [
        f"{data.name}: {full} of {len(data)} paths, which have {most} replicas; relative to the stress scale",
        "replicas   standard error   95 % half-width: Student-t   bootstrap",
    ]
    lines += [
        f"{row.replicas:8d}{row.standard_error:17.4f}{row.student_t:29.4f}{row.bootstrap:12.4f}" for row in errors
    ]
    return "\n".join(lines)


def _advice(what: str, target: float, needed: int, is_extrapolated: bool, most: int) -> str:
    source = f"extrapolated from {most} by R^-1/2" if is_extrapolated else "of those that are there"
    least = f"; take at least {LEAST}" if needed < LEAST else ""
    return f"{TARGETS[what]} of {target:g}: {needed} replicas, {source}{least}"


def _warn_of_few(data: StressStrainData) -> None:
    few = int(((data.replica_count > 0) & (data.replica_count < LEAST)).sum())
    if few:
        told = f"{few} of {len(data)} paths have fewer than {LEAST} replicas"
        print(f"warning: {told}, which say little about their own noise.", file=sys.stderr)


def figure(name: str, errors: Sequence[ReplicaError], what: str, target: float, needed: int) -> Figure:
    """Half-widths and standard error over the number of replicas, with the line R^-1/2 and the target."""
    drawn = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = drawn.add_subplot()
    counts = [row.replicas for row in errors]
    farthest = max(needed, counts[-1])
    for key, marker, colour, label in (
        ("student_t", "o", BLUE, "95 % half-width, Student-t"),
        ("bootstrap", "s", ORANGE, "95 % half-width, bootstrap (too narrow for few replicas)"),
        ("standard_error", "^", GREEN, "standard error"),
    ):
        values = [getattr(row, key) for row in errors]
        axes.plot(counts, values, marker=marker, color=colour, linewidth=1.5, markersize=5, label=label)
    for key in TARGETS:
        line = [getattr(errors[-1], key) * sqrt(counts[-1] / count) for count in (counts[0], farthest)]
        axes.plot([counts[0], farthest], line, color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    axes.lines[-1].set_label(r"$R^{-1/2}$ through the most replicas")
    axes.axhline(target, color=BLACK, linewidth=0.8, linestyle=":", label=f"target of the {TARGETS[what]}: {target:g}")
    nearest = errors[min(needed, counts[-1]) - counts[0]]
    reached = getattr(nearest, what) * sqrt(nearest.replicas / needed)
    axes.plot([needed], [reached], "*", color=BLACK, markersize=12, label=f"{needed} replicas reach it", zorder=4)
    axes.set(xscale="log", yscale="log", xlabel="replicas R", ylabel="error / stress scale")
    axes.set_title(f"{name}: errors of labels that are means over R replicas", fontsize=11)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5, 6, 8) if farthest <= 10 else (1, 2, 5)))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return drawn
