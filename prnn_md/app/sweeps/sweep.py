"""A sweep: its jobs run side by side, each is recorded, and repeating the command goes on where it was."""

import csv
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prnn_md.app.checking import ConfigError
from prnn_md.app.ledger import Interrupted, interruptible, note_lost, write_json
from prnn_md.app.records import SWEEP_FILE, SWEEP_VERSION, read_sweep
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.source import Source
from prnn_md.app.sweeps.workers import Workers
from prnn_md.progress import CountProgress

LOOK = 0.2  # s between two looks at the jobs
LOCK = ".lock"
JOURNAL = "search.journal"
"""In the folder of a search: what Optuna knows."""


class Sweep:
    """The jobs of a `source`, run by `workers`, in a folder whose sweep.json says what has become of them.

    `objective` names the metric by which they are judged. Raises ConfigError for a folder in which another process is
    at work, or with jobs other than these.
    """

    def __init__(self, folder: Path, source: Source, workers: Workers, about: dict[str, Any], objective: str) -> None:
        self.folder, self.source, self.workers, self.about, self.objective = folder, source, workers, about, objective
        self.states: dict[int, str] = {}
        self.values: dict[int, float | None] = {}
        self._running: list[Job] = []
        self._epochs: dict[int, int] = {}
        self._looked: dict[int, float] = {}

    def run(self) -> None:
        """Run all jobs that are not finished; Interrupted, with all of them ended, if this process is asked to stop."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with interruptible():
            for job in self.source.jobs:
                self._note(job)
            self.states |= self.source.closed
            self.values |= {n: metrics.get(self.objective) for n, metrics in self.source.known_metrics.items()}
            self._save()
            done = sum(state == "finished" for state in self.states.values())
            with CountProgress(self.folder.name, "jobs", self.source.total, done) as progress:
                try:
                    self._run_jobs(progress)
                finally:
                    self.workers.close()
                    for job in self._running:
                        note_lost(job.folder, Interrupted("the end of the sweep"))
                        self._end(job, killed=True)

    def _run_jobs(self, progress: CountProgress) -> None:
        while True:
            while len(self._running) < self.workers.slots and (job := self.source.next()) is not None:
                self._start(job)
            if not self._running:
                return
            for job, killed in self.workers.ended():
                self._running.remove(job)
                note_lost(job.folder, Interrupted("a kill"), ended=True)
                self._end(job, killed)
                progress.say(self._line(job))
            for job in self._running:
                self._watch(job)
            progress.show(sum(state in ("finished", "failed", "pruned") for state in self.states.values()))
            time.sleep(LOOK)

    def _start(self, job: Job) -> None:
        if job.is_finished:  # after this process was killed, on a cluster
            self._end(job, killed=False)
            return
        self._running.append(job)
        self.states[job.number] = "running"
        self._save()
        self.workers.start(job)

    def _end(self, job: Job, killed: bool) -> None:
        """Record how a job has ended; one that was killed or interrupted goes on when the command is repeated."""
        pruned = self.states.get(job.number) == "pruned"
        self._note(job)
        if self.states[job.number] == "waiting":
            unfinished = killed or job.result.get("status") in ("interrupted", "running")
            self.states[job.number] = "pruned" if pruned else "interrupted" if unfinished else "failed"
        self.source.ended(job, self.states[job.number], self.values[job.number])
        self._save()

    def _note(self, job: Job) -> None:
        """What the ledger says of a job."""
        result = job.result
        self.states[job.number] = str(result["status"]) if result.get("status") in ("finished", "failed") else "waiting"
        self.values[job.number] = result.get("metrics", {}).get(self.objective)

    def _watch(self, job: Job) -> None:
        """Tell the source of every new epoch, and stop a job that it gives up."""
        file = job.folder / "metrics.csv"
        try:
            changed = file.stat().st_mtime
            if self.states[job.number] == "pruned" or changed == self._looked.get(job.number):
                return
            curve = _curve(file, self.objective)
        except FileNotFoundError:  # not yet there, or deleted with its folder
            return
        self._looked[job.number] = changed
        for epoch, value in curve:
            if epoch > self._epochs.get(job.number, -2):
                self._epochs[job.number] = epoch
                if self.source.report(job, epoch, value):
                    self.states[job.number] = "pruned"
                    self.workers.stop(job)
                    return

    def _line(self, job: Job) -> str:
        value = self.values[job.number]
        shown = f", {self.objective} {value:.4g}" if value is not None else ""
        return f"job {job.number} {self.states[job.number]}{shown}: {job.chosen}"

    def _save(self) -> None:
        jobs = [
            {
                "number": job.number,
                "words": list(job.words),
                "values": job.values,
                "state": self.states.get(job.number, "waiting"),
                "objective": self.values.get(job.number),
            }
            for job in self.source.jobs
        ]
        numbers = {"total": self.source.total, "objective": self.objective}
        content = {"schema_version": SWEEP_VERSION, **self.about, **numbers, "jobs": jobs}
        write_json(self.folder / SWEEP_FILE, content)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Within the block no other process works at the sweep in a folder; ConfigError if one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder} holds a sweep that is still going on.") from None
        yield


def check_same_kind(folder: Path, sweeper: str) -> None:
    """Raises ConfigError where the folder holds something else than a sweep by this sweeper, as its jobs would be taken
    for those that are asked for."""
    if (folder / SWEEP_FILE).exists():
        there = read_sweep(folder)["sweeper"]
        journal_lost = sweeper == "optuna" and not (folder / JOURNAL).exists()
    else:
        there, journal_lost = None if any(folder.glob("[0-9]*/result.json")) else sweeper, False
    if there != sweeper:
        what = f"a sweep by hydra/sweeper={there}" if there else f"runs, but no {SWEEP_FILE}"
        raise ConfigError(f"{folder} holds {what}: choose another hydra.sweep.dir.")
    if journal_lost:
        raise ConfigError(
            f"{folder} holds a search without its {JOURNAL}: restore it, or choose another hydra.sweep.dir."
        )


def check_same_jobs(folder: Path, words: list[list[str]]) -> None:
    """Raises ConfigError where the folder holds a sweep with other jobs than those with these words."""
    if not (folder / SWEEP_FILE).exists():
        return
    there = [list(job["words"]) for job in read_sweep(folder)["jobs"]]
    if there == words:
        return
    gone = [f"- {' '.join(job)}" for job in there if job not in words]
    new = [f"+ {' '.join(job)}" for job in words if job not in there]
    shown = "\n".join([*gone[:5], *new[:5]]) or "the order of the jobs differs"
    raise ConfigError(
        f"{folder} holds a sweep of other jobs ({len(gone)} that are not asked for now, {len(new)} that are new):\n"
        f"{shown}\nChoose another hydra.sweep.dir."
    )


def _curve(file: Path, name: str) -> list[tuple[int, float]]:
    with file.open(newline="") as lines:
        return [(int(row["epoch"]), float(row[name])) for row in csv.DictReader(lines) if row.get(name)]
