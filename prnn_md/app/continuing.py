"""Which unfinished run, or sweep, a repeated command goes on with."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prnn_md.app.records import SWEEP_FILE, RecordError, read_record, read_sweep
from prnn_md.app.sweeps.plan import Experiment, Plan, Space

PLACES = "outputs/*/*"
"""Where runs and sweeps lie that were not given a folder."""

OPEN = ("waiting", "running", "interrupted")
"""States of jobs that a sweep goes on with."""


def unfinished_run(config: Mapping[str, Any]) -> Path | None:
    """The newest run with this configuration that was interrupted or killed, and is no job of a sweep."""
    found = []
    for folder in _folders_with("result.json"):
        try:
            record = read_record(folder)
            if record.status in ("interrupted", "lost") and record.sweep is None and record.config == config:
                found.append((str(record.result["started"]), folder))
        except RecordError:  # it is not what is looked for
            continue
    return max(found)[1] if found else None


def unfinished_sweep(planned: Plan) -> Path | None:
    """The newest sweep with these jobs, or search in this space, some of whose jobs are still to be run.

    None for an experiment, which has a folder of its own.
    """
    if isinstance(planned, Experiment):
        return None
    found = []
    for folder in _folders_with(SWEEP_FILE):
        try:
            sweep = read_sweep(folder)
        except RecordError:
            continue
        if _is_open(sweep, planned):
            found.append(((folder / SWEEP_FILE).stat().st_mtime, folder))
    return max(found)[1] if found else None


def _is_open(sweep: Mapping[str, Any], planned: list[list[str]] | Space) -> bool:
    states = [job["state"] for job in sweep.get("jobs", ())]
    if isinstance(planned, Space):
        more = len(states) < planned.total or any(state in OPEN for state in states)
        return sweep.get("space") == planned.described and more
    words = [job["words"] for job in sweep.get("jobs", ())]
    return sweep.get("sweeper") == "grid" and words == planned and any(state in (*OPEN, "failed") for state in states)


def _folders_with(name: str) -> Iterator[Path]:
    """Absolute folders that hold a file of this name."""
    for file in Path.cwd().glob(f"{PLACES}/{name}"):
        yield file.parent
