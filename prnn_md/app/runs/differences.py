"""`prnn-md runs diff`: where runs differ, in configuration, results, versions and data."""

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prnn_md.app.records import Record
from prnn_md.app.runs.columns import text
from prnn_md.app.runs.values import Value, flat

_SURROUNDINGS = ("commit", "dirty", "versions", "python", "platform", "host", "files")

Columns = Sequence[Mapping[str, Value]]


def print_differences(records: Sequence[Record]) -> None:
    """Print tables of what differs, one column a run, with the metrics of all and their differences to the first."""
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 1000)
    for number, record in enumerate(records):
        console.print(f"{_letter(number)}  {record.folder} ({record.status})", markup=False)
    surroundings = [flat({name: record.result.get(name) for name in _SURROUNDINGS}) for record in records]
    _print_part(console, "Configuration", [flat(record.config) for record in records])
    _print_part(console, "Versions, machine and data", surroundings)
    if any(record.metrics for record in records):
        console.print(_metrics([record.metrics for record in records]))


def _print_part(console: Console, title: str, columns: Columns) -> None:
    rows = {key: cells for key, cells in differing(columns).items() if not key.endswith("_partial_")}
    console.print(_table(title, rows) if rows else f"{title}: the same in all.")


def differing(columns: Columns) -> dict[str, list[str]]:
    """What every column holds at the keys at which they are not all equal; "-" where there is no such key."""
    keys = dict.fromkeys(key for one in columns for key in one)
    rows = {key: [text(one[key]) if key in one else "-" for one in columns] for key in keys}
    return {key: row for key, row in rows.items() if any(one.get(key) != columns[0].get(key) for one in columns)}


def _metrics(columns: Columns) -> Table:
    keys = sorted({key for one in columns for key in one})
    rows = {}
    for key in keys:
        found = [one.get(key) for one in columns]
        rows[key] = [text(item) for item in found] + [_less(item, found[0]) for item in found[1:]]
    headers = [f"{_letter(number)} - A" for number in range(1, len(columns))]
    return _table("Metrics", rows, headers)


def _less(found: Value, first: Value) -> str:
    return "-" if found is None or first is None else f"{round(found - first, 9):+.4g}"


def _table(title: str, rows: Mapping[str, Sequence[str]], further: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("key", overflow="fold")
    count = len(next(iter(rows.values()))) - len(further)
    for header in [*map(_letter, range(count)), *further]:
        table.add_column(header, justify="right" if further else "left", overflow="fold")
    for key, cells in rows.items():
        table.add_row(Text(key), *map(Text, cells))
    return table


def _letter(number: int) -> str:
    """A to Z, then A1 and so on."""
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
