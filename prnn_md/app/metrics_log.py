"""The curves of a run as metrics.csv in its folder: one row an epoch."""

import csv
import io
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from prnn_md.files import write_text


class RunLogger(Logger):
    """A Lightning logger of one run; what Lightning does not know does nothing by default."""

    @property
    def name(self) -> str | None:
        return None

    @property
    def version(self) -> int | str | None:
        return None

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the whole configuration is in the run folder already."""

    def log_figures(self, figures: Mapping[str, Path]) -> None:
        """Take note of image files by name."""

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Take note of the final metrics."""

    def log_checkpoint(self, file: Path) -> None:
        """Take note of the checkpoint with the weights that are kept."""

    def log_comparison(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take note of the closing table, only of the main model."""

    def close(self, failed: bool) -> None:
        """Finish the log; called exactly once."""


class MetricsLog(RunLogger):
    """Writes metrics.csv, whole after every call; rows of an earlier start of the same run are kept.

    Metrics of one epoch share a row; what is logged again, after a restart, replaces what was there.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file = folder / "metrics.csv"
        self.rows: dict[int, dict[str, float]] = {}
        if self.file.is_file():
            with self.file.open(newline="") as lines:
                for row in csv.DictReader(lines):
                    numbers = {name: float(value) for name, value in row.items() if value}
                    self.rows[int(numbers.pop("epoch"))] = numbers

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", step or 0))
        row = self.rows.setdefault(epoch, {})
        row.update({name: float(value) for name, value in metrics.items() if name != "epoch"})
        write_text(self.file, self._text())

    def _text(self) -> str:
        names = sorted({name for row in self.rows.values() for name in row})
        text = io.StringIO()
        writer = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"epoch": epoch, **row} for epoch, row in sorted(self.rows.items()))
        return text.getvalue()


def csv_only(folder: Path, config: Mapping[str, Any], run_id: str | None) -> list[RunLogger]:
    """Nothing beside metrics.csv, which every run writes."""
    return []


def read_metrics(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves in a run folder: pairs of epoch and value by name."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for epoch, row in sorted(MetricsLog(folder).rows.items()):
        for name, value in row.items():
            curves.setdefault(name, []).append((epoch, value))
    return curves
