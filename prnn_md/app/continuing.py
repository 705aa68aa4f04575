"""Which unfinished run, or sweep, a repeated command goes on with."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prnn_md.app.records import SWEEP_FILE, RecordError, read_record, read_sweep
from prnn_md.app.sweeps.plan import own_words

PLACES = "outputs/*/*"
"""Where runs and sweeps lie that were not given a folder."""


def unfinished_run(config: Mapping[str, Any], words: Sequence[str]) -> Path | None:
    """The newest run with this configuration that was interrupted or killed; None with a folder of its own."""
    if any(word.startswith("hydra.run.dir=") for word in words):
        return None
    for folder in _newest("result.json"):
        try:
            record = read_record(folder)
            if record.status in ("interrupted", "lost") and record.config == config:
                return folder
        except RecordError:  # it is not what is looked for
            continue
    return None


def unfinished_sweep(words: Sequence[str]) -> Path | None:
    """The newest sweep by the same words that is not finished; None with a folder of its own."""
    if any(word.startswith("hydra.sweep.dir=") for word in words):
        return None
    for folder in _newest(SWEEP_FILE):
        try:
            sweep = read_sweep(folder)
        except RecordError:
            continue
        open_ = [job for job in sweep["jobs"] if job["state"] in ("waiting", "running", "interrupted")]
        if sweep["words"] == own_words(words) and (open_ or len(sweep["jobs"]) < sweep["total"]):
            return folder
    return None


def _newest(name: str) -> Iterator[Path]:
    """Absolute folders with a file of this name, the newest first."""
    for file in sorted(Path.cwd().glob(f"{PLACES}/{name}"), reverse=True):
        yield file.parent
