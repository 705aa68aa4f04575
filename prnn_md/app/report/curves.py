"""Learning curves from metrics.csv, thinned to what a screen can show."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prnn_md.app.records import RecordError

CURVES = {"valid": "valid/error", "train": "train/error"}
"""Name of each curve in the report, and its column."""

Points = list[tuple[int, float]]


def learning_curves(folder: Path, most_points: int) -> dict[str, Any]:
    """Epochs trained (0: none) and values of each of CURVES that the run has."""
    file = folder / "metrics.csv"
    if not file.is_file():
        return {}
    try:
        rows = list(csv.DictReader(file.read_text().splitlines()))
        found = {
            name: thinned([(int(row["epoch"]) + 1, float(row[column])) for row in rows if row.get(column)], most_points)
            for name, column in CURVES.items()
        }
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(f"{file} cannot be read: {error}") from error
    return {
        name: {"x": [epoch for epoch, _ in points], "y": [significant(value) for _, value in points]}
        for name, points in found.items()
        if points
    }


def thinned(points: Points, most: int) -> Points:
    """At most so many of the points, evenly, with both ends and the lowest."""
    if len(points) <= most:
        return points
    places = {round(i * (len(points) - 1) / (most - 2)) for i in range(most - 1)}
    lowest = min(range(len(points)), key=lambda i: points[i][1])
    return [points[i] for i in sorted(places | {lowest})]


def significant(value: float, digits: int = 4) -> float:
    """A number with fewer digits, which take less room in the page."""
    return float(f"{value:.{digits}g}")


def points_of_a_curve(runs: Sequence[object], room: int = 200_000) -> int:
    """How many points each curve of so many runs may have, for the page to stay small."""
    return max(20, min(200, room // max(1, 2 * len(runs))))
