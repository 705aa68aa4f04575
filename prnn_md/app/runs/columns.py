"""The columns of the table of runs, and how values are written in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from prnn_md.app.fields import shown
from prnn_md.app.records import Record
from prnn_md.app.runs.values import Value, value
from prnn_md.progress import duration

DEFAULT_KEYS = (
    "label",
    "md",
    "dataset",
    "n_train",
    "seed",
    "status",
    "test/net_error",
    "valid/error",
    "label/floor",
    "time",
    "started",
)

_HEADERS = {"test/net_error": "net error (95 % interval)", "valid/error": "valid error", "label/floor": "floor"}


@dataclass(frozen=True)
class Column:
    """A column of the table: its key, and what each run has there."""

    key: str
    texts: list[str]
    right: bool

    @property
    def header(self) -> str:
        return _HEADERS.get(self.key, self.key)

    @property
    def width(self) -> int:
        """Of the longest text."""
        return max(map(len, [self.header, *self.texts]))

    @property
    def agrees(self) -> bool:
        """Whether several runs all have the same there."""
        return len(self.texts) > 1 and len(set(self.texts)) == 1


def column(key: str, records: Sequence[Record]) -> Column:
    found = [value(record, key) for record in records]
    numbers = all(isinstance(item, int | float | None) for item in found)
    texts = [_cell(key, item, record) for item, record in zip(found, records, strict=True)]
    return Column(key, texts, right=numbers or key == "time")


def text(found: Value) -> str:
    """A value for a table; numbers with four digits."""
    if found is None:
        return "-"
    return f"{found:.4g}" if isinstance(found, float) else shown(found)


def _cell(key: str, found: Value, record: Record) -> str:
    if found is None:
        return "-"
    if key == "time":
        return duration(found)
    if key == "started":
        return str(found)[:16].replace("T", " ")
    if key.startswith(("test/", "valid/", "label/", "train/", "untrained/")) and isinstance(found, float):
        low, high = (record.metrics.get(key.replace("net_error", name)) for name in ("net_low", "net_high"))
        interval = f" ({low:.3f} to {high:.3f})" if key.endswith("net_error") and None not in (low, high) else ""
        return f"{found:.3f}{interval}"
    return text(found)
