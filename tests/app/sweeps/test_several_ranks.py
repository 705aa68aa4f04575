"""A search whose jobs are several processes each: all ranks of a job have its values, and it has one folder."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from prnn_md.app.records import find_records, read_sweep

SCRIPT = Path(__file__).parents[3] / "train.py"


def ranks_seen(folder: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """The values that processes of the jobs in a folder have on their command lines, by job and rank."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            variables = dict(word.partition("=")[::2] for word in (process / "environ").read_text().split("\0"))
            place = next((word for word in words if word.startswith(f"hydra.run.dir='{folder}/")), None)
            if place is not None and "RANK" in variables:
                values = tuple(word for word in words if word.startswith(("optimizer.lr=", "model.hidden=")))
                found[(Path(place.split("'")[1]).name, variables["RANK"])] = values
    return found


SCHEDULER = ["hydra/launcher=slurm", "hydra.launcher.cluster=local"]


@pytest.mark.parametrize("launcher", [SCHEDULER, pytest.param([], marks=pytest.mark.acceptance)])
def test_ranks_of_a_searched_job_have_the_same_values(launcher: list[str], tiny_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    words = ["model=gru", f"dataset.path={tiny_dataset}", "dataset.n_train=null", "dataset.n_valid=null", "compare=[]"]
    words += ["training.max_epochs=2", "callbacks=quiet", "logger=csv", "hardware=ddp", "hardware.devices=2"]
    words += ["hydra/sweeper=optuna", "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=2"]
    words += ["optimizer.lr=tag(log,interval(1e-4,1e-1))", "model.hidden=int(interval(4,64))"]
    command = [sys.executable, str(SCRIPT), "-m", *words, *launcher, f"hydra.sweep.dir={folder}"]
    seen: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        while process.poll() is None:
            for (job, rank), values in ranks_seen(folder).items():
                seen[job][rank] = values
            time.sleep(0.1)
    assert process.returncode == 0
    sweep = read_sweep(folder)
    assert [job["state"] for job in sweep["jobs"]] == ["finished", "finished"]
    assert sorted(path.name for path in folder.glob("[0-9]*")) == ["0", "1"]
    assert len(find_records([tmp_path])[0]) == 2
    for number, job in enumerate(sweep["jobs"]):
        wanted = tuple(f"{name}={value}" for name, value in job["values"].items())
        assert seen[str(number)] == {"0": wanted, "1": wanted}
        config = yaml.safe_load((folder / str(number) / "config.yaml").read_text())
        assert config["optimizer"]["lr"] == float(job["values"]["optimizer.lr"])
    assert len({tuple(job["values"].items()) for job in sweep["jobs"]}) == 2
