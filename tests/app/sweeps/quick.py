"""Sweeps without a training, for tests: real processes with real ledgers, which may be killed.

python quick.py job FOLDER SECONDS key=value ...
python quick.py grid FOLDER SECONDS SLOTS JOBS
python quick.py search FOLDER SECONDS SLOTS JOBS
python quick.py cluster FOLDER SECONDS SLOTS JOBS

The error of a job starts at 1 and falls to the value of `error`, or stays; `fail=1` ends it with an error; with
`resume=1` it goes on after its last epoch. A line in ../finished.txt tells of every end.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from prnn_md.app.ledger import Ledger, interruptible, read_result
from prnn_md.app.lifeline import end_with_parent
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.plan import Parameter, Space
from prnn_md.app.sweeps.running import exit_code, run_sweep
from prnn_md.app.sweeps.workers import LocalWorkers, Workers
from prnn_md.files import write_text

EPOCHS = 4
SPACE = Space((), (Parameter("error", low=0.1, high=0.9), Parameter("kind", choices=("a", "b"))))


class QuickWorkers(LocalWorkers):
    """Jobs that last so many seconds."""

    def __init__(self, slots: int = 1, seconds: float = 0.1) -> None:
        super().__init__(slots)
        self.seconds = seconds

    def command(self, job: Job) -> list[str]:
        return [sys.executable, __file__, "job", str(job.folder), str(self.seconds), *job.words]


def cluster_workers(folder: Path, slots: int, seconds: float, options: dict[str, float]) -> Workers:
    """The same as jobs of submitit's local executor."""
    from prnn_md.app.sweeps.cluster import ClusterWorkers

    class QuickClusterWorkers(ClusterWorkers):
        def command(self, job: Job) -> list[str]:
            return QuickWorkers(seconds=seconds).command(job)

        def processes(self, job: Job) -> dict[str, int]:
            return {"nodes": 1, "ntasks_per_node": 1}

    return QuickClusterWorkers(folder, "local", slots, 5, options)


def search(folder: Path, jobs: int, workers: QuickWorkers, sampler: str = "tpe", pruner: str = "none") -> bool:
    return run_sweep(folder, [], replace(SPACE, total=jobs), workers, sampler=sampler, pruner=pruner, seed=0)


def run_job(folder: Path, seconds: float, words: list[str]) -> None:
    if (read_result(folder) or {}).get("status") == "finished":
        return
    values = dict(word.split("=") for word in words)
    print(f"process {os.getpid()} with {values}", flush=True)
    config = {"seed": int(values.get("seed", 0)), "seeds": {}, "label": "quick", "values": values}
    with interruptible(), Ledger(folder, config, words) as ledger:
        error = float(values.get("error", 1.0))
        first = _epochs_so_far(folder) if "resume" in values else 0
        for epoch in range(first, EPOCHS):
            time.sleep(seconds / EPOCHS)
            rows = [f"{e},{1.0 + (error - 1.0) * (e + 1) / EPOCHS}" for e in range(epoch + 1)]
            write_text(folder / "metrics.csv", "\n".join(["epoch,valid/error", *rows]) + "\n")
        if values.get("fail") == "1":
            raise ValueError("this one was to fail")
        numbers = {"n_train": int(values.get("n", 1)), "n_valid": 2, "n_test": 3, "trainable_parameters": 4}
        ledger.record(**numbers, epochs=EPOCHS, best_epoch=0, files={"/data/quick.h5": "0123"})
        ledger.record(metrics={"valid/error": error, "test/net_error": error}, wall_s={"training": seconds})
    with (folder.parent / "finished.txt").open("a") as file:
        file.write(f"{folder.name}\n")


def _epochs_so_far(folder: Path) -> int:
    file = folder / "metrics.csv"
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


def main() -> int:
    end_with_parent()
    what, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    if what == "job":
        run_job(folder, seconds, sys.argv[4:])
        return 0
    slots, jobs = map(int, sys.argv[4:])
    workers = (
        cluster_workers(folder, slots, seconds, {"time": 5}) if what == "cluster" else QuickWorkers(slots, seconds)
    )
    if what == "search":
        return exit_code(folder, lambda: search(folder, jobs, workers))
    planned = [[f"seed={number}", f"error=0.{number + 1}"] for number in range(jobs)]
    return exit_code(folder, lambda: run_sweep(folder, [], planned, workers))


if __name__ == "__main__":
    sys.exit(main())
