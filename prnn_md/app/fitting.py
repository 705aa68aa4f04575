"""The training of one model of a run, by this process alone or together with other ranks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning import Trainer

from prnn_md.app.building import build_module, build_trainer
from prnn_md.app.composition import Config
from prnn_md.app.instantiation import build
from prnn_md.app.ledger import first_difference
from prnn_md.app.metrics_log import RunLogger
from prnn_md.data.datamodule import PathDataModule
from prnn_md.training.callbacks import BestCheckpoint
from prnn_md.training.module import SurrogateModule
from prnn_md.training.ranks import RankFailed, Ranks, require_agreement, weights_digest


@dataclass(frozen=True)
class Fit:
    """What rank 0 tells the others to take part in: a model, its folder, and the checkpoint from which it goes on."""

    config: Config
    folder: Path
    last: str | None

    @property
    def best(self) -> BestCheckpoint:
        """The checkpoints in the folder."""
        return BestCheckpoint(self.folder / "checkpoints")


def fit(
    config: Config,
    folder: Path,
    data: PathDataModule,
    module: SurrogateModule,
    loggers: list[RunLogger],
    ranks: Ranks | None = None,
) -> tuple[Trainer, BestCheckpoint]:
    """Train the module from its last checkpoint in the folder, if there is one, with all other ranks."""
    best = BestCheckpoint(folder / "checkpoints")
    last = best.last_model_path if Path(best.last_model_path).is_file() else None
    task = Fit(config, folder, last)
    if ranks is None:
        return _train(task, data, module, loggers, best), best
    with ranks.failing_together():
        ranks.tell(task)
        return _train(task, data, module, loggers, best), best


def follow(ranks: Ranks, own: list[Config]) -> None:
    """Take part in every training that rank 0 tells of, until it tells None, and write nothing.

    Raises RankFailed for one that is none of the rank's `own` configurations.
    """
    data: PathDataModule | None = None
    of_data: Config = {}
    while True:
        with ranks.failing_together():
            task: Fit | None = ranks.told()
            if task is None:
                return
            _check_own(task.config, own)
            if data is None or task.config["dataset"] != of_data:
                data, of_data = build(task.config["dataset"]), task.config["dataset"]
            _train(task, data, build_module(task.config, data), [], task.best)


def _train(
    task: Fit, data: PathDataModule, module: SurrogateModule, loggers: list[RunLogger], best: BestCheckpoint
) -> Trainer:
    trainer = build_trainer(task.config, task.folder, loggers, best)
    trainer.fit(module, datamodule=data, ckpt_path=task.last, weights_only=True)
    require_agreement("weights after training", weights_digest(module))
    return trainer


def _check_own(config: dict[str, Any], own: list[Config]) -> None:
    differences = [first_difference(config, other) for other in own]
    if all(differences):
        raise RankFailed(f"It was started with another configuration than rank 0: {differences[0]}.")
