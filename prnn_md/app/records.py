"""Runs as their folders tell of them: what the commands that list, compare and report runs read."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from prnn_md.app.ledger import SCHEMA_VERSION, is_going_on

SWEEP_FILE = "sweep.json"
"""In the folder of a sweep: what was asked for, and every job with its number and its values."""

SWEEP_VERSION = 1
"""Schema version of that file."""

DELETED = ".deleted"
"""Ends the name of a folder that is being deleted; what is in one is no run any more."""

_REQUIRED = {"started": str, "status": str, "host": str, "process": int, "label": str, "seed": int, "metrics": dict}


class RecordError(ValueError):
    """A run folder that cannot be read; the message names the file and what to do."""


@dataclass(frozen=True)
class Record:
    """A run, or a model that was compared within one, with the content of its result.json."""

    folder: Path
    result: dict[str, Any]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        config = _read(self.folder / "config.yaml", _yaml)
        if not isinstance(config, dict):
            raise RecordError(f"{self.folder / 'config.yaml'} holds no configuration.")
        return config

    @cached_property
    def overrides(self) -> list[str]:
        """The words of the command line."""
        words: list[str] = _read(self.folder / "overrides.yaml", _yaml)
        return words

    @property
    def status(self) -> str:
        """finished, failed, interrupted or running; "lost" for a run whose process is gone without a word."""
        said = str(self.result["status"])
        return "lost" if said == "running" and not is_going_on(self.result) else said

    @property
    def compared_in(self) -> Path | None:
        """The folder of the run in which this model was compared with the main one, None for a main one."""
        return self.folder.parent.parent if self.folder.parent.name == "compare" else None

    @property
    def sweep(self) -> Path | None:
        """The folder of the sweep that the run belongs to, None if it was started alone."""
        return sweep_folder(self.folder)

    @property
    def metrics(self) -> dict[str, float | None]:
        """Final metrics by name, such as test/net_error; None where one is not finite."""
        return dict(self.result.get("metrics", {}))


def find_records(places: Sequence[Path], compared: bool = False) -> tuple[list[Record], list[RecordError]]:
    """All runs in or below some folders, in the order of their start, and what is wrong with those that are unreadable.

    With `compared` the models that they were compared with too. Raises RecordError for a place that is not there.
    """
    found, unreadable = {}, []
    for place in places:
        if not place.is_dir():
            raise RecordError(f"There is no folder {place}.")
        for folder in run_folders(place.resolve(), compared):
            try:
                found[folder] = read_record(folder)
            except RecordError as error:
                unreadable.append(error)
    records = sorted(found.values(), key=lambda record: (str(record.result["started"]), str(record.folder)))
    return records, unreadable


def read_record(folder: Path) -> Record:
    """The run in a folder. Raises RecordError if there is none, or none that can be read."""
    result = _versioned(folder / "result.json", SCHEMA_VERSION)
    missing = [name for name, kind in _REQUIRED.items() if not isinstance(result.get(name), kind)]
    if missing:
        raise RecordError(f"{folder / 'result.json'} does not tell {', '.join(missing)}.")
    return Record(folder, result)


def read_sweep(folder: Path) -> dict[str, Any]:
    """The content of sweep.json in the folder of a sweep."""
    return _versioned(folder / SWEEP_FILE, SWEEP_VERSION)


def sweep_folder(folder: Path) -> Path | None:
    """The folder of the sweep that a run folder, or that of a model compared in it, belongs to; None without one."""
    run = main_folder(folder)
    return run.parent if (run.parent / SWEEP_FILE).is_file() else None


def main_folder(folder: Path) -> Path:
    """The folder of the run that a run folder, or that of a model compared in it, belongs to."""
    return folder.parent.parent if folder.parent.name == "compare" else folder


def run_folders(place: Path, compared: bool = False) -> Iterator[Path]:
    """The folders with a result.json; what else is in one is not looked into."""
    for name, folders, files in os.walk(place):
        folders[:] = [below for below in folders if not below.endswith(DELETED)]
        if "result.json" in files:
            yield Path(name)
            folders[:] = ["compare"] if compared and "compare" in folders else []


def _yaml(text: str) -> Any:
    """The content of a YAML text, by the parser in C where there is one, which is ten times as fast."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _versioned(file: Path, reads: int) -> dict[str, Any]:
    """The content of a JSON file with a schema version."""
    content = _read(file, json.loads)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != reads:
        raise RecordError(
            f"{file} has the schema version {version}, and this version of prnn_md reads {reads}: use the version that "
            "wrote it."
        )
    return dict(content)


def _read(file: Path, parse: Any) -> Any:
    try:
        return parse(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RecordError(f"{file} cannot be read: {error}") from error
