"""The closing table: how the models of one run did on the same test paths."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from prnn_md.app.evaluation import errors
from prnn_md.app.ledger import write_json
from prnn_md.data.datamodule import PathDataModule
from prnn_md.data.dataset import StressStrainData
from prnn_md.statistics import NetError

Row = dict[str, Any]
"""name, n_train, error, floor, net_error, net_low and net_high, the errors in units of the stress scale.

An error that is not finite is None in rows that were recorded.
"""


def row(name: str, n_train: int, judged: NetError) -> Row:
    return {"name": name, "n_train": n_train, **asdict(judged)}


def zero_row(data: StressStrainData) -> Row:
    """How predicting no stress at all would do."""
    return row("zero", 0, errors(torch.zeros_like(data.stress), torch.zeros(len(data), dtype=torch.bool), data))


def save_comparison(folder: Path, rows: Sequence[Row]) -> None:
    write_json(folder / "comparison.json", list(rows))


def print_comparison(folder: Path, rows: Sequence[Row], data_line: str) -> None:
    """Print the table, what it rests on, and the run folder."""
    table = Table(title="Test errors, relative to the stress scale")
    for name in ("model", "training paths", "error", "floor", "net error", "95 % interval"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for entry in rows:
        names = ("error", "floor", "net_error", "net_low", "net_high")
        *numbers, low, high = ("nan" if entry[name] is None else f"{entry[name]:.3f}" for name in names)
        table.add_row(entry["name"], str(entry["n_train"]), *numbers, f"{low} to {high}")
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    console.print(data_line)
    console.print(f"Run folder: {folder}", markup=False)


def _listed(numbers: Sequence[int], most: int = 24) -> str:
    """The numbers, only the first of them where there are many."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown}, ..."


def describe_data(data: PathDataModule) -> str:
    """Which paths trained, stopped and judged the models; result.json has all of them."""
    train, valid = (_listed(indices) for indices in (data.train_indices, data.valid_indices))
    return (
        f"Training paths: {len(data.train_indices)} ({train}).\n"
        f"Validation paths: {len(data.valid_indices)} ({valid}), by which every model stops early and keeps its best.\n"
        f"Test paths: {len(data.test_indices)}; error^2 = floor^2 + net error^2, the floor being the labels' own noise."
    )
