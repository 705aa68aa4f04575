"""`prnn-md paths`: preview the families of strain paths, and write paths to a CSV file for `prnn-md predict`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from prnn_md.app.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.paths import PathOptions, path_name, sample_paths
from prnn_md.data.strain_csv import StrainPath, write_strain_paths
from prnn_md.files import replaced_when_done
from prnn_md.mechanics import COMPONENTS, mandel_weights, trace

_COLOURS = (BLACK, BLUE, ORANGE, GREEN, SKY, PURPLE)
_PER_CENT = 100.0

Paths = tuple[Tensor, Tensor]
"""Strains (paths, T+1, 6) and times (paths, T+1) of a family."""


def summary(family: str, paths: Paths) -> str:
    """One line: how many paths there are, how far they strain, how long they last, and what they are."""
    strain, times = paths
    durations = {f"{times[:, -1].min():.4g}": None, f"{times[:, -1].max():.4g}": None}
    return (
        f"{family:<24}{len(strain)} path{'s' * (len(strain) > 1)}, |E| up to {strain.norm(dim=-1).max():.4f}, "
        f"|tr E| up to {trace(strain).abs().max():.4f}, duration {' to '.join(durations)}: "
        f"{FAMILIES[family].description}"
    )


def preview(drawn: dict[str, Paths], amplitude: float) -> Figure:
    """A row for each family: components along its first and its last path, and all its paths in a plane."""
    bound = 1.05 * _PER_CENT * amplitude
    height = 0.4 + 2.8 * len(drawn)
    figure = Figure(figsize=(11.0, height))
    grid = figure.subplots(len(drawn), 3, squeeze=False, width_ratios=[1.35, 1.35, 1.0])
    figure.subplots_adjust(
        left=0.07, right=0.985, bottom=0.55 / height, top=1.0 - 0.9 / height, wspace=0.22, hspace=0.65
    )
    for (first, last, plane), (family, (strain, times)) in zip(grid, drawn.items(), strict=True):
        title = f"{family.replace('_', ' ')}: {FAMILIES[family].description}"
        first.text(0.0, 1.17, title, transform=first.transAxes, fontsize=10, fontweight="bold")
        for axes, number in ((first, 0), (last, len(strain) - 1)):
            _draw_components(axes, strain[number], times[number])
            axes.set_title(path_name(family, number).replace("_", " "), fontsize=9)
        last.set_visible(len(strain) > 1)
        _draw_plane(plane, strain, amplitude, bound)
        first.set_ylabel("tensor component of E (%)", fontsize=9)
        for axes in (first, last, plane):
            axes.set_ylim(-bound, bound)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=6, frameon=False, borderaxespad=0.4)
    return figure


def _draw_components(axes: Axes, strain: Tensor, times: Tensor) -> None:
    """The six tensor components of one path (T+1, 6) over its times (T+1,); shear is dashed."""
    components = _PER_CENT * strain / mandel_weights(strain)
    for component, colour in enumerate(_COLOURS):
        label, style = rf"$E_{{{COMPONENTS[component]}}}$", "-" if component < 3 else "--"
        axes.plot(times, components[:, component], color=colour, linestyle=style, linewidth=1.5, label=label)
    axes.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    axes.set_xlim(0.0, times[-1].item())
    axes.set_xlabel("time", fontsize=9)


def _draw_plane(axes: Axes, strain: Tensor, amplitude: float, bound: float) -> None:
    """Paths (paths, T+1, 6) on a plane of strain space, where distances are norms; first and last path in black."""
    tension = _PER_CENT * (2.0 * strain[..., 0] - strain[..., 1] - strain[..., 2]) / 6.0**0.5
    shear = _PER_CENT * strain[..., 5]
    for number in range(len(strain)):
        shown = number in (0, len(strain) - 1)
        colour, width, order = (BLACK, 1.3, 3) if shown else ("0.7", 0.8, 2)
        axes.plot(tension[number], shear[number], color=colour, linewidth=width, zorder=order)
        axes.plot(tension[number, -1:], shear[number, -1:], "o", color=colour, markersize=3.5, zorder=order)
    axes.add_patch(Circle((0.0, 0.0), _PER_CENT * amplitude, fill=False, color=GREY, linestyle=":"))
    axes.set(xlim=(-bound, bound), box_aspect=1)
    axes.set_title("all paths, those on the left in black", fontsize=9)
    axes.set_xlabel(r"$(2E_{xx} - E_{yy} - E_{zz})/\sqrt{6}$ (%)", fontsize=9)
    axes.set_ylabel(r"$\sqrt{2}\,E_{xy}$ (%)", fontsize=9, labelpad=0)


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md paths`; returns the exit code."""
    defaults = PathOptions()
    parser = argparse.ArgumentParser(
        prog="prnn-md paths",
        description=__doc__,
        epilog="families:\n" + "\n".join(f"  {name:<24}{family.description}" for name, family in FAMILIES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("family", nargs="*", help="families to draw (default: all)")
    parser.add_argument("--count", type=int, default=18, help="paths of each family (default: %(default)s)")
    parser.add_argument(
        "--increments", type=int, default=defaults.increments, help="steps of each path (default: %(default)s)"
    )
    parser.add_argument(
        "--amplitude",
        type=float,
        default=defaults.amplitude,
        help="largest norm |E| of each path (default: %(default)s)",
    )
    parser.add_argument(
        "--max-trace", type=float, default=defaults.max_trace, help="bound on |tr E| (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=3, help="of the random numbers (default: %(default)s)")
    parser.add_argument(
        "--isochoric", action="store_true", help="keep the volume exactly constant, instead of the bound"
    )
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[],
        help="mean rates, strain per unit of time, that paths take in turn",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("paths.png"), help="the PNG file to write (default: %(default)s)"
    )
    parser.add_argument("--csv", type=Path, help="also write the paths to this file, as `prnn-md predict` reads them")
    given = parser.parse_args(words)
    options = PathOptions(given.increments, given.amplitude, given.max_trace, given.isochoric, tuple(given.rates))
    drawn = {name: sample_paths(name, given.count, given.seed, options) for name in given.family or FAMILIES}
    for name, paths in drawn.items():
        print(summary(name, paths))
    with replaced_when_done(given.output) as temporary:
        preview(drawn, options.amplitude).savefig(temporary, format="png", dpi=150)
    print(given.output)
    if given.csv is not None:
        _write_csv(given.csv, drawn)
        print(given.csv)
    return 0


def _write_csv(path: Path, drawn: dict[str, Paths]) -> None:
    items = [
        StrainPath(path_name(family, number), times[number], strain[number])
        for family, (strain, times) in drawn.items()
        for number in range(len(strain))
    ]
    write_strain_paths(path, items)
