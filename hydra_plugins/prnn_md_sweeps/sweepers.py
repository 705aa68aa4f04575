"""Hydra sweepers that go on where they were: every combination of values, a search by Optuna, a named experiment."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig

from hydra_plugins.prnn_md_sweeps.launchers import LocalLauncher, SlurmLauncher
from prnn_md.app.sweeps.plan import plan
from prnn_md.app.sweeps.running import exit_code, jobs_of, run_sweep


class GridSweeper(Sweeper):
    """Every combination of values, once."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @property
    def search_options(self) -> Mapping[str, Any]:
        """How a search chooses values; there is none."""
        return {}

    def sweep(self, arguments: list[str]) -> None:
        """Run what is not finished, and exit with a code other than 0 unless all is now."""
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir).absolute()
        code = exit_code(folder, lambda: self._run(arguments, folder))
        if code:
            sys.exit(code)

    def _run(self, arguments: list[str], folder: Path) -> bool:
        assert self.config is not None
        assert isinstance(self.launcher, LocalLauncher)
        settings = [word for word in self.config.hydra.overrides.hydra if not word.startswith("hydra.mode=")]
        planned = plan([*settings, *arguments])
        if isinstance(self.launcher, SlurmLauncher) and self.launcher.dry_run:
            print("\n".join(map(str, self.launcher.scripts(jobs_of(planned, folder), folder))))
            return True
        return run_sweep(folder, arguments, planned, self.launcher.workers(folder), **self.search_options)


class OptunaSweeper(GridSweeper):
    """`n_trials` jobs whose values Optuna chooses; see `prnn_md.app.sweeps.search.Search`."""

    def __init__(self, n_trials: int, sampler: str, pruner: str, seed: int, params: DictConfig | None) -> None:
        self.options = {"sampler": sampler, "pruner": pruner, "seed": seed}  # `plan` reads the others

    @property
    def search_options(self) -> Mapping[str, Any]:
        return self.options


class ExperimentSweeper(GridSweeper):
    """The jobs of several grids, each of which leaves a line in the committed results of the experiment."""

    def __init__(self, name: str, results: str, common: ListConfig, grids: DictConfig, only: ListConfig | None) -> None:
        """`plan` reads them."""
