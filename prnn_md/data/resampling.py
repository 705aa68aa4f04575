"""The same strain paths in fewer or in more increments, or their beginnings."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from prnn_md.data.dataset import StressStrainData


@dataclass(frozen=True)
class Resampled:
    """Paths that a model is to follow, and the labels at `every` so many of its increments."""

    followed: StressStrainData
    labels: StressStrainData
    every: int = 1


def in_increments(data: StressStrainData, increments: int | None) -> Resampled:
    """The paths in so many increments, on straight lines between the labelled points; None leaves them as they are.

    Raises ValueError unless that number and the number of labelled increments T divide each other.
    """
    labelled = data.strain.shape[1] - 1
    if increments is None or increments == labelled:
        return Resampled(data, data)
    if increments < 1 or (labelled % increments and increments % labelled):
        raise ValueError(
            f"increments={increments}: the paths of {data.name} have {labelled}; choose a divisor or a multiple."
        )
    if increments < labelled:
        thinned = _at(data, slice(None, None, labelled // increments))
        return Resampled(thinned, thinned)
    parts = increments // labelled
    finer = replace(data, strain=_between(data.strain, parts), times=_between(data.times[..., None], parts)[..., 0])
    return Resampled(finer, data, parts)


def beginning(data: StressStrainData, increments: int) -> StressStrainData:
    """The first so many increments of the paths; ValueError where there are fewer."""
    there = data.strain.shape[1] - 1
    if not 1 <= increments <= there:
        raise ValueError(f"train_increments must be between 1 and {there}, all that {data.name} has; got {increments}.")
    return _at(data, slice(increments + 1))


def _at(data: StressStrainData, points: slice) -> StressStrainData:
    """The paths at some of their points."""
    names = ("strain", "stress", "standard_error", "times")
    chosen = {name: getattr(data, name)[:, points] for name in names}
    return replace(data, replicas=data.replicas[:, :, points], **chosen)


def _between(values: Tensor, parts: int) -> Tensor:
    """Values (paths, T+1, C) with parts - 1 more, on the line, between each and the next."""
    share = torch.arange(parts, dtype=values.dtype)[:, None] / parts
    start, end = values[:, :-1, None], values[:, 1:, None]
    inner = (start + share * (end - start)).flatten(1, 2)
    return torch.cat([inner, values[:, -1:]], dim=1)
