"""Jobs of Slurm, as the configuration describes them, with programs in place of Slurm's that run jobs here."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scaling import Scaling

from prnn_md.labels.answering import answer
from prnn_md.labels.executors.parsl import ParslExecutor
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.executors.serial import SerialExecutor
from prnn_md.labels.work import StorePlace

EXECUTORS = Path(__file__).parents[2] / "conf" / "generate" / "executor"
PROGRAMS = {
    "sbatch": r"""
cp "$1" "$SLURM/script"
value() { sed -n "s/^#SBATCH --$1=//p" "$SLURM/script"; }
export SLURM_JOB_NAME=$(value job-name) SLURM_JOB_NUM_NODES=$(value nodes) SLURM_CPUS_ON_NODE=2
setsid bash "$1" > "$(value output)" 2> "$(value error)" &
echo "Submitted batch job $!"
""",
    "srun": r"""
shift 3 # --ntasks 1 -l
exec "$@"
""",
    "squeue": r"""
job="${@: -1}"
kill -0 "$job" && echo "$job R"
""",
    "sacct": r"""
echo "Slurm accounting storage is disabled" >&2
exit 1
""",
    "scancel": r"""
kill -- "-$1"
""",
}
"""Bash programs that run a job as a group of processes, whose number is that of the job."""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the programs note how they were called, and keep the job's script."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        program = folder / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >> "$SLURM/calls"\n{text}')
        program.chmod(0o755)
    monkeypatch.setenv("SLURM", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return folder


def test_labels_are_made_in_a_job_of_slurm(tmp_path: Path, slurm: Path) -> None:
    config = OmegaConf.load(EXECUTORS / "slurm.yaml")
    config.merge_with_dotlist(["workers=2", "workers_per_node=2", "address=127.0.0.1"])
    config.provider.merge_with_dotlist(["partition=short", "account=polymers", "cores_per_node=2"])
    config.provider.scheduler_options = "#SBATCH --constraint=cpu"
    executor = instantiate(config)
    labeler = Scaling(tmp_path / "labels")
    ids = answer(labeler.queries(20), labeler, StorePlace(tmp_path / "labels"), executor)
    assert {file.name for file in (tmp_path / "labels" / "files").glob("*/*")} == set(ids)
    calls = [line.split() for line in (slurm / "calls").read_text().splitlines()]
    assert [call[0] for call in calls] == ["sacct", "sbatch", "srun", "scancel"]
    check_script((slurm / "script").read_text(), Path(calls[1][1]))
    until = time.monotonic() + 5.0
    while processes_of(calls[3][1]) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(calls[3][1]) == b"", "the job that was cancelled is over"


def processes_of(job: str) -> bytes:
    return subprocess.run(["pgrep", "-g", job], capture_output=True).stdout


def check_script(script: str, path: Path) -> None:
    """The script of a job in the file `path` asks for what the configuration says, and starts workers of Parsl."""
    lines = [line for line in script.splitlines() if line]
    assert path.name.startswith("parsl.labels.block-0.")
    assert lines[:14] == [
        "#!/bin/bash",
        f"#SBATCH --job-name={path.name}",
        f"#SBATCH --output={path}.stdout",
        f"#SBATCH --error={path}.stderr",
        "#SBATCH --nodes=1",
        "#SBATCH --time=480",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --constraint=cpu",
        "#SBATCH --exclusive",
        "#SBATCH --partition=short",
        "#SBATCH --account=polymers",
        "#SBATCH --cpus-per-task=2",
        "export OMP_NUM_THREADS=1",
        "export PARSL_CORES=2",
    ]
    (pool,) = [line for line in lines if line.startswith(sys.executable)]
    assert pool.split()[1:3] == ["-m", "parsl.executors.high_throughput.process_worker_pool"]
    assert " --max_workers_per_node=2 -a 127.0.0.1 " in pool
    assert lines[-2].startswith("srun --ntasks 1 -l ")


@pytest.mark.parametrize("kind", [SerialExecutor, PoolExecutor, ParslExecutor])
def test_other_executors_are_built_from_the_configuration(kind: type) -> None:
    name = kind.__name__.removesuffix("Executor").lower()
    assert type(instantiate(OmegaConf.load(EXECUTORS / f"{name}.yaml"))) is kind
