"""The figures show the data that they are given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from prnn_md.app.figures import localisation_figure, loss_curves, parity, stress_paths
from prnn_md.app.predictions import Predictions
from prnn_md.surrogates import Localisation


@pytest.fixture
def predictions() -> Predictions:
    """Four paths of two families; the prediction of path i is off by i everywhere, in every component."""
    strain = torch.zeros(4, 5, 6, dtype=torch.float64)
    stress = torch.arange(5.0, dtype=torch.float64)[:, None].expand(4, 5, 6)
    offset = torch.arange(4.0, dtype=torch.float64)[:, None, None]
    return Predictions(
        label="PRNN",
        units="epsilon/sigma^3",
        paths=(10, 11, 12, 13),
        family=("loop", "loop", "loop", "line"),
        times=torch.linspace(0, 1, 5),
        stress_scale=torch.ones(6, dtype=torch.float64),
        strain=strain,
        stress=stress,
        standard_error=torch.full_like(strain, 0.25),
        untrained=stress * 0.0,
        trained=stress + offset,
        untrained_failed=torch.zeros(4, dtype=torch.bool),
        failed=torch.zeros(4, dtype=torch.bool),
    )


def with_failure(predictions: Predictions, index: int) -> Predictions:
    """The same with a trained model that failed on one path."""
    trained, failed = predictions.trained.clone(), predictions.failed.clone()
    trained[index], failed[index] = torch.nan, True
    return replace(predictions, trained=trained, failed=failed)


@pytest.fixture
def localisation() -> Localisation:
    eye = torch.eye(6, dtype=torch.float64).expand(3, 6, 6)
    return Localisation(
        names=("a 0", "a 1", "b 0"),
        matrices=eye,
        operators=eye / 3,
        volumetric=torch.tensor([1.0, 1.1, 0.9]),
        deviatoric=torch.tensor([1.0, 1.2, 0.8]),
        singular_values=torch.ones(3, 6),
        weights=torch.tensor([0.2, 0.3, 0.5]),
    )


def test_stress_paths_shows_the_median_and_the_worst_path(predictions: Predictions) -> None:
    figure = stress_paths(predictions, "loop")
    assert len(figure.axes) == 12
    assert "path 11\nmedian error 1.00" in figure.axes[0].get_title()
    assert "path 12\nlargest error 2.00" in figure.axes[1].get_title()
    reference, untrained, trained = figure.axes[1].lines
    np.testing.assert_allclose(reference.get_ydata(), range(5))
    np.testing.assert_allclose(untrained.get_ydata(), 0)
    np.testing.assert_allclose(trained.get_ydata(), np.arange(5) + 2)
    band = figure.axes[1].collections[0].get_datalim(figure.axes[1].transData)
    assert (band.y0, band.y1) == pytest.approx((-0.5, 4.5))
    assert r"\varepsilon" in figure.axes[0].get_ylabel()


def test_shear_is_shown_as_tensor_components(predictions: Predictions) -> None:
    figure = stress_paths(predictions, "line")
    assert len(figure.axes) == 6
    np.testing.assert_allclose(figure.axes[3].lines[0].get_ydata(), np.arange(5) / 2**0.5)


def test_parity_names_the_error(predictions: Predictions) -> None:
    titles = [axes.get_title() for axes in parity(predictions).axes]
    assert titles[1] == f"PRNN trained, error {(14 / 4) ** 0.5:.3f}"
    assert titles[0] == f"PRNN untrained, error {6**0.5:.3f}"


def test_a_failed_path_is_shown_without_curve_and_judged_as_zero(predictions: Predictions) -> None:
    figure = stress_paths(with_failure(predictions, 1), "loop")
    assert f"path 11\nlargest error {6**0.5:.2f}, failed" in figure.axes[1].get_title()
    assert np.isnan(figure.axes[1].lines[2].get_ydata()).all()
    right = parity(with_failure(predictions, 1)).axes[1]
    assert right.get_title() == f"PRNN trained, error {((6 + 4 + 9) / 4) ** 0.5:.3f}"
    assert np.isnan(right.lines[1].get_ydata()).sum() == 15
    assert right.get_xlim()[1] == pytest.approx(1.05 * 7)


def test_loss_curves_mark_the_best_epoch_and_the_floor() -> None:
    curves = {"valid/error": [(-1, 0.5), (0, 0.3), (1, 0.4)], "valid/floor": [(-1, 0.1)], "train/error": [(0, 0.6)]}
    axes = loss_curves(curves).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["validation"].get_xdata()) == [0, 1, 2]
    assert lines["best, kept"].get_xydata().tolist() == [[1, 0.3]]
    assert lines["floor of the validation labels"].get_ydata()[0] == 0.1


def test_localisation_shows_weights_and_amplifications(localisation: Localisation) -> None:
    weights, amplifications, mean, *_ = localisation_figure(localisation).axes
    assert [bar.get_height() for bar in weights.patches] == pytest.approx([0.2, 0.3, 0.5])
    np.testing.assert_allclose(amplifications.lines[1].get_ydata(), [1.0, 1.2, 0.8])
    np.testing.assert_allclose(mean.images[0].get_array(), 0)


def test_all_figures_are_written(finished_run: Path) -> None:
    files = {file.stem: file for file in (finished_run / "figures").iterdir()}
    families = ("proportional_unloading", "proportional_random", "nonproportional")
    assert set(files) == {*(f"stress_{family}" for family in families), "parity", "loss", "localisation"}
    assert all(imread(file).std() > 0.05 for file in files.values())
