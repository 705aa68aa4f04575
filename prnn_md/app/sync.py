"""`prnn-md sync`: upload the offline W&B runs that lie in run folders."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from prnn_md.app.records import Record, find_records
from prnn_md.app.wandb_key import base_url, has_key

_AT_ONCE = 100
"""Files that one process of W&B uploads, so that its command line stays short."""

_ANSWER = 20.0
"""Seconds to wait for the service, which W&B itself would try to reach for hours."""


class SyncError(ValueError):
    """Nothing can be uploaded."""


@dataclass(frozen=True)
class OfflineRun:
    """A file in which W&B has recorded a run, or the part of it since a restart."""

    record: Record
    file: Path

    @property
    def synced(self) -> bool:
        """Whether it has been uploaded, of which W&B leaves a mark beside it."""
        return self.file.with_name(f"{self.file.name}.synced").exists()


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md sync`; returns the exit code, 1 where something was not uploaded."""
    parser = argparse.ArgumentParser(prog="prnn-md sync", description=__doc__)
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        default=[Path("outputs")],
        metavar="PLACE",
        help="the folder of a run, of a sweep, or anything above (default: outputs)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be uploaded")
    given = parser.parse_args(words)
    records, unreadable = find_records(given.places, compared=True)
    for reason in unreadable:
        print(f"unreadable: {reason}", file=sys.stderr)
    found = list(offline_runs(records))
    waiting = [one for one in found if not one.synced and one.record.status != "running"]
    going = sum(one.record.status == "running" for one in found)
    print(f"{len(found)} offline runs: {sum(one.synced for one in found)} uploaded before, {going} going on.")
    if given.dry_run:
        for one in waiting:
            print(f"would upload: {one.record.folder}")
        return 0
    return _upload_and_report(waiting) if waiting else 0


def offline_runs(records: Sequence[Record]) -> Iterator[OfflineRun]:
    """The offline W&B runs in the folders of some runs, in the order in which they were started."""
    for record in records:
        for file in sorted(record.folder.glob("wandb/offline-run-*/run-*.wandb")):
            yield OfflineRun(record, file)


def _upload_and_report(waiting: Sequence[OfflineRun]) -> int:
    _check_service()
    complaints: list[str] = []
    for start in range(0, len(waiting), _AT_ONCE):
        complaints += _upload([one.file for one in waiting[start : start + _AT_ONCE]])
    failed = [one for one in waiting if not one.synced]
    for one in waiting:
        print(f"{'uploaded' if one.synced else 'not uploaded'}: {one.record.folder}")
    for line in dict.fromkeys(complaints if failed else []):
        print(f"W&B says: {line}", file=sys.stderr)
    print(f"{len(waiting) - len(failed)} of {len(waiting)} uploaded.")
    return int(bool(failed))


def _check_service() -> None:
    """Raises SyncError without a key, and where the service does not answer."""
    if not has_key():
        raise SyncError("There is no key for W&B: set WANDB_API_KEY, or run `wandb login`, and repeat the command.")
    try:
        urlopen(base_url(), timeout=_ANSWER).close()
    except HTTPError:
        return  # it does answer
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise SyncError(f"W&B does not answer at {base_url()} ({reason}): repeat the command later.") from None


def _upload(files: Sequence[Path]) -> list[str]:
    """Let W&B upload some files, passing on what it says; returns its complaints.

    W&B ends with 0 in any case, so that only its marks tell what went.
    """
    complaints = []
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    with (
        tempfile.TemporaryDirectory() as logs,
        subprocess.Popen(
            [sys.executable, "-m", "wandb", "sync", *map(str, files)],
            env=environment | {"WANDB_DIR": logs},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        for line in process.stdout or ():
            print(line, end="", file=sys.stderr)
            if "ERROR" in line or "panic:" in line:
                complaints.append(line.removeprefix("wandb: ").strip())
    return complaints
