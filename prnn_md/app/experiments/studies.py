"""What each named study asks of its runs, and how it is drawn."""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from prnn_md.app.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY
from prnn_md.app.experiments.summary import Group
from prnn_md.files import replaced_when_done

NET = "test/net_error"
TARGET = 0.15
"""Net error, in units of the stress scale, that a model is to reach with as few training paths as it can."""

PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "unloading": (("cycles", "monotonic"),),
    "rate": (("slow", "fast"),),
    "step_size": (("coarse", "test"), ("fine", "test")),
    "transfer": (("changed", "seen"),),
    "confirmation": (("unseen", "test"),),
}
"""Tests whose errors a study compares: what the model has not seen, and what it has."""

CURVES = ("data_efficiency", "composite")
"""Studies of the number of training paths."""

WAYS = ("encoder_gradients", "training_options")
"""Studies of ways to train the same model."""

ERROR_TICKS = (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY)


def data_efficiency(groups: Sequence[Group], grids: Sequence[str]) -> dict[str, Any]:
    """Net error over the number of training paths, and the numbers at which models first reach the target.

    The first grid is the reference, to whose number that of every other model is taken in proportion. What is there
    without training counts as one path. Where a model does not get there, its ratio is a lower bound: that of the most
    paths that it was given.
    """
    curves = {name: _curve(members) for name, members in _by_grid(groups).items()}
    at_target = {name: _paths_at_target(curve) for name, curve in curves.items()}
    reference, others = grids[0], [name for name in curves if name != grids[0]]
    own = at_target.get(reference)
    asked = {name: at_target[name] or max(curves[name], default=0) for name in others}
    return {
        "target": TARGET,
        "reference": reference,
        "net_error": {name: {str(n): value for n, value in curve.items()} for name, curve in curves.items()},
        "pool": max(group.n_train for group in groups),
        "paths_at_target": at_target,
        "paths_ratio": {name: None if own is None else asked[name] / own for name in others},
        "is_lower_bound": {name: own is not None and at_target[name] is None for name in others},
    }


def _paths_at_target(curve: Mapping[int, float]) -> int | None:
    return next((max(n, 1) for n, value in sorted(curve.items()) if value <= TARGET), None)


def _curve(groups: Sequence[Group]) -> dict[int, float]:
    """Mean net error by the number of training paths, of which untrained models have none."""
    samples = [value for group in groups for value in group.samples("untrained/net_error")]
    curve = {0: mean(samples)} if samples else {}
    for group in sorted(groups, key=lambda group: group.n_train):
        error = group.mean(NET)
        if error is not None:
            curve[group.n_train] = error
    return curve


def cells(groups: Sequence[Group], grids: Sequence[str]) -> dict[str, Any]:
    """Net error over cost, in beads that are followed in every increment, and what training saves of it.

    For every choice of cells without training, `cost_ratio` is its cost over that of the cheapest one of the same grid
    that does as well with it, and `cost_ratio_to_any` the same for those of all grids; None where none does.
    """
    rows = [_cost_row(group) for group in groups]
    for row in rows:
        as_good = [
            other
            for other in rows
            if None not in (row["untrained"], other["trained"]) and other["trained"] <= row["untrained"]
        ]
        for name, those in (
            ("cost_ratio", [other for other in as_good if other["model"] == row["model"]]),
            ("cost_ratio_to_any", as_good),
        ):
            row[name] = row["cost"] / min(other["cost"] for other in those) if those else None
    return {"cost": "beads per increment", "frontier": sorted(rows, key=lambda row: (row["model"], row["cost"]))}


def _cost_row(group: Group) -> dict[str, Any]:
    values = {key: value for word in group.lines[0]["words"] for key, _, value in [word.partition("=")]}
    count, beads = (int(values[f"md.polymer.{name}"]) for name in ("count", "beads"))
    errors = {"untrained": group.mean("untrained/net_error"), "trained": group.mean(NET)}
    spread = {"untrained_spread": group.spread("untrained/net_error"), "trained_spread": group.spread(NET)}
    return {"model": group.grid, "cells": count, "beads": beads, "cost": count * beads, **errors, **spread}


def ways_to_train(groups: Sequence[Group], grids: Sequence[str]) -> dict[str, Any]:
    """Net error before and after training in each way, and how far it is from that of the first way.

    `valid`, the validation error that chose the weights, has the noise of labels in it. The difference is a mean over
    the seeds that both have, and has its standard deviation.
    """
    ordered = sorted(groups, key=lambda group: grids.index(group.grid))
    return {"ways": [_way(group, ordered[0]) for group in ordered]}


def _way(group: Group, first: Group) -> dict[str, Any]:
    errors, those = ({line["seed"]: line["metrics"][NET] for line in some.lines} for some in (group, first))
    differences = [error - those[seed] for seed, error in errors.items() if seed in those]
    return {
        "way": group.grid,
        "untrained": group.mean("untrained/net_error"),
        "valid": group.mean("valid/error"),
        "trained": group.mean(NET),
        "trained_spread": group.spread(NET),
        "difference": mean(differences) if differences else None,
        "difference_spread": stdev(differences) if len(differences) > 1 else None,
    }


Study = Callable[[Sequence[Group], Sequence[str]], dict[str, Any]]
"""What a summary says of groups of runs, given the names of all grids of the study in their order."""


def _ratios(pairs: Sequence[tuple[str, str]]) -> Study:
    def study(groups: Sequence[Group], grids: Sequence[str]) -> dict[str, Any]:
        return {"ratios": [_ratio(group, *pair) for group in groups for pair in pairs]}

    return study


def _ratio(group: Group, unseen: str, seen: str) -> dict[str, Any]:
    """Errors of a group in two tests, and the ratio of the first to the second, of means over runs."""
    values: dict[str, float | None] = {}
    for what in ("error", "net_error"):
        one, other = group.mean(f"{unseen}/{what}"), group.mean(f"{seen}/{what}")
        values |= {f"{unseen}_{what}": one, f"{seen}_{what}": other}
        values[f"{what}_ratio"] = one / other if one is not None and other is not None and other > 0.0 else None
    zero = {f"{test}_zero": group.mean(f"{test}/zero_error") for test in (unseen, seen)}
    return {"model": group.grid, **group.values, "unseen": unseen, "seen": seen, **values, **zero}


STUDIES: Mapping[str, Study] = {
    **dict.fromkeys(CURVES, data_efficiency),
    "cells": cells,
    **dict.fromkeys(WAYS, ways_to_train),
    **{name: _ratios(pairs) for name, pairs in PAIRS.items()},
}
"""What the summary of a study says beside means and spreads, by its name."""


def draw(name: str, groups: Sequence[Group], file: Path) -> None:
    """Draw the figure of an experiment: bars side by side, errors over cost, or else over training paths."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    if name == "cells":
        _draw_costs(axes, groups)
    elif name in WAYS:
        _draw_bars(axes, groups, {"untrained": "untrained", "test": "trained"})
    elif name in PAIRS:
        _draw_tests(axes, groups, list(dict.fromkeys(test for pair in PAIRS[name] for test in reversed(pair))))
    else:
        _draw_curves(figure, axes, groups, TARGET if name in CURVES else None)
    with replaced_when_done(file) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _draw_curves(figure: Figure, axes: Axes, groups: Sequence[Group], target: float | None) -> None:
    """Net error over the number of training paths, with the standard deviation over runs."""
    for number, (name, members) in enumerate(_by_grid(groups).items()):
        colour, style = COLOURS[number % len(COLOURS)], "-" if number < len(COLOURS) else "--"
        ordered = sorted(members, key=lambda group: group.n_train)
        numbers = [group.n_train for group in ordered]
        values = [_or_nan(group.mean(NET)) for group in ordered]
        spread = [group.spread(NET) or 0.0 for group in ordered]
        line = axes.errorbar(numbers, values, spread, color=colour, marker="o", markersize=4, capsize=2, label=name)[0]
        line.set_linestyle(style)
        untrained = _curve(members).get(0)
        if untrained is not None and untrained < 0.9:  # better than to predict zero
            axes.axhline(untrained, color=colour, linestyle=":", linewidth=1.0, label=f"{name} untrained")
    if target is not None:
        axes.axhline(target, color=GREY, linewidth=0.8)
        axes.annotate(f"target {target}", (0.0, target), (3, 2), ("axes fraction", "data"), "offset points")
    axes.set_xscale("log")
    axes.set_xticks(sorted({group.n_train for group in groups}))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    _scale_errors(axes)
    axes.set_xlabel("training paths")
    axes.set_ylabel("net test error / stress scale")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _draw_costs(axes: Axes, groups: Sequence[Group]) -> None:
    """Net error over beads per increment, a line for each kind and size of cells, dotted without training."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for group in groups:
        row = _cost_row(group)
        lines.setdefault(f"{row['model']}, {row['beads']} beads", []).append(row)
    for (label, rows), colour in zip(lines.items(), COLOURS * 9, strict=False):
        ordered = sorted(rows, key=lambda row: row["cost"])
        costs = [row["cost"] for row in ordered]
        for which, style in (("untrained", ":"), ("trained", "-")):
            values = [_or_nan(row[which]) for row in ordered]
            spread = [row[f"{which}_spread"] or 0.0 for row in ordered]
            name = label if which == "trained" else None
            axes.errorbar(
                costs, values, spread, color=colour, linestyle=style, marker="o", markersize=4, capsize=2, label=name
            )
    axes.plot([], [], color=BLACK, linestyle=":", label="without training")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("beads per increment")
    axes.set_ylabel("net test error / stress scale")
    axes.legend(frameon=False, fontsize=8)


def _draw_tests(axes: Axes, groups: Sequence[Group], tests: Sequence[str]) -> None:
    """Net errors of every group in some tests, with the error of predicting zero as a line."""
    bars = _draw_bars(axes, groups, {test: test.replace("_", " ") for test in tests})
    _scale_errors(axes)
    for test, places in bars.items():
        zeros = [_or_nan(group.mean(f"{test}/zero_error")) for group in groups]
        half = 0.4 / len(tests)
        axes.hlines(zeros, [x - half for x in places], [x + half for x in places], color=BLACK, linewidth=1.0)
    axes.plot([], [], color=BLACK, linewidth=1.0, label="predicting zero")
    _put_legend_above(axes)


def _scale_errors(axes: Axes) -> None:
    """Errors of all sizes on one axis; one below the noise of the labels is negative."""
    axes.set_yscale("symlog", linthresh=0.05, linscale=0.3)
    axes.yaxis.set_major_locator(FixedLocator(ERROR_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_bars(axes: Axes, groups: Sequence[Group], tests: Mapping[str, str]) -> dict[str, list[float]]:
    """Net errors of every group in some tests, given with their labels; returns where the bars of each test stand."""
    width, places = 0.8 / len(tests), {}
    for place, (test, name) in enumerate(tests.items()):
        places[test] = [number + (place - (len(tests) - 1) / 2) * width for number in range(len(groups))]
        values = [_or_nan(group.mean(f"{test}/net_error")) for group in groups]
        spread = [group.spread(f"{test}/net_error") or 0.0 for group in groups]
        axes.bar(places[test], values, 0.92 * width, yerr=spread, color=COLOURS[place], capsize=2, label=name)
    axes.set_xticks(range(len(groups)), [_name(group) for group in groups], rotation=20, ha="right", fontsize=8)
    axes.set_ylabel("net error / stress scale")
    _put_legend_above(axes)
    return places


def _put_legend_above(axes: Axes) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=8)


def _name(group: Group) -> str:
    """What tells a group from the others, in words."""
    values = [f"{group.n_train} paths" if key == "dataset.n_train" else value for key, value in group.values.items()]
    return ", ".join([group.grid, *values])


def _or_nan(value: float | None) -> float:
    """The value as a figure takes it, which leaves out NaN."""
    return nan if value is None else value


def _by_grid(groups: Sequence[Group]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.grid, []).append(group)
    return found
