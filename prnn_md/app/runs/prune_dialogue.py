"""What `prnn-md runs prune` lists, asks and reports."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from prnn_md.app.records import RecordError
from prnn_md.app.runs.columns import text
from prnn_md.app.runs.pruning import Doomed, StillGoingOn, delete
from prnn_md.app.runs.values import value
from prnn_md.app.sync import offline_runs


class NotAsked(ValueError):
    """Nobody is there to be asked."""


def announce(found: Sequence[Doomed], rests: Sequence[Path], checkpoints_only: bool) -> None:
    """Print what would go, with sizes."""
    for one in found:
        told = (text(value(one.record, key)) for key in ("label", "status", "test/net_error", "started"))
        print(f"{size(one.size):>10}  {one.record.folder}  {', '.join(told)}")
    for rest in rests:
        print(f"{'':>10}  {rest}  left by an interrupted deletion")
    what = "the checkpoints of " if checkpoints_only else ""
    print(f"{size(sum(one.size for one in found)):>10}  in all: {what}{len(found)} runs")
    jobs = sum(one.record.sweep is not None for one in found)
    if jobs and not checkpoints_only:
        print(f"{jobs} of them are jobs of sweeps; the command of a sweep would run them again.")
    waiting = sum(any(not part.synced for part in offline_runs([one.record])) for one in found)
    if waiting:
        print(f"{waiting} of them have W&B runs that are not uploaded; `prnn-md sync` does that.")


def agreed(yes: bool) -> bool:
    """Whether it may go, by the option or by the answer on a terminal. Raises NotAsked where neither is there."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise NotAsked("Nothing is deleted: there is no terminal to ask on. Add --yes to delete all this.")
    return input("Delete all this? [y/N] ").strip().lower() in ("y", "yes")


def carry_out(found: Sequence[Doomed], rests: Sequence[Path]) -> int:
    """Delete, and say on standard error what could not be; returns how many runs and rests that were."""
    failed = 0
    for one in found:
        try:
            delete(one)
        except (OSError, StillGoingOn, RecordError) as error:
            failed += 1
            print(f"not deleted: {error}", file=sys.stderr)
    for rest in rests:
        try:
            shutil.rmtree(rest)
        except OSError as error:
            failed += 1
            print(f"not deleted: {error}", file=sys.stderr)
    print(f"Deleted: {len(found) + len(rests) - failed} of {len(found) + len(rests)}.")
    return failed


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
