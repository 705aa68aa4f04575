"""The figures of a run: stresses along test paths, parity, loss curves and localisation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from prnn_md.app.colours import BLACK, BLUE, GREY, ORANGE
from prnn_md.app.predictions import Predictions
from prnn_md.files import replaced_when_done
from prnn_md.mechanics import COMPONENTS, mandel_weights
from prnn_md.statistics import path_square_errors
from prnn_md.surrogates import Localisation

_UNITS = {"epsilon/sigma^3": r"$\varepsilon/\sigma^3$"}

Curves = Mapping[str, Sequence[tuple[int, float]]]


def draw_all(
    folder: Path, predictions: Predictions, curves: Curves, localisation: Localisation | None
) -> dict[str, Path]:
    """Draw every figure that the run has data for; returns the PNG files by name."""
    figures = {f"stress_{family}": stress_paths(predictions, family) for family in sorted(set(predictions.family))}
    figures["parity"] = parity(predictions)
    figures["loss"] = loss_curves(curves)
    if localisation is not None:
        figures["localisation"] = localisation_figure(localisation)
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        with replaced_when_done(files[name]) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
    return files


def stress_paths(predictions: Predictions, family: str) -> Figure:
    """All six components along two test paths of a family, that of the median error and that of the largest."""
    chosen = _median_and_worst(predictions, family)
    width = 1.6 + 3.6 * len(chosen)
    figure = Figure(figsize=(width, 10.0))
    grid = figure.subplots(6, len(chosen), sharex=True, sharey="row", squeeze=False)
    figure.subplots_adjust(left=0.9 / width, right=1 - 0.2 / width, bottom=0.05, top=0.9, wspace=0.08, hspace=0.12)
    for column, (title, index) in enumerate(chosen):
        grid[0][column].set_title(title, fontsize=10)
        grid[-1][column].set_xlabel("increment")
        for component, axes in enumerate(grid[:, column]):
            _stress_curves(axes, predictions, index, component)
    for component, axes in enumerate(grid[:, 0]):
        axes.set_ylabel(rf"$T_{{{COMPONENTS[component]}}}$ ({_UNITS.get(predictions.units, predictions.units)})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels(grid[:, 0])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=2, frameon=False)
    return figure


def _stress_curves(axes: Axes, predictions: Predictions, index: int, component: int) -> None:
    weight = mandel_weights(predictions.stress)[component].item()
    stress, error, untrained, trained = (
        getattr(predictions, name)[index, :, component].numpy() / weight
        for name in ("stress", "standard_error", "untrained", "trained")
    )
    increment = range(len(stress))
    axes.plot(increment, stress, color=BLACK, linewidth=1.2, label="reference")
    low, high = stress - 2 * error, stress + 2 * error
    axes.fill_between(increment, low, high, color=GREY, alpha=0.5, linewidth=0, label=r"$\pm$ 2 standard errors of it")
    axes.plot(
        increment,
        untrained,
        color=ORANGE,
        linewidth=1.0,
        linestyle="--",
        label=f"{predictions.label} untrained",
    )
    axes.plot(increment, trained, color=BLUE, linewidth=1.2, label=f"{predictions.label} trained")
    axes.margins(x=0)
    _plain(axes)


def _median_and_worst(predictions: Predictions, family: str) -> list[tuple[str, int]]:
    """Titles and positions of the paths to show."""
    scale = predictions.stress_scale
    squares = path_square_errors(predictions.counted("trained"), predictions.stress, scale).nan_to_num(torch.inf)
    order = sorted((i for i, name in enumerate(predictions.family) if name == family), key=lambda i: squares[i].item())
    chosen = {"median error": order[(len(order) - 1) // 2], "largest error": order[-1]}
    if len(order) == 1:
        chosen = {"error": order[0]}
    return [
        (
            f"{family.replace('_', ' ')}, path {predictions.paths[index]}\n{what} {squares[index].sqrt().item():.2f}"
            + ", failed" * bool(predictions.failed[index]),
            index,
        )
        for what, index in chosen.items()
    ]


def parity(predictions: Predictions) -> Figure:
    """Predicted against reference stress of all test points, untrained and trained, in units of the scale."""
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    reference = predictions.stress / predictions.stress_scale
    counted = {name: predictions.counted(name) / predictions.stress_scale for name in ("untrained", "trained")}
    bound = 1.05 * max(tensor[tensor.isfinite()].abs().max().item() for tensor in (reference, *counted.values()))
    for axes, (name, predicted) in zip(figure.subplots(1, 2, sharex=True, sharey=True), counted.items(), strict=True):
        shown = getattr(predictions, name) / predictions.stress_scale
        axes.axline((0, 0), slope=1, color=BLACK, linewidth=0.8)
        for what, colour, part in (
            ("normal components", BLUE, slice(0, 3)),
            ("shear components", ORANGE, slice(3, 6)),
        ):
            x, y = reference[..., part].flatten(), shown[..., part].flatten()
            axes.plot(x, y, ".", color=colour, markersize=2, alpha=0.4, label=what, rasterized=True)
        error = path_square_errors(predicted, reference, torch.ones(6, dtype=predicted.dtype)).mean().sqrt().item()
        axes.set(title=f"{predictions.label} {name}, error {error:.3f}", xlabel="reference stress / stress scale")
        axes.set(xlim=(-bound, bound), ylim=(-bound, bound), box_aspect=1)
        _plain(axes)
    figure.axes[0].set_ylabel("predicted stress / stress scale")
    figure.axes[0].legend(loc="upper left", markerscale=4, frameon=False)
    return figure


def loss_curves(curves: Curves) -> Figure:
    """Training and validation error over epochs (0 is untrained), with the floor of the validation labels."""
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, colour, label in (("train/error", ORANGE, "training"), ("valid/error", BLUE, "validation")):
        epochs, values = _epochs_and_values(curves, name)
        axes.plot(epochs, values, color=colour, marker="o" if len(epochs) < 30 else "", markersize=3, label=label)
    epochs, values = _epochs_and_values(curves, "valid/error")
    if values:
        best = min(range(len(values)), key=values.__getitem__)
        axes.plot(epochs[best], values[best], "o", color=BLUE, markersize=9, fillstyle="none", label="best, kept")
    _, floors = _epochs_and_values(curves, "valid/floor")
    if floors:
        axes.axhline(floors[-1], color=GREY, linestyle="--", label="floor of the validation labels")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epochs trained", ylabel="error / stress scale", ylim=(0, None))
    axes.legend(frameon=False)
    _plain(axes)
    return figure


def _epochs_and_values(curves: Curves, name: str) -> tuple[list[int], list[float]]:
    points = curves.get(name, ())
    return [epoch + 1 for epoch, _ in points], [value for _, value in points]


def localisation_figure(localisation: Localisation) -> Figure:
    """Weights and amplifications of every cell, and mean and spread of the localisation matrices over cells."""
    figure = Figure(figsize=(9.0, 7.5), layout="constrained")
    (weights, amplifications), (mean, spread) = figure.subplots(2, 2)
    cells = range(len(localisation.names))
    weights.bar(cells, localisation.weights.numpy(), color=BLUE)
    weights.axhline(1 / len(cells), color=GREY, linestyle="--", label="plain mean")
    weights.set(xlabel="cell", ylabel="weight", title="Share in the macroscopic stress")
    amplifications.plot(cells, localisation.volumetric.numpy(), "o", color=ORANGE, ms=5, label="volumetric")
    amplifications.plot(
        cells, localisation.deviatoric.numpy(), "s", color=BLUE, ms=5, fillstyle="none", label="deviatoric"
    )
    amplifications.axhline(1, color=GREY, linestyle="--")
    amplifications.set(xlabel="cell", ylabel="local / macroscopic strain", title="Strain amplification")
    for axes in (weights, amplifications):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.3 * (high - low))  # room for the legend
        axes.legend(frameon=False, loc="upper right", ncols=2)
        _plain(axes)
    matrices = localisation.matrices.detach()
    identity = torch.eye(6, dtype=matrices.dtype)
    _matrix(figure, mean, matrices.mean(0) - identity, "Mean localisation minus identity", "PuOr")
    _matrix(figure, spread, matrices.std(0, correction=0), "Standard deviation over cells", "Blues")
    return figure


def _matrix(figure: Figure, axes: Axes, values: Tensor, title: str, colours: str) -> None:
    bound = max(values.abs().max().item(), 0.01)
    image = axes.imshow(values.numpy(), cmap=colours, vmin=-bound if colours == "PuOr" else 0, vmax=bound)
    axes.set(title=title, xlabel="macroscopic strain", ylabel="strain of the cell")
    axes.set_xticks(range(6), COMPONENTS)
    axes.set_yticks(range(6), COMPONENTS)
    figure.colorbar(image, ax=axes, shrink=0.8)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
