"""What can be said of launchers and sweepers, hydra.launcher.* and hydra.sweeper.*, checked before anything starts."""

from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from prnn_md.app.checking import ConfigError, check_fields
from prnn_md.app.fields import key


@dataclass(kw_only=True)
class LocalLauncher:
    slots: int = key("jobs at a time", low=1)
    gpus: list[Any] | None = key("numbers of GPUs, shared out among the slots; null: none are assigned")


@dataclass(kw_only=True)
class SlurmLauncher:
    cluster: Literal["slurm", "local"] = key("the scheduler, or processes on this machine")
    slots: int = key("jobs in the queue or running at a time", low=1)
    max_requeues: int = key("times that a job whose time is up is queued again", low=0)
    dry_run: bool = key("whether to write the scripts and not to submit them")
    setup: list[str] = key("lines of shell before every job")
    options: dict[str, Any] = key("options of sbatch")


@dataclass(kw_only=True)
class GridSweeper:
    """Has no options."""


@dataclass(kw_only=True)
class OptunaSweeper:
    n_trials: int = key("jobs in all", low=1)
    sampler: Literal["tpe", "random", "cmaes"] = key("how values are chosen")
    pruner: Literal["none", "median", "halving"] = key("which jobs are stopped early")
    seed: int = key("seed of the choice", low=0)
    params: dict[str, Any] = key("the values of each key to choose from")


@dataclass(kw_only=True)
class ExperimentSweeper:
    name: str = key("what it is called, as its file")
    results: str = key("folder with a folder for every experiment")
    common: list[str] = key("words of all jobs")
    grids: dict[str, list[str]] = key("words of every grid; values with commas are all tried")
    only: list[str] | None = key("the grids that are run now; null: all", None)


KINDS: dict[str, dict[str, type]] = {
    "launcher": {kind.__name__: kind for kind in (LocalLauncher, SlurmLauncher)},
    "sweeper": {kind.__name__: kind for kind in (GridSweeper, OptunaSweeper, ExperimentSweeper)},
}
CHOICES = {"launcher": "local or slurm", "sweeper": "grid, optuna or experiment"}


def check_options(hydra: DictConfig) -> None:
    """Raises ConfigError for a launcher or a sweeper that is not ours, or with options that do not fit."""
    for name, kinds in KINDS.items():
        node: Any = OmegaConf.to_container(hydra[name], resolve=True)
        target = str(node.pop("_target_", "")).rsplit(".", 1)[-1]
        if target not in kinds:
            raise ConfigError(f"hydra/{name}: {target} cannot run these jobs: choose {CHOICES[name]}.")
        check_fields(kinds[target], node, f"hydra.{name}")
