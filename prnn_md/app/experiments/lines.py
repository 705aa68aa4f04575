"""`runs.jsonl`, the committed results of an experiment: one line for every job that has finished."""

import fcntl
import json
import os
from collections.abc import Sequence
from hashlib import sha256
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
    """All lines, none if there is no file; ConfigError names one that cannot be read.

    A last line that a kill has cut short is not there.
    """
    if not file.is_file():
        return []
    content = file.read_text()
    lines: list[Line] = []
    for number, text in enumerate(content[: _whole(content)].splitlines(), start=1):
        try:
            line = json.loads(text)
            line["grid"], line["words"], line["files"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{file}, line {number} cannot be used ({error}): restore it, or remove it.") from error
        lines.append(line)
    return lines


def add_line(file: Path, line: Line) -> None:
    """Add a line, which is on disk afterwards, behind the last whole one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        lines.seek(0)
        there = lines.read()
        whole = there[: _whole(there)]
        lines.truncate(len(whole.encode()))
        start = "\n" if whole and not whole.endswith("\n") else ""
        lines.write(f"{start}{json.dumps(line, allow_nan=False)}\n")
        lines.flush()
        os.fsync(lines.fileno())


def check_files(file: Path, lines: Sequence[Line]) -> None:
    """ConfigError where the lines are of different versions of an input file, or of another than what ships now."""
    from prnn_md.data.dataset import SETS
    from prnn_md.md.library import FOLDER as LIBRARIES

    shipped = {path.name: path for folder in (SETS, LIBRARIES) for path in folder.glob("*.h5")}
    seen: dict[str, str] = {}
    for line in lines:
        for name, digest in line["files"].items():
            if name not in seen:
                seen[name] = sha256(shipped[name].read_bytes()).hexdigest() if name in shipped else digest
            if seen[name] != digest:
                raise ConfigError(
                    f"{file}: the run {' '.join(line['words'])} was made with another version of {name}: remove its "
                    "line, or choose another folder by hydra.sweeper.results."
                )


def _whole(text: str) -> int:
    """The length of a text without a last line that was cut short."""
    end = text.rfind("\n") + 1
    try:
        json.loads(text[end:])
    except ValueError:
        return end
    return len(text)
