"""The ledger: what a run folder says about its run, from the first moment to the last."""

import json
import math
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import yaml

from prnn_md.app.processes import is_alive, start_of
from prnn_md.files import write_text

SCHEMA_VERSION = 1
_PACKAGES = ("prnn_md", "torch", "lightning", "hydra-core", "omegaconf", "numpy", "numba", "h5py", "wandb")


class Interrupted(BaseException):
    """The run was asked to stop, by Ctrl-C or by the scheduler."""


class FolderInUse(ValueError):
    """A run folder that a run cannot continue in."""


class FolderGone(OSError):
    """A run folder that was deleted while its run was going on."""


class Ledger:
    """The record of one run; a context manager that marks it finished, failed or interrupted at the end.

    Opening the folder of an unfinished run of the same configuration continues it: `resumed` is then true.
    Raises FolderInUse where the folder holds another, a finished or a living run, and FolderGone as soon as it is
    noticed that somebody has deleted it, rather than to go on in what is left.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], overrides: Sequence[str] = ()) -> None:
        self.folder, self.config = folder, dict(config)
        before = read_result(folder)
        self.resumed = before is not None
        if before is not None:
            _check_continues(folder, before, self.config)
        self.result: dict[str, Any] = before or {"started": _now(), "metrics": {}, "wall_s": {}}
        folder.mkdir(parents=True, exist_ok=True)
        self._write_texts(overrides)
        known = {name: config[name] for name in ("seed", "seeds", "label")}
        self.record(status="running", **_surroundings(), **known)

    def _write_texts(self, overrides: Sequence[str]) -> None:
        write_text(self.folder / "config.yaml", yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        write_text(self.folder / "overrides.yaml", yaml.safe_dump(list(overrides), allow_unicode=True))

    def record(self, **entries: Any) -> None:
        """Merge entries into result.json; dictionaries are merged, everything else replaced.

        Numbers that are not finite become None, in `result` as well, so that a restart reads what it left.
        """
        if not (self.folder / "config.yaml").is_file():
            raise FolderGone(f"{self.folder} was deleted while its run was going on: repeat the command to start anew.")
        for name, value in finite_or_none(entries).items():
            if isinstance(value, dict) and isinstance(self.result.get(name), dict):
                value = {**self.result[name], **value}
            self.result[name] = value
        write_json(self.folder / "result.json", self.result)

    def __enter__(self) -> Self:
        self.record(status="running", error=None, traceback=None, finished=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, FolderGone):
            return
        if error is None:
            self.record(status="finished", finished=_now())
            return
        status = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
        text = "".join(traceback.format_exception(kind, error, trace))
        self.record(status=status, error=f"{type(error).__name__}: {error}", traceback=text, finished=_now())


def read_result(folder: Path) -> dict[str, Any] | None:
    """The content of result.json in a run folder, None where there is none."""
    file = folder / "result.json"
    if not file.is_file():
        return None
    try:
        result: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} cannot be read ({error}): restore it, or remove the folder.") from error
    return result


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a run that has come to its end."""
    return (read_result(folder) or {}).get("status") == "finished"


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all; numbers that are not finite, which JSON lacks, become null."""
    write_text(path, json.dumps(finite_or_none(value), indent=2, allow_nan=False) + "\n")


def finite_or_none(value: Any) -> Any:
    """The value with None for every number in it that is not finite; tuples become lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: finite_or_none(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_same_config(folder: Path, config: Mapping[str, Any], what: str) -> None:
    """Raises FolderInUse with the first difference between a configuration and that of the run in the folder."""
    difference = first_difference(yaml.safe_load((folder / "config.yaml").read_text()), dict(config))
    if difference:
        raise FolderInUse(f"{folder} holds {what} of another configuration: {difference}.")


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block SIGTERM and SIGINT raise Interrupted, so that everything is closed and recorded.

    Only the main thread can ask for this; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def left_to_rank_0() -> Iterator[None]:
    """Within the block SIGTERM and SIGINT do nothing: rank 0 answers them, and the other ranks end with it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def note_lost(folder: Path, error: BaseException, ended: bool = False) -> None:
    """Note how a run ended, in the folder and in those of the models compared in it, that could not tell itself.

    A run that did tell, or that has not begun, is left as it is; so is one with a living process, which is believed of
    one on another machine unless it is known to have `ended`.
    """
    status = "interrupted" if isinstance(error, Interrupted) else "failed"
    for place in (folder, *folder.glob("compare/*")):
        result = read_result(place)
        if result is not None and result["status"] == "running" and (ended or not is_going_on(result)):
            entries = {"status": status, "error": f"{type(error).__name__}: {error}", "finished": _now()}
            write_json(place / "result.json", result | entries)


def _check_continues(folder: Path, before: dict[str, Any], config: dict[str, Any]) -> None:
    if before.get("status") == "finished":
        raise FolderInUse(f"{folder} holds a finished run.")
    if is_going_on_here(before) and before["process"] != os.getpid():
        raise FolderInUse(f"{folder} holds a run that is still going on, as process {before['process']}.")
    check_same_config(folder, config, "an unfinished run")


def is_going_on_here(result: Mapping[str, Any]) -> bool:
    """Whether a run says that it is running, and its process lives on this machine."""
    return result.get("status") == "running" and result["host"] == socket.gethostname() and is_alive(result)


def is_going_on(result: Mapping[str, Any]) -> bool:
    """Whether a run that says it is running has a living process, which is believed of one on another machine."""
    return result["host"] != socket.gethostname() or is_alive(result)


def first_difference(there: Any, here: Any, path: str = "") -> str:
    """The first key in which two configurations differ, with both values; empty where none does."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in dict.fromkeys([*there, *here]):
            found = first_difference(there.get(name), here.get(name), f"{path}.{name}" if path else str(name))
            if found:
                return found
        return ""
    return "" if there == here else f"{path} is {there} there and {here} here"


def _surroundings() -> dict[str, Any]:
    commit, dirty = commit_of(Path(__file__).resolve().parents[2])
    return {
        "schema_version": SCHEMA_VERSION,
        "commit": commit,
        "dirty": dirty,
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "process_start": start_of(os.getpid()),
        "command": sys.argv,
    }


def commit_of(place: Path) -> tuple[str | None, bool | None]:
    """Commit of a checkout, and whether it has changes; None outside of one.

    Results of studies do not count, to which the runs themselves add.
    """
    if not (place / ".git").exists():
        return None, None
    try:
        commit = _git(place, "rev-parse", "HEAD")
        return commit, bool(_git(place, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(place: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(place), *words], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
