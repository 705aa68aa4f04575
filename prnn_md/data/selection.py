"""Which paths of a dataset are taken: by their family, and by their strain rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from prnn_md.data.dataset import CHUNK, StressStrainData, indices_of


class OpenDataset(Protocol):
    """A dataset whose paths can be read."""

    path: Path
    about: dict[str, Any]
    family: tuple[str, ...]
    split: tuple[str, ...]

    def read(self, rows: Sequence[int] | None = None) -> StressStrainData:
        """The paths with these indices, by default all."""


@dataclass(frozen=True)
class Selection:
    """Paths of these families, at these mean strain rates (per unit of time, to 1 %); None takes all."""

    families: Sequence[str] | None = None
    rates: Sequence[float] | None = None

    def indices(self, dataset: OpenDataset, split: str) -> list[int]:
        """The places of the selected paths of a split; ValueError for a family or a rate that no path has."""
        for name in self.families or ():
            if name not in dataset.family:
                known = ", ".join(sorted(set(dataset.family)))
                raise ValueError(f"families: {dataset.path} has no paths of '{name}', but of {known}.")
        found = indices_of(dataset.split, split)
        if self.families is not None:
            found = [index for index in found if dataset.family[index] in self.families]
        if self.rates is None:
            return found
        return self._at_rates(found, dataset, self.rates)

    def _at_rates(self, indices: Sequence[int], dataset: OpenDataset, wanted: Sequence[float]) -> list[int]:
        places = range(len(dataset.split))
        starts = range(0, len(places), CHUNK)
        rates = torch.cat([mean_rates(dataset.read(places[start : start + CHUNK])) for start in starts]).tolist()
        for rate in wanted:
            if not any(_same(rate, there) for there in rates):
                near = sorted({float(f"{there:.3g}") for there in rates}, key=lambda there: abs(there - rate))[:3]
                known = ", ".join(f"{there:g}" for there in near)
                raise ValueError(f"rates: {dataset.path} has no paths at {rate:g}; the nearest are {known}.")
        return [index for index in indices if any(_same(rate, rates[index]) for rate in wanted)]


def mean_rates(data: StressStrainData) -> Tensor:
    """The length of each path, in the Mandel norm, over its duration, (paths,)."""
    lengths = data.strain.diff(dim=1).norm(dim=-1).sum(-1)
    return lengths / (data.times[:, -1] - data.times[:, 0])


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 0.01 * abs(one)
