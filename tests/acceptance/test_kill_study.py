"""Labels of LAMMPS whose workers and commands are killed again and again; writes results/kill_study.json."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "outputs" / "acceptance" / "kill_study"
RESULTS = ROOT / "results" / "kill_study.json"
LABELS, KILLS = 200, 20
LONGEST_WAIT = 1.0  # s from the beginning of a label to a kill
ORPHANS = 60.0  # s that processes of killed commands may outlive them


class Command:
    """A command that has the labels made, and all processes that any such command has started."""

    def __init__(self, store: Path, executor: str, workers: int) -> None:
        self.store, self.log, self.started = store, store.with_suffix(".asked"), 0
        self._words = [sys.executable, "-c", "import counted_reference; counted_reference.main()", str(store)]
        self._words += [executor, str(workers)]
        search = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
        self._environment = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
        store.mkdir()
        self.start()

    def start(self) -> None:
        self.started += 1
        errors = self.store.with_suffix(".stderr").open("a")
        with errors:
            self.process = subprocess.Popen(self._words, env=self._environment, stderr=errors, cwd=self.store)

    def asked(self) -> list[list[str]]:
        """Id, "again" or "first", and process of each call of the labeler."""
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def alive(self) -> set[int]:
        """All processes that the commands have started; they work in the folder of the store."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == self.store:
                    found.add(int(process.name))
        return found

    def wait_for_labels(self) -> None:
        """Until another label is begun, or the command is over."""
        before = len(self.asked())
        while len(self.asked()) == before and self.process.poll() is None:
            time.sleep(0.02)

    def workers(self) -> list[int]:
        """Processes that were seen to make labels, and live."""
        return sorted({int(process) for _, _, process in self.asked()} & self.alive())


def contents(store: Path) -> dict[str, bytes]:
    """All files of labels by name."""
    return {file.name: file.read_bytes() for file in (store / "files").glob("*/*")}


def killed_labels(store: Path, executor: str, workers: int, seed: int) -> dict[str, Any]:
    """What it took to have all labels made in spite of the kills."""
    rng, start = random.Random(seed), time.monotonic()
    command = Command(store, executor, workers)
    kills = {"worker": 0, "command": 0}
    while (code := command.process.poll()) != 0:
        if code is not None:
            command.start()
        if sum(kills.values()) == KILLS:
            command.process.wait()
            continue
        command.wait_for_labels()
        time.sleep(rng.uniform(0.0, LONGEST_WAIT))
        victim = rng.choice(["worker", "command"])
        processes = [command.process.pid] if victim == "command" else command.workers()
        if processes:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(processes), signal.SIGKILL)
                kills[victim] += 1
            if victim == "command":
                command.process.wait()
    seconds, until = time.monotonic() - start, time.monotonic() + ORPHANS
    while command.alive() and time.monotonic() < until:
        time.sleep(0.2)
    asked = command.asked()
    return {
        "executor": executor,
        "workers": workers,
        "seed": seed,
        "killed": kills,
        "commands": command.started,
        "labels": len(contents(store)),
        "computed": len(asked),
        "computed_when_finished": sum(when == "again" for _, when, _ in asked),
        "processes_left": len(command.alive()),
        "wall_s": round(seconds, 1),
    }


@pytest.fixture(scope="module")
def whole() -> tuple[dict[str, bytes], float]:
    """The labels when nobody is killed, and the seconds that each takes."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    start = time.monotonic()
    command = Command(FOLDER / "whole", "pool", 1)
    assert command.process.wait() == 0
    return contents(FOLDER / "whole"), (time.monotonic() - start) / LABELS


@pytest.mark.acceptance
def test_killed_workers_and_commands_change_no_label_and_repeat_none(whole: tuple[dict[str, bytes], float]) -> None:
    labels, seconds = whole
    assert len(labels) == LABELS
    cases = []
    for executor in ("pool", "parsl"):
        for workers in (1, 3):
            store = FOLDER / f"{executor}-{workers}"
            case = killed_labels(store, executor, workers, seed=len(cases))
            cases.append({**case, "same_ids_and_bytes": contents(store) == labels})
    versions = {name: version(name) for name in ("prnn_md", "lammps", "parsl", "torch")}
    report = {
        "command": "make acceptance ARGS=tests/acceptance/test_kill_study.py",
        "kills": KILLS,
        "seconds_per_label": round(seconds, 3),
        "cores": os.cpu_count(),
        "versions": versions,
        "cases": cases,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    for case in cases:
        assert case["same_ids_and_bytes"], case
        assert sum(case["killed"].values()) == KILLS, case
        assert min(case["killed"].values()) > 0, case
        assert case["computed_when_finished"] == 0, case
        assert LABELS < case["computed"] <= LABELS + KILLS * case["workers"], case
        assert case["processes_left"] == 0, case
