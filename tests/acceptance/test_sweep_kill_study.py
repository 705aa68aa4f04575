"""A grid and a search of real trainings, killed again and again; writes results/sweep_kill_study.json."""

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

from prnn_md.app.records import find_records, read_sweep

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "outputs" / "acceptance" / "sweep_kill_study"
RESULTS = ROOT / "results" / "sweep_kill_study.json"
KILLS = 10
MOST_COMMANDS = 30  # starts of a command, of which kills explain at most ten and failed jobs as many
LONGEST_WAIT = 30.0  # s from the start of a command to a kill
TRAINING = ["md=j2", "md.j2.count=2", "dataset.n_train=2", "dataset.n_valid=1", "training.max_epochs=3", "compare=[]"]
COMMANDS = {
    "grid": [*TRAINING, "seed=range(0,6)", "optimizer.lr=0.1,0.03,0.01,0.003"],
    "search": [*TRAINING, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=12", "hydra.sweeper.pruner=none",
               "optimizer.lr=tag(log,interval(1e-3,0.1))", "decoder=hill_mandel,softplus"],
}  # fmt: skip
JOBS = {"grid": 24, "search": 12}


def start(kind: str) -> subprocess.Popen[bytes]:
    words = [*COMMANDS[kind], f"hydra.sweep.dir={FOLDER / kind}", "hydra.launcher.slots=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    with (FOLDER / f"{kind}.log").open("ab") as log:
        command = [sys.executable, str(ROOT / "train.py"), "-m", *words]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def jobs_alive(kind: str) -> list[int]:
    """Processes of jobs of a sweep."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            if any(word.startswith(f"hydra.run.dir='{FOLDER / kind}/") for word in words):
                found.append(int(process.name))
    return found


def ends_of(job: Path) -> int:
    """How often a training of the job has come to its closing table; a finished run that is shown again says so."""
    text = (job / "job.log").read_text()
    return text.count("\nRun folder: ") - text.count("This run has finished on ")


def wandb_ids(job: Path) -> set[str]:
    return {folder.name.rsplit("-", 1)[1] for folder in (job / "wandb").glob("offline-run-*")}


def killed_sweep(kind: str, seed: int) -> dict[str, Any]:
    """What became of a sweep whose command, or one of whose jobs, or all of them, were killed at random instants."""
    rng, began, process, started = random.Random(seed), time.monotonic(), start(kind), 1
    kills = {"command": 0, "job": 0, "everything": 0}
    while (code := process.poll()) != 0:
        if code is not None:
            assert started < MOST_COMMANDS, f"the sweep does not end; see {FOLDER / kind}.log"
            process, started = start(kind), started + 1
        if sum(kills.values()) == KILLS:
            process.wait()
            continue
        time.sleep(rng.uniform(0.0, LONGEST_WAIT))
        what, jobs = rng.choice(list(kills)), jobs_alive(kind)
        victims = {"command": [process.pid], "job": jobs[:1], "everything": [process.pid, *jobs]}[what]
        if process.poll() is None and victims:
            kills[what] += 1
            for victim in victims:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            if what != "job":
                process.wait()
    folder = FOLDER / kind
    jobs = [folder / str(number) for number in range(JOBS[kind])]
    return {
        "kind": kind,
        "seed": seed,
        "killed": kills,
        "commands": started,
        "jobs": len(list(folder.glob("[0-9]*"))),
        "finished": sum(record.status == "finished" for record in find_records([folder])[0]),
        "states": sorted({job["state"] for job in read_sweep(folder)["jobs"]}),
        "most_ends_of_a_job": max(ends_of(job) for job in jobs),
        "wandb_runs_of_a_job": sorted({len(wandb_ids(job)) for job in jobs}),
        "processes_left": len(jobs_alive(kind)),
        "wall_s": round(time.monotonic() - began, 1),
    }


@pytest.mark.acceptance
def test_killed_sweeps_run_every_job_to_its_end_once() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    cases = [killed_sweep(kind, seed) for seed, kind in enumerate(COMMANDS)]
    report = {
        "command": "make acceptance ARGS=tests/acceptance/test_sweep_kill_study.py",
        "words": COMMANDS,
        "kills": KILLS,
        "cores": os.cpu_count(),
        "versions": {
            name: version(name) for name in ("prnn_md", "torch", "lightning", "hydra-core", "optuna", "wandb")
        },
        "cases": cases,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    for case in cases:
        assert sum(case["killed"].values()) == KILLS, case
        assert case["jobs"] == case["finished"] == JOBS[case["kind"]], case
        assert case["states"] == ["finished"], case
        assert case["most_ends_of_a_job"] == 1, case
        assert case["wandb_runs_of_a_job"] == [1], case
        assert case["processes_left"] == 0, case
