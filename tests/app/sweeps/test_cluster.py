"""Jobs of a scheduler: the scripts of Slurm line by line, and submitit's local executor with real processes."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import quick

from prnn_md.app import train
from prnn_md.app.records import read_sweep
from prnn_md.app.sweeps.cluster import ranks_of_task
from prnn_md.app.sweeps.running import run_sweep

OPTIONS = {"time": 5, "signal_delay_s": 1}


def test_the_script_of_a_job_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "md=j2", "seed=1,2", "hydra/launcher=slurm", "hydra.launcher.dry_run=true"]
    words += [f"hydra.sweep.dir={tmp_path / 'study'}", "hydra.launcher.options.partition=gpu"]
    words += ["hydra.launcher.setup=['module load cuda']", "+hydra.launcher.options.mail_type=END"]
    assert train.main(words) == 0
    folder = tmp_path / "study" / "scheduler"
    assert capsys.readouterr().out.split() == [str(folder / "0.sh"), str(folder / "1.sh")]
    log = f"{folder}/%j_%t_log"
    assert (folder / "1.sh").read_text().splitlines() == [
        "#!/bin/bash",
        "",
        "# Parameters",
        "#SBATCH --cpus-per-task=4",
        f"#SBATCH --error={folder}/%j_0_log.err",
        "#SBATCH --job-name=study-1",
        "#SBATCH --mail-type=END",
        "#SBATCH --mem=16GB",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --open-mode=append",
        f"#SBATCH --output={folder}/%j_0_log.out",
        "#SBATCH --partition=gpu",
        "#SBATCH --signal=USR2@120",
        "#SBATCH --time=240",
        "#SBATCH --wckey=submitit",
        "",
        "# setup",
        "module load cuda",
        "",
        "# command",
        "export SUBMITIT_EXECUTOR=slurm",
        f"srun --unbuffered --output {log}.out --error {log}.err {sys.executable} -u -m submitit.core._submit {folder}",
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hydra.launcher.cluster=slrum", "hydra.launcher.cluster=slrum: unknown.\nDid you mean slurm"),
        ("hydra.launcher.cluster=slurm", "srun.*hydra.launcher.dry_run=true only writes the scripts"),
        ("+hydra.launcher.options.partitoin=gpu", "partitoin"),
    ],
)
def test_a_scheduler_that_cannot_be_used_is_named(
    word: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "md=j2", "seed=1,2", "hydra/launcher=slurm", f"hydra.sweep.dir={tmp_path}", word]
    words += ["hydra.launcher.dry_run=true"] * ("partitoin" in word)
    assert train.main(words) == train.EXIT_CONFIG
    said = capfd.readouterr().err
    assert said.startswith("error: ")
    assert re.search(message, said)
    assert list(tmp_path.glob("[0-9]")) == []


def test_the_processes_of_a_job_find_each_other() -> None:
    class Environment:
        num_tasks, global_rank, local_rank, node, job_id, hostnames = 4, 3, 1, 1, "123456", ["first", "second"]

    assert ranks_of_task(Environment()) == {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "NODE_RANK": "1",
        "MASTER_ADDR": "first",
        "MASTER_PORT": "23456",
    }
    Environment.num_tasks = 1
    assert ranks_of_task(Environment()) == {}


def finished(folder: Path) -> list[int]:
    return sorted(map(int, (folder / "finished.txt").read_text().split()))


def wait_for(file: Path, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)


def test_a_sweep_on_the_local_scheduler(tmp_path: Path) -> None:
    planned = [["seed=1"], ["seed=2"], ["fail=1"]]
    workers = quick.cluster_workers(tmp_path, 3, 0.1, OPTIONS)
    assert not run_sweep(tmp_path, [], planned, workers)
    assert [job["state"] for job in read_sweep(tmp_path)["jobs"]] == ["finished", "finished", "failed"]
    assert finished(tmp_path) == [0, 1]


def test_a_job_whose_time_is_up_goes_on(tmp_path: Path) -> None:
    """It is asked to end in time, and started again by the scheduler, here until its ledger says it has finished."""
    workers = quick.cluster_workers(tmp_path, 1, 14.0, {"time": 0.5, "signal_delay_s": 20})
    run_sweep(tmp_path, [], [["resume=1"]], workers)
    assert finished(tmp_path) == [0]
    assert (tmp_path / "0" / "job.log").read_text().count("process ") > 1


def test_jobs_outlive_a_killed_sweep_and_are_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, quick.__file__, "cluster", str(tmp_path), "4.0", "1", "1"]
    first = subprocess.Popen(command)
    wait_for(tmp_path / "0" / "result.json")
    first.kill()
    first.wait()
    assert subprocess.run(command, timeout=120).returncode == 0
    assert finished(tmp_path) == [0]
    assert (tmp_path / "0" / "job.log").read_text().count("process ") == 1
