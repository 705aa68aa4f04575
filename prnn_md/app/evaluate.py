"""The evaluate command: the errors of a trained surrogate on any labelled paths."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prnn_md.app.checking import ConfigError, alternatives, check_parent
from prnn_md.app.faults import EXIT_CONFIG, EXIT_FAILED

if TYPE_CHECKING:
    from prnn_md.app.further_tests import Answers

_USAGE = """\
Errors of a trained surrogate on labelled paths, in all and by family.

  prnn-md evaluate run=outputs/2026-01-31/12-00-00-abc123 [path=mine.h5] [families=cyclic,random_walk] [increments=20]

run         folder of a finished run, or of a model it was compared with (<run>/compare/gru)
path        name of a shipped dataset, or a file; by default that of the run
split       test by default; train, pool or valid
families    families of paths, with commas; by default all
rates       mean strain rates of paths, with commas; by default all
increments  increments in which the paths are followed; by default those of the labels
out         JSON file for the numbers
md.*        any key of the run's MD cells, to change it without training again, as of `prnn-md predict`
"""
_KEYS = ("run", "path", "split", "families", "rates", "increments", "out")


@dataclass(frozen=True)
class _Question:
    run: Path
    changes: Sequence[str]
    path: str | None = None
    split: str = "test"
    families: tuple[str, ...] | None = None
    rates: tuple[float, ...] | None = None
    increments: int | None = None
    out: Path | None = None


def main(words: Sequence[str]) -> int:
    """Evaluate as the words say; returns the exit code."""
    if "--help" in words or "-h" in words:
        print(_USAGE)
        return 0
    try:
        question = _parsed(words)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    try:
        evaluate(question)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def evaluate(question: _Question) -> None:
    """Print the errors, and write them where that is asked for; ValueError for a run or paths that do not fit."""
    from prnn_md.app.building import check_fits
    from prnn_md.app.further_tests import answers_to
    from prnn_md.app.instantiation import build
    from prnn_md.app.ledger import write_json
    from prnn_md.app.trained import finished_result, run_config, trained_cell
    from prnn_md.data.dataset import DatasetFile
    from prnn_md.data.selection import Selection

    finished_result(question.run)
    config = run_config(question.run)
    dataset = build(config["dataset"]).dataset if question.path is None else DatasetFile(question.path)
    cell = trained_cell(question.run, question.changes)
    check_fits(cell, dataset.about, dataset.path)
    answers = answers_to(
        cell,
        dataset,
        (question.split,),
        Selection(question.families, question.rates),
        question.increments,
        config["dataset"]["batch_size"],
        config["label"],
    )
    rows = [_row("all", answers)]
    families = sorted(set(answers.labels.family))
    rows += [_row(name, answers.of_family(name)) for name in families] if len(families) > 1 else []
    _print(f"{config['label']}, {question.split} paths of {dataset.path}", rows)
    if question.out is not None:
        asked = {name: value for name, value in asdict(question).items() if name not in ("run", "path", "out")}
        write_json(question.out, {"run": str(question.run), "dataset": str(dataset.path), **asked, "errors": rows})


def _row(name: str, answers: "Answers") -> dict[str, Any]:
    judged = asdict(answers.errors)
    failed = int(answers.failed.sum())
    return {"paths": name, "number": len(answers.indices), **judged, "zero_error": answers.zero_error, "failed": failed}


def _print(title: str, rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Errors relative to the stress scale: {title}")
    for name in ("paths", "number", "error", "floor", "net error", "95 % interval", "zero", "failed"):
        table.add_column(name, justify="left" if name == "paths" else "right", no_wrap=True)
    for row in rows:
        low, high = f"{row['net_low']:.3f}", f"{row['net_high']:.3f}"
        numbers = [f"{row[name]:.3f}" for name in ("error", "floor", "net_error")]
        ends = [f"{low} to {high}", f"{row['zero_error']:.3f}", str(row["failed"])]
        table.add_row(row["paths"], str(row["number"]), *numbers, *ends)
    Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120).print(table)


def _parsed(words: Sequence[str]) -> _Question:
    changes = [word for word in words if word.startswith("md.")]
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word in changes:
            continue
        if not equals or name not in _KEYS:
            raise ConfigError(f"{word}: write key=value.\n{alternatives(name, _KEYS)}")
        values[name] = value
    if not values.get("run"):
        raise ConfigError("run= is missing. See `prnn-md evaluate --help`.")
    if "out" in values:
        check_parent(Path(values["out"]))
    parts: dict[str, Any] = {name: values[name] for name in ("path", "split") if name in values}
    if "families" in values:
        parts["families"] = tuple(values["families"].split(","))
    try:
        if "rates" in values:
            parts["rates"] = tuple(float(rate) for rate in values["rates"].split(","))
        if "increments" in values:
            parts["increments"] = int(values["increments"])
    except ValueError as error:
        raise ConfigError(f"rates and increments are numbers: {error}.") from None
    out = Path(values["out"]) if "out" in values else None
    return _Question(Path(values["run"]), changes, out=out, **parts)
