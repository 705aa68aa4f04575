"""Jobs of a sweep as jobs of a scheduler, each one a script of its own: Slurm, through submitit.

A job that reaches its time limit, or has to make room, is asked to end, and queued again; it goes on from its last
checkpoint. Scripts, logs and what is left of the scheduler lie in the folder `scheduler` of the sweep.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit
from submitit.core.core import PicklingExecutor
from submitit.core.utils import DelayedSubmission
from submitit.local.local import LocalExecutor
from submitit.slurm.slurm import SlurmExecutor

from prnn_md.app.checking import ConfigError
from prnn_md.app.lifeline import tied_to_this_process
from prnn_md.app.overrides import checked_config
from prnn_md.app.sweeps.job import Job
from prnn_md.files import write_text

IN_LOCAL_WORDS = {
    "nodes": "nodes",
    "ntasks_per_node": "tasks_per_node",
    "time": "timeout_min",
    "gpus_per_node": "gpus_per_node",
    "signal_delay_s": "signal_delay_s",
    "setup": "setup",
}
"""Slurm's options that the local executor has too, and what it calls them."""

LOOK = 0.2  # s between two looks at a process
KILLED = ("CANCELLED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "INTERRUPTED")
SCHEDULED = "scheduled_as.txt"
"""In the folder of a job: its number with the scheduler, so that a repeated command finds it there."""


class _Scripts(SlurmExecutor):
    """Writes scripts on machines without Slurm too."""

    @classmethod
    def affinity(cls) -> int:
        return 2


EXECUTORS: dict[str, type[PicklingExecutor]] = {"slurm": SlurmExecutor, "local": LocalExecutor, "scripts": _Scripts}
"""By the name of the cluster; `scripts` submits nothing."""


class Task:
    """What the scheduler runs for a job, once for every rank of it: its command, in an interpreter of its own."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.command, self.log = list(command), log
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        with self.log.open("ab") as log:
            environment = {**os.environ, **ranks_of_task(submitit.JobEnvironment()), **tied_to_this_process()}
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
            return self._process.wait()

    def checkpoint(self) -> DelayedSubmission:
        """Called when time is up: the run closes its files, and the same command is queued again."""
        if self._process is not None:
            with suppress(ProcessLookupError, ChildProcessError):  # it has just ended
                os.kill(self._process.pid, signal.SIGTERM)
                # this is called within the wait() of __call__, which holds the lock of another wait()
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Task(self.command, self.log))


def ranks_of_task(environment: Any) -> dict[str, str]:
    """What the processes of one job need to find each other, in the variables of torch; nothing for a single one."""
    if environment.num_tasks == 1:
        return {}
    number = int("".join(filter(str.isdigit, environment.job_id)))
    return {
        "RANK": str(environment.global_rank),
        "LOCAL_RANK": str(environment.local_rank),
        "WORLD_SIZE": str(environment.num_tasks),
        "NODE_RANK": str(environment.node),
        "MASTER_ADDR": environment.hostnames[0],
        "MASTER_PORT": str(20_000 + number % 10_000),
    }


class ClusterWorkers:
    """At most `slots` jobs in the queue or running at a time; `options` are those of submitit for the scheduler.

    Jobs outlive this process: a repeated command finds them again. `cluster` local needs no scheduler, and is for
    trying things out. Raises ConfigError for options that do not exist.
    """

    def __init__(self, folder: Path, cluster: str, slots: int, max_requeues: int, options: Mapping[str, Any]) -> None:
        self.slots, self.cluster, self.options = slots, cluster, dict(options)
        self._executor = _executor(folder / "scheduler", cluster, max_requeues)
        self._running: list[tuple[Job, Any]] = []

    def start(self, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        handle = self._found_again(job)
        if handle is None:
            handle = self._set_up(job).submit(Task(self.command(job), job.log))
            write_text(job.folder / SCHEDULED, f"{handle.job_id}\n")
        self._running.append((job, handle))

    def command(self, job: Job) -> list[str]:
        """What runs a job."""
        return job.command

    def processes(self, job: Job) -> dict[str, Any]:
        """How many processes a job is, and on how many nodes and GPUs, as its hardware says."""
        hardware = checked_config(list(job.words))["hardware"]
        found = {"nodes": hardware["nodes"], "ntasks_per_node": hardware["devices"]}
        return found | ({"gpus_per_node": hardware["devices"]} if hardware["accelerator"] == "cuda" else {})

    def script(self, job: Job) -> str:
        """The script with which a job is submitted."""
        executor = self._set_up(job)
        return str(executor._make_submission_file_text(executor._submitit_command_str, f"{job.number}"))

    def ended(self) -> list[tuple[Job, bool]]:
        over = [(job, handle) for job, handle in self._running if handle.done()]
        self._running = [entry for entry in self._running if entry not in over]
        return [(job, any(word in str(handle.state) for word in KILLED)) for job, handle in over]

    def stop(self, job: Job) -> None:
        for running, handle in self._running:
            if running is job:
                handle.cancel()

    def close(self) -> None:
        """Leave the jobs to the scheduler; where there is none they end."""
        if self.cluster == "local":
            for _, handle in self._running:
                handle.cancel()

    def _set_up(self, job: Job) -> PicklingExecutor:
        """The executor with the options for a job."""
        options = {"job_name": f"{job.folder.parent.name}-{job.number}", **self.processes(job), **self.options}
        given = {name: value for name, value in options.items() if value is not None}
        if self.cluster == "local":
            given = {ours: given[name] for name, ours in IN_LOCAL_WORDS.items() if name in given}
        try:
            self._executor.update_parameters(**given)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"hydra.launcher: {error}") from None
        return self._executor

    def _found_again(self, job: Job) -> Any:
        """The handle of a job that an earlier start of the sweep has submitted, if it is waiting or running."""
        file = job.folder / SCHEDULED
        if not file.is_file():
            return None
        number = file.read_text().strip()
        if self.cluster == "local":
            _wait_for_process(int(number))
            return None
        handle = self._executor.job_class(folder=self._executor.folder, job_id=number)
        return None if handle.done(force_check=True) else handle  # a state that Slurm does not tell counts as waiting


def scripts(folder: Path, jobs: Sequence[Job], max_requeues: int, options: Mapping[str, Any]) -> list[Path]:
    """The scripts that would be submitted for jobs, written to files and not submitted."""
    workers = ClusterWorkers(folder, "scripts", 1, max_requeues, options)
    files = [folder / "scheduler" / f"{job.number}.sh" for job in jobs]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    for job, file in zip(jobs, files, strict=True):
        write_text(file, workers.script(job))
    return files


def _executor(folder: Path, cluster: str, max_requeues: int) -> PicklingExecutor:
    try:
        return EXECUTORS[cluster](folder=folder, max_num_timeout=max_requeues)
    except RuntimeError as error:  # there is no srun
        raise ConfigError(
            f"hydra/launcher=slurm: {error} hydra.launcher.dry_run=true only writes the scripts."
        ) from None


def _wait_for_process(number: int) -> None:
    """Until a process on this machine, which an earlier start has left, is gone."""
    with suppress(ProcessLookupError):
        while True:
            os.kill(number, 0)
            time.sleep(LOOK)
