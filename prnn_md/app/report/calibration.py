"""Whether the spread over seeds tells how far runs are from the labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from prnn_md.app.records import RecordError
from prnn_md.app.report.groups import Group

FEWEST = 3
"""Runs of which a spread is taken."""

LEVELS = tuple(percent / 100 for percent in range(5, 100, 5))

Array = NDArray[np.float64]


def calibrations(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Of every group of at least three runs that predict the same test paths: how many labels lie within intervals.

    An interval around the mean of R runs, for a `level` of probability, is that of one more draw of a normal
    distribution: Student's t with R - 1 degrees of freedom times the root of s^2 (1 + 1/R) + e^2, with s the standard
    deviation over the runs and e the standard error of the label. `shares` are those of all components and increments
    of the paths that no run has failed on; `spread`, `error` and `floor` are the root mean squares of s, of the
    difference between mean and label, and of e, over the stress scale.
    """
    found = []
    for group in groups:
        files = [run.record.folder / "predictions.h5" for run in group.runs]
        predicted = _of_the_same_labels([_read(file) for file in files if file.is_file()])
        if len(predicted) >= FEWEST and _followed(predicted).any():
            numbers = {"name": group.name, "model": group.label, "n_train": group.runs[0].n_train}
            found.append(numbers | _calibration(predicted))
    return found


def _calibration(predicted: Sequence[dict[str, Array]]) -> dict[str, Any]:
    first, count = predicted[0], len(predicted)
    answers = np.stack([each["trained"] for each in predicted])
    followed = _followed(predicted)
    scale, moving = first["stress_scale"], slice(1, None)  # there is no stress at the first point
    answers, label, error = (
        array[..., followed, moving, :] / scale for array in (answers, first["stress"], first["standard_error"])
    )
    mean, spread = answers.mean(0), answers.std(0, ddof=1)
    away, width = np.abs(label - mean), np.sqrt(spread**2 * (1 + 1 / count) + error**2)
    quantiles = stdtrit(count - 1, (1 + np.array(LEVELS)) / 2)
    return {
        "runs": count,
        "levels": LEVELS,
        "shares": [float((away <= quantile * width).mean()) for quantile in quantiles],
        "spread": _root_mean_square(spread),
        "error": _root_mean_square(label - mean),
        "floor": _root_mean_square(error),
    }


def _followed(predicted: Sequence[dict[str, Array]]) -> NDArray[np.bool_]:
    """The paths (paths,) on which no run has failed."""
    return np.logical_and.reduce([np.isfinite(each["trained"]).all((1, 2)) for each in predicted])


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt((values**2).mean()))


def _of_the_same_labels(predicted: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
    """Those with the labels that most of them have."""
    labels = [each["stress"].tobytes() for each in predicted]
    most = max(labels, key=labels.count, default=b"")
    return [each for each, own in zip(predicted, labels, strict=True) if own == most]


def _read(file: Path) -> dict[str, Array]:
    try:
        with h5py.File(file, "r") as content:
            names = ("stress", "standard_error", "stress_scale", "trained")
            return {name: content[name][()] for name in names}
    except (OSError, KeyError) as error:
        raise RecordError(f"{file} cannot be read: {error}") from error
