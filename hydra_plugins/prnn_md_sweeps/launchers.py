"""Hydra launchers that run every job as a fresh process: on this machine, or by Slurm."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig

from prnn_md.app.checking import ConfigError
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.workers import LocalWorkers, Workers


class LocalLauncher(Launcher):
    """`slots` jobs at a time on this machine; `gpus` are shared out among them."""

    def __init__(self, slots: int, gpus: ListConfig | None) -> None:
        self.slots, self.gpus = slots, gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config

    def workers(self, folder: Path) -> Workers:
        """What runs the jobs of a sweep in a folder."""
        return LocalWorkers(self.slots, None if self.gpus is None else list(self.gpus))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Our sweepers do not call this, because it lets nothing be said of jobs before all have ended."""
        raise ConfigError("hydra/sweeper: choose grid, optuna or experiment.")


class SlurmLauncher(LocalLauncher):
    """Every job as one of the scheduler; `options` are sbatch's, and `dry_run` only writes the scripts."""

    def __init__(
        self, cluster: str, slots: int, max_requeues: int, dry_run: bool, options: DictConfig, setup: ListConfig
    ) -> None:
        self.cluster, self.slots, self.max_requeues, self.dry_run = cluster, slots, max_requeues, dry_run
        self.options = {"setup": list(setup), **{str(name): value for name, value in options.items()}}

    def workers(self, folder: Path) -> Workers:
        from prnn_md.app.sweeps.cluster import ClusterWorkers

        return ClusterWorkers(folder, self.cluster, self.slots, self.max_requeues, self.options)

    def scripts(self, jobs: Sequence[Job], folder: Path) -> list[Path]:
        """The scripts of a dry run."""
        from prnn_md.app.sweeps.cluster import scripts

        return scripts(folder, jobs, self.max_requeues, self.options)
