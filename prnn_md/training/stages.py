"""Staged fitting: some parameters first, then others, each stage until validation stalls."""

from collections.abc import Sequence
from math import inf
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch.nn import Parameter

from prnn_md.cell import Cell
from prnn_md.training.callbacks import BestCheckpoint
from prnn_md.training.module import SurrogateModule, load_weights

LEAST_GAIN = 1e-2
"""Part of the validation error that a stage must take off to go on; what creeps would keep the next ones waiting."""


class StagedFitting(Callback):
    """Trains in stages: in each but the last only some parameters learn, in the last all, from the best weights so far.

    A stage is a list of beginnings of names of the cell's parameters, such as ["decoder.kinds", "encoder"]; the last
    one is not listed. Each ends after `patience` epochs in which the validation error did not fall by a hundredth, and
    has an optimiser and a scheduler of its own. The metric `stage` counts them from zero. Raises ValueError as
    `check_stages` does.
    """

    def __init__(self, stages: Sequence[Sequence[str]], patience: int) -> None:
        super().__init__()
        self.stages, self.patience = [*stages, [""]], patience
        self.stage = self.waited = 0
        self.to_beat = inf
        self._parameters: dict[str, Parameter] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            assert isinstance(pl_module, SurrogateModule)
            check_stages(pl_module.cell, self.stages)
            self._parameters = _trainable(pl_module.cell)
            self._open()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing is left for a training that was interrupted after its last epoch."""
        trainer.should_stop = self._is_over
        if self.to_beat == inf:
            self.to_beat = _best(trainer).best_score  # of the untrained state

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the next stage where the last epoch was one too many."""
        if self.waited < self.patience or self._is_last:
            return
        assert isinstance(pl_module, SurrogateModule)
        best = _best(trainer)
        self.stage, self.waited, self.to_beat = self.stage + 1, 0, best.best_score
        load_weights(pl_module, best.best_model_path)
        self._open()
        if isinstance(trainer.strategy, DDPStrategy):  # which waits for the gradients of what learnt when it was made
            trainer.strategy.model = pl_module
            trainer.strategy.configure_ddp()
        trainer.strategy.setup_optimizers(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the epochs since the validation error last fell by enough."""
        pl_module.log("stage", float(self.stage))
        score = float(trainer.callback_metrics.get(_best(trainer).monitor, inf))
        self.waited += 1
        if score < (1.0 - LEAST_GAIN) * self.to_beat:
            self.waited, self.to_beat = 0, score
        if self._is_over:
            trainer.should_stop = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the cell as it was."""
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)

    def state_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, "waited": self.waited, "to_beat": self.to_beat}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in a stage; Lightning restores callbacks before it makes the optimiser."""
        self.stage, self.waited = state_dict["stage"], state_dict["waited"]
        self.to_beat = state_dict.get("to_beat", inf)
        self._open()

    @property
    def _is_last(self) -> bool:
        return self.stage == len(self.stages) - 1

    @property
    def _is_over(self) -> bool:
        return self._is_last and self.waited >= self.patience

    def _open(self) -> None:
        """Let the parameters of the stage learn, and no others."""
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(name.startswith(tuple(self.stages[self.stage])))
            parameter.grad = None


def check_stages(cell: Cell, stages: Sequence[Sequence[str]]) -> None:
    """ValueError for a name in a stage with which no trainable parameter of the cell begins."""
    known = _trainable(cell)
    for name in (name for names in stages for name in names):
        if not any(each.startswith(name) for each in known):
            there = f"no trainable parameter begins with '{name}'; there are {', '.join(known)}"
            raise ValueError(f"training.stages: {there}. Choose among them, or training=prnn.")


def _trainable(cell: Cell) -> dict[str, Parameter]:
    return {name: each for name, each in cell.named_parameters() if each.requires_grad}


def _best(trainer: Trainer) -> BestCheckpoint:
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, BestCheckpoint)
    return checkpoint
