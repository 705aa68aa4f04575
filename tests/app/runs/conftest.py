"""Runs of many kinds, made from the folder of a run that has really finished."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from prnn_md.app.overrides import changed

Make = Callable[..., Path]


@pytest.fixture
def make(finished_run: Path) -> Make:
    """Copies the finished run to a folder, with some words changed in its configuration and entries in its result."""

    def copy(folder: Path, *words: str, metrics: dict[str, Any] | None = None, **entries: Any) -> Path:
        shutil.copytree(finished_run, folder)
        config = changed(yaml.safe_load((folder / "config.yaml").read_text()), words)
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        result = json.loads((folder / "result.json").read_text())
        result |= {"seed": config["seed"], **entries, "metrics": result["metrics"] | (metrics or {})}
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    return copy


@pytest.fixture(scope="session")
def gone() -> int:
    """The number of a process that has ended."""
    shown = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return int(shown.stdout)


@pytest.fixture
def place(tmp_path: Path, make: Make, gone: int) -> Path:
    """good, a sweep of two runs, and one run each that is better, failed, lost, going on and unreadable."""
    place = tmp_path / "outputs"
    make(place / "good", metrics={"test/net_error": 0.3, "valid/error": 0.3}, started="2026-01-01T10:00:00+00:00")
    for seed in (1, 2):
        folder = place / "tries" / str(seed - 1)
        started = f"2026-01-0{2 * seed}T10:00:00+00:00"
        make(folder, f"seed={seed}", "optimizer.lr=0.5", metrics={"test/net_error": 0.1 * seed}, started=started)
    (place / "tries" / "sweep.json").write_text("{}")
    metrics = {"test/net_error": 0.4, "valid/error": 0.01}
    make(place / "better", "md.j2.yield_stress=2.0", metrics=metrics, started="2026-01-03T10:00:00+00:00")
    trace = 'Traceback:\n  File "a.py", line 1, in fit\n    fit()\n  File "b.py", line 7, in step\n    1 / 0\nboom\n'
    failed = {"status": "failed", "error": "ZeroDivisionError: boom", "traceback": trace}
    make(
        place / "failed",
        **failed,
        metrics={"test/net_error": None, "valid/error": None},
        started="2026-01-05T10:00:00+00:00",
    )
    make(place / "lost", status="running", process=gone, started="2026-01-06T10:00:00+00:00")
    make(place / "going", status="running", process=os.getpid(), started="2026-01-07T10:00:00+00:00")
    (make(place / "unreadable") / "result.json").write_text('{"status": ')
    return place
