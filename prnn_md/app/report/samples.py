"""What some values of a measure say about its mean: the numbers behind every point with a bar."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch

from prnn_md.app.report.runs import MEASURES, Run
from prnn_md.statistics import mean_and_standard_error, student_t_half_width


def sample(values: Sequence[float]) -> dict[str, Any]:
    """Number n, mean, spread (standard deviation, ddof = 1) and 95 % half-width of the mean (Student's t).

    Of a single value, spread and half-width are None.
    """
    tensor = torch.tensor(values, dtype=torch.float64)
    if len(values) < 2:
        return {"n": len(values), "mean": values[0], "spread": None, "half_width": None}
    mean, error = mean_and_standard_error(tensor)
    return {
        "n": len(values),
        "mean": mean.item(),
        "spread": error.item() * sqrt(len(values)),
        "half_width": student_t_half_width(tensor).item(),
    }


def samples(runs: Sequence[Run]) -> dict[str, Any]:
    """The sample of every measure that some of the runs have."""
    found = {}
    for name in MEASURES:
        values = [value for run in runs if (value := run.measure(name)) is not None]
        if values:
            found[name] = sample(values)
    return found
