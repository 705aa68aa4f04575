"""How much of an objective each parameter of a search explains alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEWEST_TRIALS = 8
"""With fewer, the share says more about chance than about a parameter."""


def importance(values: Sequence[str], objective: Sequence[float]) -> float:
    """Share of the variance of the objective's ranks between groups of trials with alike values, 0 to 1.

    Numbers with many values are put into up to five groups of equal size, other values are a group each. The share is
    epsilon squared, in which what chance would explain is taken off; interactions of parameters do not count.
    Source: T. L. Kelley, An unbiased correlation ratio measure, PNAS 21 (1935) 554.
    """
    ranks = _ranks(objective)
    groups = _groups(values)
    parts = [ranks[groups == group] for group in np.unique(groups)]
    between, within = len(parts) - 1, len(ranks) - len(parts)
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if between < 1 or within < 1 or total == 0:
        return 0.0
    rest = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    return max(0.0, 1 - rest / within * (len(ranks) - 1) / total)


def numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers, None where one is not."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _groups(values: Sequence[str]) -> NDArray[np.int64]:
    """Number of the group of each value."""
    most = max(2, min(5, len(values) // 4))
    found = numbers(values)
    if found is None or len(set(found)) <= most:
        known = sorted(set(values))
        return np.array([known.index(value) for value in values])
    return np.floor((_ranks(found) - 0.5) * most / len(values)).astype(np.int64)  # equal values stay together


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - 0.5 * (counts - 1))[places]
    return ranks
