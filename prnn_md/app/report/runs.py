"""The runs of a report: their records, with names and flat configurations."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prnn_md.app.records import Record, RecordError, find_records
from prnn_md.app.report.flat_config import FlatConfig, flat_config

MEASURES = {
    "net_error": ("test/net_error", "net error (test paths)"),
    "error": ("test/error", "error (test paths)"),
    "valid": ("valid/error", "error (validation paths)"),
}
"""Name of each measure by which runs are judged, the metric that it is, and what it is called."""


@dataclass(frozen=True)
class Run:
    """A run or a model compared within one; `number` is its place in the report, `name` its folder in short."""

    number: int
    name: str
    record: Record
    config: FlatConfig

    @property
    def label(self) -> str:
        return str(self.record.result["label"])

    @property
    def n_train(self) -> int | None:
        """Number of training paths, None for a run that did not come to know it."""
        return self.record.result.get("n_train")

    def measure(self, name: str) -> float | None:
        """Value of one of MEASURES; None for a run that has not finished."""
        finished = self.record.result["status"] == "finished"
        return self.record.metrics.get(MEASURES[name][0]) if finished else None


def find_runs(places: Sequence[Path]) -> list[Run]:
    """All runs in or below the places, with the models that were compared within them.

    Those that cannot be read are left out, and told on standard error. Raises RecordError where there is none.
    """
    records, unreadable = find_records(places, compared=True)
    for error in unreadable:
        print(f"warning: {error}", file=sys.stderr)
    if not records:
        raise RecordError(f"There is no run in {', '.join(map(str, places))}: none of its folders has a result.json.")
    top = Path(os.path.commonpath([(record.compared_in or record.folder).parent for record in records]))
    return [
        Run(number, record.folder.relative_to(top).as_posix(), record, flat_config(record.config))
        for number, record in enumerate(records)
    ]
