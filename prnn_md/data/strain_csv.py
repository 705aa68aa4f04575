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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    with opened(path) as file:
        return [_strain_path(name, rows) for name, rows in _read_rows(file).items()]


@contextmanager
def opened(path: str | Path) -> Iterator[TextIO]:
    """A CSV file to read from; what goes wrong in the block is a StrainCsvError that names the file."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            yield file
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
    header, rows = table(file)
    _check_header(header)
    groups: dict[str, list[_Row]] = {}
    for line, row in rows:
        numbers = {name: finite_number(row[name], name, line) for name in READ if name in row}
        strain = [numbers[name] for name in STRAIN_COLUMNS]
        groups.setdefault(path_name(row.get("path")), []).append(_Row(line, numbers.get("time"), strain))
    return groups


def table(file: TextIO) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The column names of a CSV file, and the line number and the cells by column of each row that is not empty.

    Rows of another length than the header, and a file without any, are StrainCsvErrors.
    """
    lines = csv.reader(file)
    header = [name.strip() for name in next(lines, [])]

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        is_empty = True
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise StrainCsvError(f", line {lines.line_num}: {len(cells)} cells for {len(header)} columns.")
            is_empty = False
            yield lines.line_num, dict(zip(header, cells, strict=True))
        if is_empty:
            raise StrainCsvError(": it has no rows below the header.")

    return header, rows()


def path_name(cell: str | None) -> str:
    """The name of the path that a row belongs to; "0" where there is none."""
    return (cell or "").strip() or "0"


def _check_header(header: list[str]) -> None:
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
    lines = [row.line for row in rows]
    check_stretches(name, lines, strain)
    return StrainPath(name, path_times(name, lines, [row.time for row in rows if row.time is not None]), strain)


def check_stretches(name: str, lines: Sequence[int], strain: Tensor) -> None:
    """StrainCsvError, with the line, for a strain (T+1, 6) that no body can have."""
    for increment, least in enumerate(least_stretch(strain).tolist()):
        if least <= 0:
            place = f", line {lines[increment]}: path '{name}', increment {increment}"
            raise StrainCsvError(f"{place}: I + E has principal value {least:.3g} <= 0.")


def path_times(name: str, lines: Sequence[int], times: Sequence[float], column: str = "time") -> Tensor:
    """Times (T+1,) of a path's lines, evenly from 0 to 1 where there are none; StrainCsvError if they do not grow."""
    if not times:
        return torch.linspace(0, 1, len(lines), dtype=torch.float64)
    for line, before, after in zip(lines[1:], times, times[1:], strict=False):
        if after <= before:
            raise StrainCsvError(f", line {line}, column {column}: {after} follows {before} on path '{name}'.")
    return torch.tensor(times, dtype=torch.float64)
