"""Paths of strain and stress from CSV files of other programs, whatever their columns are called.

Each row is a point of a path, the first being the undeformed state. Columns are named here by what is in them, in
tensor components: the strain E_xx, E_yy, E_zz, E_yz, E_xz, E_xy (Biot), U_xx ... (right stretch), or F_xx, F_xy, F_xz,
F_yx ... (deformation gradient, nine); the stress T_xx ... (Biot) or sigma_xx ... (Cauchy); and, where they are there,
path, time, family and split. The Cauchy stress belongs to F where that is given, and else to F = U. A file that
`prnn-md dataset export` wrote has these columns already.
"""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from prnn_md.data.dataset import StressStrainData, without_noise
from prnn_md.data.strain_csv import StrainCsvError, check_stretches, finite_number, opened, path_name, path_times, table
from prnn_md.data.verification import SPLITS
from prnn_md.mechanics import COMPONENTS, biot_from_cauchy, from_mandel, mandel_weights, polar_decomposition, to_mandel

STRAINS = {
    "biot": tuple(f"E_{component}" for component in COMPONENTS),
    "right_stretch": tuple(f"U_{component}" for component in COMPONENTS),
    "deformation_gradient": tuple(f"F_{row}{column}" for row, column in product("xyz", repeat=2)),
}
"""Names of the columns of each strain measure."""

STRESSES = {
    "biot": tuple(f"T_{component}" for component in COMPONENTS),
    "cauchy": tuple(f"sigma_{component}" for component in COMPONENTS),
}
"""Names of the columns of each stress measure."""

SHEARS = {"tensor": 1.0, "engineering": 0.5}
"""Factor from shear strains in a file to tensor components."""

TEXTS = ("path", "family", "split")
ROUNDING = 1e-9
"""Largest strain that still counts as the undeformed state."""


@dataclass(frozen=True)
class Columns:
    """Which columns a file has: its measures, and its own names for columns that are called differently here.

    Raises ValueError for a measure or a name that does not exist.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    strain: str = "biot"
    stress: str = "biot"
    shear: str = "tensor"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("strain", self.strain, STRAINS),
            ("stress", self.stress, STRESSES),
            ("shear", self.shear, SHEARS),
        ):
            if value not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, got '{value}'.")
        if self.shear != "tensor" and self.strain != "biot":
            raise ValueError(f"shear '{self.shear}' is for the strain measure biot, not for {self.strain}.")
        allowed = (*self.needed, *TEXTS, "time")
        for name in self.names:
            if name not in allowed:
                near = difflib.get_close_matches(name, allowed, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise ValueError(f"columns: there is no '{name}'.{hint} Use {', '.join(allowed)}.")

    @property
    def needed(self) -> tuple[str, ...]:
        return STRAINS[self.strain] + STRESSES[self.stress]

    def found(self, header: Sequence[str]) -> dict[str, str]:
        """The file's column for each of our names; StrainCsvError for one that is missing or there twice."""
        found = {}
        for name in (*self.needed, *TEXTS, "time"):
            column = self.names.get(name, name)
            if column in header:
                found[name] = column
            elif name in self.needed or name in self.names:
                told = f"there is no column '{column}', which is to hold {name}"
                raise StrainCsvError(f", line 1: {told}; the columns are {', '.join(header) or '(none)'}.")
            if header.count(column) > 1:
                raise StrainCsvError(f", line 1: the column '{column}' appears twice.")
        return found


@dataclass(frozen=True)
class _Point:
    line: int
    numbers: dict[str, float]
    texts: dict[str, str]


def read_stress_csv(
    path: str | Path, columns: Columns, units: str, time_unit: str = "", family: str = "imported"
) -> StressStrainData:
    """Paths with Biot stresses without noise, in the order in which they first appear in the file.

    `split` is "" for every path where the file has no such column, and `family` is that of all then. Raises
    StrainCsvError, which names line and column, for what cannot be read, a path that does not start undeformed, a
    stretch that is not positive, times that do not increase, and paths of different lengths.
    """
    with opened(path) as file:
        groups, found = _read(file, columns)
        _check_lengths(groups)
        parts = [_strain_and_stress(name, points, columns) for name, points in groups.items()]
        times = [_times(name, points, found) for name, points in groups.items()]
        families, splits = (
            [_common(kind, name, points, found) for name, points in groups.items()] for kind in ("family", "split")
        )
    strain, stress = (torch.stack(part) for part in zip(*parts, strict=True))
    return without_noise(
        Path(path).stem,
        strain,
        torch.stack(times),
        stress,
        [name or family for name in families],
        splits,
        units,
        time_unit,
        {
            "made_by": "prnn-md dataset import csv",
            "file": Path(path).name,
            "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
            "columns": found,
            "measures": {"strain": columns.strain, "stress": columns.stress, "shear": columns.shear},
        },
    )


def _read(file: TextIO, columns: Columns) -> tuple[dict[str, list[_Point]], dict[str, str]]:
    """The points of each path, by its name, and the file's column for each of our names."""
    header, rows = table(file)
    found = columns.found(header)
    groups: dict[str, list[_Point]] = {}
    for line, row in rows:
        numbers = {name: finite_number(row[at], at, line) for name, at in found.items() if name not in TEXTS}
        texts = {name: row[at].strip() for name, at in found.items() if name in TEXTS}
        groups.setdefault(path_name(texts.get("path")), []).append(_Point(line, numbers, texts))
    return groups, found


def _check_lengths(groups: Mapping[str, Sequence[_Point]]) -> None:
    first, *_ = groups
    for name, points in groups.items():
        if len(points) < 2:
            raise StrainCsvError(f", line {points[0].line}: path '{name}' has one point only; give at least two.")
        if len(points) != len(groups[first]):
            told = f"path '{name}' has {len(points)} points, '{first}' has {len(groups[first])}"
            raise StrainCsvError(f", line {points[-1].line}: {told}; all must have as many.")


def _strain_and_stress(name: str, points: Sequence[_Point], columns: Columns) -> tuple[Tensor, Tensor]:
    """Biot strain and Biot stress (T+1, 6) of a path, both in Mandel notation."""
    lines = [point.line for point in points]
    strain, stress = (
        torch.tensor([[point.numbers[column] for column in names] for point in points], dtype=torch.float64)
        for names in (STRAINS[columns.strain], STRESSES[columns.stress])
    )
    stress = stress * mandel_weights(stress)
    if columns.strain == "deformation_gradient":
        strain, stress = _rotated_back(name, lines, strain.unflatten(-1, (3, 3)), stress, columns.stress)
    else:
        strain = strain * mandel_weights(strain)
        strain[:, 3:] *= SHEARS[columns.shear]
        strain[:, :3] -= float(columns.strain == "right_stretch")
    _check_start(name, lines[0], strain)
    strain[0] = 0.0
    check_stretches(name, lines, strain)
    return strain, biot_from_cauchy(stress, strain) if columns.stress == "cauchy" else stress


def _rotated_back(
    name: str, lines: Sequence[int], gradient: Tensor, stress: Tensor, measure: str
) -> tuple[Tensor, Tensor]:
    """Biot strains of deformation gradients (T+1, 3, 3), and stresses (T+1, 6) in the frame of the stretch."""
    for point in (torch.linalg.det(gradient) <= 0).nonzero().flatten().tolist()[:1]:
        raise StrainCsvError(f", line {lines[point]}: path '{name}': F has a determinant that is not positive.")
    rotation, stretch = polar_decomposition(gradient)
    if measure == "cauchy":
        stress = to_mandel(rotation.mT @ from_mandel(stress) @ rotation)
    return to_mandel(stretch - torch.eye(3, dtype=stretch.dtype)), stress


def _check_start(name: str, line: int, strain: Tensor) -> None:
    if strain[0].norm() > ROUNDING:
        raise StrainCsvError(
            f", line {line}: path '{name}' starts at a strain of {strain[0].norm():.3g}, not at zero. "
            "Put the undeformed state before it: materials remember the way."
        )


def _times(name: str, points: Sequence[_Point], found: Mapping[str, str]) -> Tensor:
    times = [point.numbers["time"] for point in points if "time" in found]
    return path_times(name, [point.line for point in points], times, found.get("time", ""))


def _common(kind: str, name: str, points: Sequence[_Point], found: Mapping[str, str]) -> str:
    """The family or the split of a path, "" where the file says nothing of it; StrainCsvError for a mixed path."""
    first = points[0].texts.get(kind, "")
    for point in points:
        if point.texts.get(kind, "") != first:
            told = f"path '{name}' is '{point.texts[kind]}' here and '{first}' before"
            raise StrainCsvError(f", line {point.line}, column {found[kind]}: {told}.")
    if kind == "split" and kind in found and first not in SPLITS:
        place = f", line {points[0].line}, column {found[kind]}"
        raise StrainCsvError(f"{place}: a split must be one of {', '.join(SPLITS)}, got '{first}'.")
    return first
