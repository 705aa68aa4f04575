"""What sweeps cost beyond the work of their jobs; `--quick` does less, `--json FILE` writes the rows.

With `--only` some rows are measured, and the others in the file stay as they are.

jobs_vs_xargs   a sweep of jobs that import torch and lightning and then take a second, two at a time, against the same
                processes started by `xargs -P 2`: wall-clock time of all.
start_vs_import a tiny training as a job of its own, without its training, evaluation and drawing, against a process
                that imports torch and lightning and ends: what starting a job adds to what it cannot do without.

Ratios of wall-clock times of this machine, which should have nothing else to do.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from prnn_md.app.ledger import Ledger
from prnn_md.app.lifeline import end_with_parent
from prnn_md.app.records import read_record
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.running import run_sweep
from prnn_md.app.sweeps.workers import LocalWorkers

NAMES = ("jobs_vs_xargs", "start_vs_import")
JOBS, QUICK_JOBS, STARTS, SLOTS = 200, 2, 5, 2
IMPORTS = [sys.executable, "-c", "import torch, lightning"]
TRAINING = ["md=j2", "md.j2.count=2", "dataset.n_train=1", "dataset.n_valid=1", "training.max_epochs=1", "compare=[]",
            "logger=csv", "callbacks=quiet"]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Seconds of ours and of the peer."""

    name: str
    ours: float
    peer: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.peer


class ImportingWorkers(LocalWorkers):
    """Jobs that import what a training imports, take a second, and keep a ledger."""

    def command(self, job: Job) -> list[str]:
        return [sys.executable, __file__, "--job", str(job.folder)]


def one_second_job(folder: Path) -> None:
    end_with_parent()
    import lightning  # noqa: F401
    import torch  # noqa: F401

    with Ledger(folder, {"seed": 0, "seeds": {}, "label": "second"}) as ledger:
        time.sleep(1.0)
        ledger.record(metrics={"valid/error": 1.0})


def jobs_vs_xargs(count: int, place: Path) -> Row:
    start = time.monotonic()
    folders = "\n".join(str(place / "xargs" / str(number)) for number in range(count))
    words = ["xargs", "-P", str(SLOTS), "-n", "1", sys.executable, __file__, "--job"]
    subprocess.run(words, input=folders, text=True, check=True)
    peer = time.monotonic() - start
    start = time.monotonic()
    jobs = [[f"seed={number}"] for number in range(count)]
    assert run_sweep(place / "sweep", [], jobs, ImportingWorkers(SLOTS))
    return Row("jobs_vs_xargs", time.monotonic() - start, peer)


def seconds_of(command: list[str], place: Path) -> float:
    start = time.monotonic()
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    return time.monotonic() - start


def start_vs_import(times: int, place: Path) -> Row:
    """Medians."""
    imports = [seconds_of(IMPORTS, place) for _ in range(times)]
    starts = []
    for number in range(times):
        job = Job(number, tuple(TRAINING), {}, place / "starts" / str(number))
        spent = seconds_of(job.command, place)
        starts.append(spent - sum(read_record(job.folder).result["wall_s"].values()))
    return Row("start_vs_import", statistics.median(starts), statistics.median(imports))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer jobs")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="rows to measure")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job is not None:
        one_second_job(options.job)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        count, times = (QUICK_JOBS, 1) if options.quick else (JOBS, STARTS)
        measured = {
            "jobs_vs_xargs": lambda: jobs_vs_xargs(count, place),
            "start_vs_import": lambda: start_vs_import(times, place),
        }
        rows = [measured[name]() for name in options.only]
    for row in rows:
        print(
            f"{row.name:16} ours {row.ours:8.2f} {row.unit}   peer {row.peer:8.2f} {row.unit}   ratio {row.ratio:.3f}"
        )
    if options.json is not None:
        known = json.loads(options.json.read_text()) if options.json.exists() else []
        entries = {entry["name"]: entry for entry in known} | {
            row.name: asdict(row) | {"ratio": row.ratio} for row in rows
        }
        options.json.write_text(json.dumps(list(entries.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
