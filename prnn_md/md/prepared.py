"""Libraries of cells that are built when they are first asked for, and kept in the user's cache."""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from prnn_md.md.library import load_library, save_library
from prnn_md.md.quench import Progress as Report
from prnn_md.md.sample import Samples

SET = 32
"""Samples of a set, of which those are made that are asked for."""

VERSION = 2
"""Of all builders: to be raised when one of them makes other samples of the same recipe."""


def cache_folder() -> Path:
    """Where libraries are kept: prnn_md/libraries in $XDG_CACHE_HOME, by default ~/.cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "prnn_md" / "libraries"


def prepared_library(
    system: str, recipe: Mapping[str, Any], count: int, seed: int, make: Callable[[int, Report], Samples]
) -> Samples:
    """`count` samples of a `recipe`, of which those not yet in the cache are made by make(number, report).

    As from libraries that ship, they are drawn from a set of 32, or of as many as are asked for, by a generator of
    `seed`.

    A recipe is everything that its samples depend on. Each sample is kept as soon as it is there, so that an
    interrupted build goes on where it was; two processes that want the same library wait for each other.
    """
    text = json.dumps({"system": system, "version": VERSION, **recipe}, sort_keys=True)
    folder = cache_folder() / f"{system}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    drawn = torch.randperm(max(count, SET), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    files = [folder / f"{number:04d}.h5" for number in drawn]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / "lock"), _progress_bar(f"building {count} cells of {system}") as report:
            for place, (number, file) in enumerate(zip(drawn, files, strict=True)):
                if not file.exists():
                    made = make(number, partial(_report_part, report, place, count))
                    save_library(file, made, {"recipe": json.loads(text), "number": number})
                report((place + 1) / count)
    return Samples.cat([load_library(file)[0] for file in files])


def _report_part(report: Report, place: int, count: int, part: float) -> None:
    report((place + part) / count)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Only one process at a time is inside the block."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def _progress_bar(what: str) -> Iterator[Report]:
    """A bar with the time left on standard error, in a terminal; else one line at the beginning."""
    if not sys.stderr.isatty():
        print(f"{what} in {cache_folder()}, once", file=sys.stderr)
        yield lambda part: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda part: bar.update(task, completed=part)
