"""`prnn-md runs prune`: which runs go by which rule, and how a folder goes as a whole."""

import os
import re
import shutil
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prnn_md.app.records import DELETED, Record, read_record
from prnn_md.app.runs.listing import ordered
from prnn_md.app.runs.values import value

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class StillGoingOn(ValueError):
    """A run that has been taken up again since it was chosen."""


@dataclass(frozen=True)
class Doomed:
    """What would go of a run: its folders, all inside the run's, and their size (bytes)."""

    record: Record
    folders: list[Path]
    size: int


def age(text: str) -> timedelta:
    """The span of time in a text such as 12h, 30d or 8w; raises ArgumentTypeError for any other."""
    match = re.fullmatch(r"(\d+)([hdw])", text)
    if match is None:
        raise ArgumentTypeError(f"{text} is no age: write 12h, 30d or 8w.")
    return int(match[1]) * _UNITS[match[2]]


def ended_before(records: Sequence[Record], span: timedelta) -> list[Record]:
    """The runs that ended, or if that is not known started, longer ago than this."""
    limit = datetime.now(UTC) - span
    return [record for record in records if _last_sign(record) < limit]


def without_best(records: Sequence[Record], count: int, key: str) -> list[Record]:
    """The runs but the `count` ones with the least values of a key."""
    kept = {record.folder for record in ordered(records, key)[:count] if value(record, key) is not None}
    return [record for record in records if record.folder not in kept]


def doomed(records: Sequence[Record], checkpoints_only: bool) -> list[Doomed]:
    """What would go of those runs that are not going on, which is nothing where there are no checkpoints left."""
    found = []
    for record in records:
        folders = list(_checkpoints(record.folder)) if checkpoints_only else [record.folder]
        if record.status != "running" and folders:
            found.append(Doomed(record, folders, sum(map(_size, folders))))
    return found


def delete(one: Doomed) -> None:
    """Delete the folders, each of which is there as a whole or not at all, whenever this is interrupted.

    Raises StillGoingOn for a run that somebody has taken up again, and OSError for what may not be deleted.
    """
    if read_record(one.record.folder).status == "running":
        raise StillGoingOn(f"{one.record.folder} has been taken up again: it stays.")
    for folder in one.folders:
        aside = folder.with_name(f".{folder.name}.{os.getpid()}{DELETED}")
        folder.rename(aside)  # in one step, so that no half of a run is ever taken for a run
        shutil.rmtree(aside)


def left_over(places: Sequence[Path]) -> list[Path]:
    """Folders that an interrupted deletion has put aside."""
    found = []
    for place in places:
        for name, folders, _ in os.walk(place.resolve()):
            found += [Path(name, below) for below in folders if below.endswith(DELETED)]
            folders[:] = [below for below in folders if not below.endswith(DELETED)]
    return found


def _checkpoints(folder: Path) -> Iterator[Path]:
    """The folders of checkpoints of a run and of the models compared in it."""
    for found in (folder / "checkpoints", *sorted(folder.glob("compare/*/checkpoints"))):
        if found.is_dir():
            yield found


def _last_sign(record: Record) -> datetime:
    return datetime.fromisoformat(record.result.get("finished") or record.result["started"])


def _size(folder: Path) -> int:
    return sum(Path(name, file).lstat().st_size for name, _, files in os.walk(folder) for file in files)
