"""What accompanies a training: the checkpoints that it leaves, and the lines that tell how it goes."""

import sys
import time
from math import inf
from pathlib import Path
from typing import Any, TextIO

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar

from prnn_md.progress import duration

UNTRAINED = -1
"""The epoch that stands for the state before training."""


class BestCheckpoint(Checkpoint):
    """Keeps `best.ckpt`, the weights with the least `monitor`, and `last.ckpt`, from which training goes on.

    All validation paths are evaluated before the first epoch, so that the untrained state is a candidate too,
    and its metrics are logged as epoch -1. After a restart from `last.ckpt` (in the same folder) the best so
    far stays known. `best_score` and `best_epoch` (-1: untrained) tell the choice.

    Lightning's ModelCheckpoint has neither: it skips the validation before training, and writes the last
    checkpoint only in epochs in which the best one changes.

    Raises ValueError if `monitor` is not logged, FileNotFoundError if a restart misses its `best.ckpt`.
    """

    def __init__(self, dirpath: str | Path, monitor: str = "valid/error") -> None:
        super().__init__()
        self.dirpath, self.monitor = Path(dirpath), monitor
        self.best_score = inf
        self.best_epoch: int | None = None

    @property
    def best_model_path(self) -> str:
        """File with the weights of the best epoch."""
        return str(self.dirpath / "best.ckpt")

    @property
    def last_model_path(self) -> str:
        """File with the whole state of training after the last full epoch."""
        return str(self.dirpath / "last.ckpt")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ask for a full validation before training."""
        if stage == "fit" and not _trial(trainer):
            trainer.num_sanity_val_steps = inf

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A training that goes on has its untrained state judged already."""
        trainer.num_sanity_val_steps = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.best_epoch is not None and not Path(self.best_model_path).is_file():
            raise FileNotFoundError(
                f"{self.best_model_path} is missing, the best so far of the training that goes on: "
                "restart in the folder of the run that wrote the checkpoint."
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the untrained state as the first candidate."""
        if not trainer.sanity_checking:
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self.monitor not in metrics:
            raise ValueError(f"The monitor '{self.monitor}' is not logged; logged are {', '.join(metrics) or 'none'}.")
        for logger in trainer.loggers:
            logger.log_metrics({**metrics, "epoch": UNTRAINED}, step=0)
        self._offer(trainer, UNTRAINED)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not _trial(trainer):
            self._offer(trainer, trainer.current_epoch)
            trainer.save_checkpoint(self.last_model_path, weights_only=False)

    def _offer(self, trainer: Trainer, epoch: int) -> None:
        """Save the weights if they are the best so far; a metric that is missing or NaN is never."""
        score = float(trainer.callback_metrics.get(self.monitor, inf))
        if score < self.best_score:
            self.best_score, self.best_epoch = score, epoch
            trainer.save_checkpoint(self.best_model_path, weights_only=True)

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]


class ProgressLines(ProgressBar):
    """One line per epoch with errors and the time left at most; in a terminal also the batch, in place.

    Elsewhere, an epoch that takes longer than `interval` (s) reports itself as often. Lines go to `stream`,
    standard error by default.
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 30.0) -> None:
        super().__init__()
        self._given_stream, self._interval, self._enabled = stream, interval, True
        self._batches = 0
        self._started = self._reported = time.monotonic()

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            self._line(f"untrained{_errors(trainer)}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = 0
        self._started = self._reported = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batches += 1
        now, terminal = time.monotonic(), self._stream.isatty()
        if terminal or now - self._reported > self._interval:
            text = f"{_epoch(trainer, trainer.current_epoch)}, batch {batch_idx + 1}/{self.total_train_batches}"
            done = trainer.current_epoch * self.total_train_batches + batch_idx + 1
            self._line(text + self._left(trainer, done), end="\r" if terminal else "\n")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish_epoch(trainer, trainer.current_epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish_epoch(trainer, trainer.current_epoch)

    def _finish_epoch(self, trainer: Trainer, finished: int) -> None:
        """Report after the epoch's own hooks, when all its metrics are known."""
        if self._batches:
            left = self._left(trainer, finished * self.total_train_batches)
            self._line(f"{_epoch(trainer, finished - 1)}{_errors(trainer)}{left}")

    def _left(self, trainer: Trainer, done: float) -> str:
        """Time left at the pace of this process so far."""
        if trainer.max_epochs is None or trainer.max_epochs < 0:
            return ""
        remaining = trainer.max_epochs * self.total_train_batches - done
        return f", {duration(remaining * (time.monotonic() - self._started) / self._batches)} left"

    def _line(self, text: str, end: str = "\n") -> None:
        if self._enabled:
            self._stream.write(f"\r{text:<79}{end}" if self._stream.isatty() else f"{text}{end}")
            self._stream.flush()
            self._reported = time.monotonic()

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._given_stream is None else self._given_stream


def _trial(trainer: Trainer) -> bool:
    """Whether Lightning only tries the code out, leaving nothing behind."""
    return bool(getattr(trainer, "fast_dev_run", False))


def _epoch(trainer: Trainer, index: int) -> str:
    total = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
    return f"epoch {index + 1}{total}"


def _errors(trainer: Trainer) -> str:
    """The known errors, the floor of the validation labels, and failures where there are any."""
    metrics = trainer.callback_metrics
    texts = [
        f", {split} {metrics[f'{split}/error']:.4f}" for split in ("train", "valid") if f"{split}/error" in metrics
    ]
    if "valid/floor" in metrics:
        texts.append(f" (floor {metrics['valid/floor']:.4f})")
    texts += [f", {int(value)} {name} paths" for name, value in metrics.items() if name.endswith("/failed") and value]
    return "".join(texts)
