"""`prnn-md dataset info`: what a dataset holds, how good its labels are, and how it was made."""

import json
from collections import Counter, defaultdict
from math import sqrt

from torch import Tensor

from prnn_md.data.dataset import DatasetFile
from prnn_md.data.selection import mean_rates
from prnn_md.data.verification import SPLITS
from prnn_md.mechanics import COMPONENTS, trace
from prnn_md.statistics import path_square_floors

_SHORT = 88
"""Characters of a line of the provenance that are shown."""


class _Summary:
    """Numbers that are collected from paths, which are read some at a time."""

    def __init__(self, file: DatasetFile) -> None:
        self.increments = 0
        self.norms, self.traces, self.durations, self.rates = (list[float]() for _ in range(4))
        self.replicas = list[int]()
        self.floors = defaultdict[str, list[float]](list)
        for data in file.chunks():
            self.increments = data.strain.shape[1] - 1
            duration = data.times[:, -1] - data.times[:, 0]
            self.norms += data.strain.norm(dim=-1).amax(-1).tolist()
            self.traces += trace(data.strain).abs().amax(-1).tolist()
            self.durations += duration.tolist()
            self.rates += mean_rates(data).tolist()
            self.replicas += data.replica_count.tolist()
            squares = path_square_floors(data.standard_error, data.stress_scale).tolist()
            for split, count, square in zip(data.split, data.replica_count.tolist(), squares, strict=True):
                self.floors[split] += [square] * (count > 0)

    def noise_floor(self, split: str) -> str:
        squares = self.floors[split]
        return f"{sqrt(sum(squares) / len(squares)):.3f}" if squares else "-"


def info(file: DatasetFile) -> str:
    """What there is to say about a dataset, in lines."""
    summary, about = _Summary(file), file.about
    scale: Tensor = about["stress_scale"]
    told = {
        "name": about["name"],
        "file": str(file.path),
        "paths": f"{len(file)} of {summary.increments} increments",
        "amplitude": f"|E| up to {max(summary.norms):.4f} ({_range(summary.norms)} by path), "
        f"|tr E| up to {max(summary.traces):.4f}",
        "replicas": _replicas(summary.replicas),
        "units": f"{about['units']}, {about['stress_measure'].capitalize()} stress",
        "times": _times(about["time_unit"], summary),
        "stress scale": ", ".join(f"{name} {x:.4g}" for name, x in zip(COMPONENTS, scale.tolist(), strict=True)),
        "checksum": file.checksum,
    }
    lines = [f"{name:<14}{value}" for name, value in told.items()]
    return "\n".join([*lines, "", *_table(file, summary), "", *_provenance(about["provenance"])])


def _table(file: DatasetFile, summary: _Summary) -> list[str]:
    """Paths of each family and split, and the labels' own error in units of the stress scale."""
    counted = Counter(zip(file.family, file.split, strict=True))
    rows = [["family", *SPLITS, "all"]]
    for family in sorted(set(file.family)):
        row = [counted[family, split] for split in SPLITS]
        rows.append([family, *map(str, [*row, sum(row)])])
    row = [file.split.count(split) for split in SPLITS]
    rows.append(["all", *map(str, [*row, len(file)])])
    rows.append(["standard error", *map(summary.noise_floor, SPLITS), "relative to the stress scale"])
    first = max(len(row[0]) for row in rows)
    return [
        f"{name:<{first}}" + "".join(f"{cell:>8}" for cell in cells) + f"  {last:>6}" for name, *cells, last in rows
    ]


def _provenance(provenance: dict[str, object]) -> list[str]:
    if not provenance:
        return ["made by       (it does not say)"]
    lines = ["made by (`--provenance` prints all of it):"]
    for name, value in provenance.items():
        text = value if isinstance(value, str) else json.dumps(value)
        lines.append(f"  {name:<12}{text if len(text) <= _SHORT else f'{text[: _SHORT - 4]} ...'}")
    return lines


def _replicas(counts: list[int]) -> str:
    if not any(counts):
        return "none: the stresses are taken to be exact"
    return f"{_range(counts)} for each path"


def _times(unit: str, summary: _Summary) -> str:
    if not unit:
        return "they have no unit, and only say what comes first"
    return f"paths last {_range(summary.durations)} {unit}, at mean strain rates of {_range(summary.rates)} per {unit}"


def _range(values: list[int] | list[float]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"
