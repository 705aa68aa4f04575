"""Where the jobs of a sweep run: the interface, and this machine."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Protocol

from prnn_md.app.checking import ConfigError
from prnn_md.app.ledger import is_going_on_here
from prnn_md.app.lifeline import tied_to_this_process
from prnn_md.app.sweeps.job import Job

LOOK = 0.2  # s between two looks at a job
PATIENCE = 60.0  # s that jobs have to close their files after they were asked to end


class Workers(Protocol):
    """Runs jobs, `slots` at a time."""

    slots: int

    def start(self, job: Job) -> None:
        """Begin with a job, or go on with it; called when a slot is free."""

    def ended(self) -> list[tuple[Job, bool]]:
        """The jobs that have ended since the last call, each with whether it was killed."""

    def stop(self, job: Job) -> None:
        """Ask a job to end."""

    def close(self) -> None:
        """Have all jobs end that still run."""


class LocalWorkers:
    """Jobs as processes on this machine, each with its share of the cores, and one of the `gpus` where there are any.

    They end when this process does, however that happens.
    """

    def __init__(self, slots: int = 1, gpus: Sequence[int | str] | None = None) -> None:
        if gpus is not None and len(gpus) % slots:
            raise ConfigError(
                f"hydra.launcher.gpus={list(gpus)}: give every one of the {slots} slots the same number of GPUs."
            )
        self.slots, self.gpus = slots, gpus
        self._running: dict[int, tuple[Job, subprocess.Popen[bytes]]] = {}

    def start(self, job: Job) -> None:
        slot = next(slot for slot in range(self.slots) if slot not in self._running)
        job.folder.mkdir(parents=True, exist_ok=True)
        while is_going_on_here(job.result):  # an earlier start of the sweep has left it closing its files
            time.sleep(LOOK)
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                self.command(job), stdout=log, stderr=log, env=self._environment(slot), start_new_session=True
            )
        self._running[slot] = (job, process)

    def command(self, job: Job) -> list[str]:
        """What runs a job."""
        return job.command

    def ended(self) -> list[tuple[Job, bool]]:
        codes = {slot: process.poll() for slot, (_, process) in self._running.items()}
        return [(self._running.pop(slot)[0], code < 0) for slot, code in codes.items() if code is not None]

    def stop(self, job: Job) -> None:
        for running, process in self._running.values():
            if running is job:
                process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        for _, process in self._running.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for _, process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _environment(self, slot: int) -> dict[str, str]:
        environment = {**os.environ, **tied_to_this_process()}
        environment.setdefault("PRNN_MD_THREADS", str(max(1, len(os.sched_getaffinity(0)) // self.slots)))
        if self.gpus is not None:
            share = len(self.gpus) // self.slots
            chosen = self.gpus[slot * share : (slot + 1) * share]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, chosen))
        return environment
