"""`runs.jsonl`, the committed results of an experiment: one line for every job that has finished."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prnn_md.app.checking import ConfigError

FILE = "runs.jsonl"

Line = dict[str, Any]
"""`grid` and `words` say which job it was; the rest is from its ledger."""

_KEPT = (
    "label",
    "seed",
    "seeds",
    "n_train",
    "n_valid",
    "n_test",
    "trainable_parameters",
    "epochs",
    "best_epoch",
    "metrics",
    "wall_s",
    "finished",
    "commit",
    "dirty",
    "versions",
    "python",
    "platform",
)


def line_of(grid: str, words: Sequence[str], result: dict[str, Any]) -> Line:
    """The line of a finished job; input files go by their names, so that it is the same in whatever folder."""
    files = {Path(file).name: digest for file, digest in result["files"].items()}
    return {"grid": grid, "words": list(words), **{name: result[name] for name in _KEPT}, "files": files}


def read_lines(file: Path) -> list[Line]:
    """All lines, none if there is no file; ConfigError names one that cannot be read, or that does not fit the others.

    A last line that a kill has cut short is not there.
    """
    if not file.is_file():
        return []
    whole = file.read_text().splitlines(keepends=True)
    lines: list[Line] = []
    for number, text in enumerate(whole, start=1):
        if not text.endswith("\n"):
            break
        try:
            line = json.loads(text)
            line["grid"], line["words"], line["files"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{file}, line {number} cannot be used ({error}): restore it, or remove it.") from error
        lines.append(line)
    _check_same_files(file, lines)
    return lines


def add_line(file: Path, line: Line) -> None:
    """Add a line, which is on disk afterwards, behind the last whole one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as lines:
        lines.seek(0)
        lines.truncate(lines.read().rfind(b"\n") + 1)
        lines.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        lines.flush()
        os.fsync(lines.fileno())


def _check_same_files(file: Path, lines: Sequence[Line]) -> None:
    seen: dict[str, str] = {}
    for line in lines:
        for name, digest in line["files"].items():
            if seen.setdefault(name, digest) != digest:
                raise ConfigError(f"{file}: its runs were made with several versions of {name}; remove the older ones.")
