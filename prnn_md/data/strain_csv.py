"""Strain paths from CSV files, and predicted stresses to them, in tensor components.

Columns: E_xx, E_yy, E_zz, E_yz, E_xz, E_xy, the tensor components of the Biot strain E = U - I (shear not
doubled); optionally `path`, a name that groups rows, and `time`, by default evenly from 0 to 1 along each
path. The first row of each path is the undeformed state, of zero strain. Predictions add T_xx ... T_xy, the
Biot stress, likewise in tensor components, and exported datasets also the `family` and `split` of each path; all of
these are passed over where strain paths are read.
"""

import csv
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from prnn_md.files import replaced_when_done
from prnn_md.mechanics import COMPONENTS, least_stretch, mandel_weights

STRAIN_COLUMNS = tuple(f"E_{component}" for component in COMPONENTS)
STRESS_COLUMNS = tuple(f"T_{component}" for component in COMPONENTS)
LABEL_COLUMNS = ("family", "split")
READ = ("time", *STRAIN_COLUMNS)
"""Columns of numbers that strain paths are read from."""


class StrainCsvError(ValueError):
    """A CSV file of strain paths that cannot be used; the message names the file, the line and the column."""


@dataclass(frozen=True)
class StrainPath:
    """One path: its name, times (T+1,) that increase, and Biot strain (T+1, 6) in Mandel notation."""

    name: str
    times: Tensor
    strain: Tensor


@dataclass(frozen=True)
class _Row:
    line: int
    time: float | None
    strain: list[float]


def read_strain_paths(path: str | Path) -> list[StrainPath]:
    """Read the strain paths of a CSV file, in the order in which they first appear in it.

    Raises StrainCsvError for a file without rows, unknown or missing columns, cells that are not finite
    numbers, times that do not increase, a first point that is not at zero strain, and stretches I + E that
    are not positive.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            groups = _read_rows(file)
        return [_strain_path(name, rows) for name, rows in groups.items()]
    except StrainCsvError as error:
        raise StrainCsvError(f"{path}{error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StrainCsvError(f"{path}: not a readable CSV file: {error}") from error


def write_strain_paths(path: str | Path, paths: Sequence[StrainPath]) -> None:
    """Write strain paths as tensor components in a CSV file that `read_strain_paths` reads."""
    _write(path, paths, STRAIN_COLUMNS, [item.strain / mandel_weights(item.strain) for item in paths])


def write_stress_paths(
    path: str | Path,
    paths: Sequence[StrainPath],
    stresses: Sequence[Tensor],
    labels: Sequence[tuple[str, str]] | None = None,
) -> None:
    """Write strains and stresses (T+1, 6), Mandel here, as tensor components in a CSV file.

    `labels` are the family and the split of each path, if they are to be there.
    """
    components = []
    for item, stress in zip(paths, stresses, strict=True):
        if stress.shape != item.strain.shape:
            shapes = f"{tuple(item.strain.shape)} and {tuple(stress.shape)}"
            raise ValueError(f"Strain and stress of path '{item.name}' have the shapes {shapes}.")
        values = torch.cat([item.strain, stress.detach().to(item.strain)], -1)
        components.append(values / mandel_weights(values).repeat(2))
    _write(path, paths, STRAIN_COLUMNS + STRESS_COLUMNS, components, labels)


def _write(
    path: str | Path,
    paths: Sequence[StrainPath],
    columns: Sequence[str],
    values: Sequence[Tensor],
    labels: Sequence[tuple[str, str]] | None = None,
) -> None:
    """Write a row of values (T+1, columns) per point of every path, with the labels of the path."""
    names, texts = (LABEL_COLUMNS, labels) if labels is not None else ((), [()] * len(paths))
    with replaced_when_done(path) as temporary, temporary.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *names, "time", *columns])
        for item, text, rows in zip(paths, texts, values, strict=True):
            for time, row in zip(item.times.tolist(), rows.tolist(), strict=True):
                writer.writerow([item.name, *text, time, *row])


def _read_rows(file: TextIO) -> dict[str, list[_Row]]:
    lines = csv.reader(file)
    header = _checked_header([name.strip() for name in next(lines, [])])
    groups: dict[str, list[_Row]] = {}
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise StrainCsvError(f", line {lines.line_num}: {len(cells)} cells for {len(header)} columns.")
        row = dict(zip(header, cells, strict=True))
        numbers = {name: finite_number(row[name], name, lines.line_num) for name in READ if name in row}
        strain = [numbers[name] for name in STRAIN_COLUMNS]
        name = row.get("path", "").strip() or "0"
        groups.setdefault(name, []).append(_Row(lines.line_num, numbers.get("time"), strain))
    if not groups:
        raise StrainCsvError(": it has no rows below the header.")
    return groups


def _checked_header(header: list[str]) -> list[str]:
    used = ("path", *READ)
    for name in header:
        if name not in (*used, *LABEL_COLUMNS, *STRESS_COLUMNS):
            near = difflib.get_close_matches(name, used, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise StrainCsvError(f", line 1: unknown column '{name}'.{hint} Use {', '.join(used)}.")
        if header.count(name) > 1:
            raise StrainCsvError(f", line 1: the column '{name}' appears twice.")
    missing = [name for name in STRAIN_COLUMNS if name not in header]
    if missing:
        raise StrainCsvError(f", line 1: missing column {', '.join(missing)}; all six components are needed.")
    return header


def finite_number(cell: str, column: str, line: int) -> float:
    """The number in a cell; StrainCsvError, which names the place, where there is none or it is not finite."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StrainCsvError(f", line {line}, column {column}: '{cell.strip()}' is not a finite number.")
    return value


def _strain_path(name: str, rows: list[_Row]) -> StrainPath:
    strain = torch.tensor([row.strain for row in rows], dtype=torch.float64)
    strain = strain * mandel_weights(strain)
    if len(rows) < 2:
        raise StrainCsvError(f", line {rows[0].line}: path '{name}' has one point only; give at least two.")
    for column, value in zip(STRAIN_COLUMNS, rows[0].strain, strict=True):
        if value != 0.0:
            raise StrainCsvError(
                f", line {rows[0].line}, column {column}: path '{name}' starts at {value}, not at zero. "
                "Put the undeformed state, a row of zeros, before it: materials remember the way."
            )
    for increment, least in enumerate(least_stretch(strain).tolist()):
        if least <= 0:
            place = f", line {rows[increment].line}: path '{name}', increment {increment}"
            raise StrainCsvError(f"{place}: I + E has principal value {least:.3g} <= 0.")
    return StrainPath(name, _times(name, rows), strain)


def _times(name: str, rows: list[_Row]) -> Tensor:
    times = [row.time for row in rows if row.time is not None]
    if not times:
        return torch.linspace(0, 1, len(rows), dtype=torch.float64)
    for row, before, after in zip(rows[1:], times, times[1:], strict=False):
        if after <= before:
            raise StrainCsvError(f", line {row.line}, column time: {after} follows {before} on path '{name}'.")
    return torch.tensor(times, dtype=torch.float64)
