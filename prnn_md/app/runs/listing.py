"""`prnn-md runs list`: one line a run, in a table for people or in a file for programs."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prnn_md.app.ledger import finite_or_none
from prnn_md.app.records import Record
from prnn_md.app.runs.columns import DEFAULT_KEYS, Column, column
from prnn_md.app.runs.values import check_keys, value
from prnn_md.files import write_text

_NEVER_ABOVE = ("test/net_error", "valid/error", "time", "started")
"""Columns that stay in the table even where all runs agree."""

_LEAST_WANTED = ("started", "time", "label/floor", "dataset", "md", "valid/error")
"""Columns that are left out, in this order, where the terminal is too narrow for those shown by default."""

_COLOURS = {"finished": "green", "failed": "red", "interrupted": "yellow", "lost": "yellow", "running": "cyan"}


def ordered(records: Sequence[Record], key: str, descending: bool = False) -> list[Record]:
    """The runs by the value of a key, those without one at the end. Raises UnknownKey."""
    check_keys(records, [key])
    found = [(value(record, key), record) for record in records]
    numbers = all(isinstance(item, int | float) for item, _ in found if item is not None)
    present = [(item if numbers else str(item), record) for item, record in found if item is not None]
    present.sort(key=lambda pair: pair[0], reverse=descending)
    return [record for _, record in present] + [record for item, record in found if item is None]


def print_table(records: Sequence[Record], places: Sequence[Path], keys: Sequence[str], by_sweep: bool) -> None:
    """Print a table of the runs; `by_sweep` puts those of a sweep together, below a line for the sweep."""
    base = Path(os.path.commonpath([place.resolve() for place in places]))
    if by_sweep:
        records = _by_sweep(records)
    columns = [column(key, records) for key in keys]
    same = [one for one in columns if one.agrees and one.key not in _NEVER_ABOVE]
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 1000)
    console.print(f"{len(records)} runs in {base}", markup=False)
    if same:
        console.print("All: " + ", ".join(f"{one.header} {one.texts[0]}" for one in same), markup=False)
    shown = [one for one in columns if one not in same]
    if tuple(keys) == DEFAULT_KEYS:
        longest = max(len(_name(record.folder, base)) for record in records)
        hidden = _too_many(shown, console.width - longest - 4)
        shown = [one for one in shown if one not in hidden]
        if hidden:
            names = ", ".join(one.header for one in hidden)
            console.print(f"Too narrow for {names}: name what you want with --columns.", markup=False)
    console.print(_table(records, shown, base, by_sweep))


def write_json(file: str, records: Sequence[Record], keys: Sequence[str]) -> None:
    """Write the values of the keys of every run as JSON, to a file or for "-" to standard output."""
    _write(file, json.dumps(finite_or_none(_rows(records, keys)), indent=2) + "\n")


def write_csv(file: str, records: Sequence[Record], keys: Sequence[str]) -> None:
    """Write the values of the keys of every run as CSV, to a file or for "-" to standard output."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["folder", *keys], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(records, keys))
    _write(file, text.getvalue())


def _rows(records: Sequence[Record], keys: Sequence[str]) -> list[dict[str, object]]:
    return [{key: value(record, key) for key in ("folder", *keys)} for record in records]


def _write(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
    else:
        write_text(file, text)


def _by_sweep(records: Sequence[Record]) -> list[Record]:
    """The same, with all runs of a sweep where its first one is."""
    groups: dict[Path, list[Record]] = {}
    for record in records:
        groups.setdefault(record.sweep or record.folder, []).append(record)
    return [record for group in groups.values() for record in group]


def _too_many(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns without which the others fit."""
    hidden: list[Column] = []
    for key in _LEAST_WANTED:
        if sum(one.width + 3 for one in columns if one not in hidden) > width:
            hidden += [one for one in columns if one.key == key]
    return hidden


def _table(records: Sequence[Record], columns: Sequence[Column], base: Path, by_sweep: bool) -> Table:
    table = Table()
    table.add_column("run", overflow="fold")
    for one in columns:
        table.add_column(one.header, justify="right" if one.right else "left", overflow="fold")
    sweep: Path | None = None
    for number, record in enumerate(records):
        if by_sweep and record.sweep != sweep:
            table.add_section()
            sweep = record.sweep
            if sweep is not None:
                table.add_row(Text(_name(sweep, base), style="bold"))
        name = f"  {record.folder.name}" if by_sweep and sweep else _name(record.folder, base)
        table.add_row(Text(name), *[_styled(one, one.texts[number]) for one in columns])
    return table


def _styled(one: Column, text: str) -> Text:
    return Text(text, style=_COLOURS.get(text, "") if one.key == "status" else "")


def _name(folder: Path, base: Path) -> str:
    """The folder as seen from the base."""
    return folder.relative_to(base).as_posix() if folder != base and folder.is_relative_to(base) else folder.name
