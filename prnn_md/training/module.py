"""Training of any cell on stress-strain paths, and the weights that it leaves behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import sqrt
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from prnn_md.cell import Cell, State
from prnn_md.md.failure import CellFailure
from prnn_md.statistics import path_square_errors, path_square_floors, signed_root
from prnn_md.training.ranks import total

SCHEMA_VERSION = 2
"""Version of what a checkpoint holds; a checkpoint of another version is refused."""

_VERSION_KEY = "prnn_md_schema_version"
_RANDOM_KEY = "prnn_md_random_state"

Batch = dict[str, Tensor]


class TrainingError(RuntimeError):
    """A training that cannot go on; the message names epoch and batch."""


class PathFailure(RuntimeError):
    """A path that a cell could not follow; the message names dataset, path, increment and cell."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit; the message names the file and what to do."""


class SurrogateModule(LightningModule):
    """Fits the trainable parameters of a cell to stresses along strain paths.

    A batch holds `strain`, `stress` and `standard_error`, each (paths, T+1, 6), `index` (paths,), their places in
    the dataset `source`, and `times`, (T+1,) or (paths, T+1). The loss is the mean square of
    (predicted - stress) / stress_scale. With a `model_error` m, in units of the stress scale, a path whose labels have
    the standard error s weighs m^2 / (m^2 + s^2) in it, by what model and label err together; logged errors are plain.
    `optimizer` is called with the parameters, `scheduler` (stepped once per epoch, on `valid/error` where it wants a
    metric) with the optimiser.

    Logged per epoch for train, valid and test: <split>/error, /floor and /net_error as in
    `prnn_md.statistics`, and /failed, the number of paths whose state failed. These add nothing to loss and
    train/error; in validation and test they count as answered by zero stress, so that failing never pays. Cells
    with a count of `dropped_gradients` also give train/dropped_gradients, the increments of the epoch whose gradient
    was dropped because, close to a plastic event, it could not be solved for. PathFailure where a cell ends the run.

    Several ranks, each with its share of every batch, log and learn what one would with the whole batch. Dropout and
    the cells that a path asks are the exception: they differ from rank to rank.
    """

    stress_scale: Tensor

    def __init__(
        self,
        cell: Cell,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None,
        stress_scale: Tensor,
        source: str = "",
        model_error: float | None = None,
    ) -> None:
        super().__init__()
        self.cell, self.source, self.model_error = cell, source, model_error
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self._squares: dict[str, list[tuple[Tensor, Tensor]]] = {"train": [], "valid": [], "test": []}
        self._failures = dict.fromkeys(self._squares, 0)
        self._batch, self._dropped_before = 0, 0
        self.register_buffer("stress_scale", stress_scale.detach().clone())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of the paths that did not fail; TrainingError if all did, or if it is not finite."""
        self._batch = batch_idx
        self.cell.reseed(self.current_epoch, batch_idx, self.global_rank)
        squares, penalties, kept = self._square_errors(batch)
        taken, paths = total(torch.tensor([int(kept.sum()), len(kept)], device=self.device)).tolist()
        if not taken:
            raise TrainingError(f"{self._place()}: all {paths} paths failed, nothing is left to learn from.")
        weights = self._weights(batch["standard_error"][kept])
        loss = self._share_of_mean(weights * squares + penalties, taken)
        if not bool(loss.isfinite()):
            raise TrainingError(f"{self._place()}: the loss is {loss.item()}. A lower learning rate may help.")
        self._collect("train", squares, batch["standard_error"][kept], len(kept) - int(kept.sum()))
        return loss

    def _square_errors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Square errors and penalties of the paths that did not fail, and which of all (paths,) these are."""
        nothing = self.stress_scale.new_zeros(0)
        if not len(batch["strain"]):  # other ranks have the last paths of the epoch
            return nothing, nothing, nothing.bool()
        predicted, state = self._rollout(batch)
        kept = ~state.failed
        squares = path_square_errors(predicted[kept], batch["stress"][kept], self.stress_scale)
        penalties = self.cell.penalty(state)
        return squares, torch.zeros_like(squares) if penalties is None else penalties[kept], kept

    def _weights(self, standard_error: Tensor) -> Tensor:
        """Weights (paths,) in the loss, of at most one, by the standard errors of the labels."""
        if self.model_error is None:
            return torch.ones_like(standard_error[:, 0, 0])
        square = self.model_error**2
        return square / (square + path_square_floors(standard_error, self.stress_scale))

    def _share_of_mean(self, squares: Tensor, count: int) -> Tensor:
        """What, averaged over all ranks, is the mean over the `count` square errors of all ranks.

        Every parameter takes part in it on every rank, with nothing where it has no path, since all wait for all.
        """
        if not dist.is_initialized():
            return squares.mean()
        nothing = sum(0.0 * weights.sum() for weights in self.cell.parameters() if weights.requires_grad)
        return squares.sum() * (dist.get_world_size() / count) + nothing

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Raises TrainingError for a gradient that is not finite, before it reaches the weights."""
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
                raise TrainingError(f"{self._place()}: the gradient of {name} is not finite.")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("valid", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch)

    def on_train_epoch_start(self) -> None:
        self._forget("train")
        self._dropped_before = self._dropped_gradients() or 0

    def on_validation_epoch_start(self) -> None:
        self._forget("valid")

    def on_test_epoch_start(self) -> None:
        self._forget("test")

    def on_train_epoch_end(self) -> None:
        self._log_split("train")
        dropped = self._dropped_gradients()
        if dropped is not None:
            count = self.stress_scale.new_tensor(dropped - self._dropped_before)
            self._log({"train/dropped_gradients": total(count).item()})

    def on_validation_epoch_end(self) -> None:
        self._log_split("valid")

    def on_test_epoch_end(self) -> None:
        self._log_split("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser of all trainable parameters and its scheduler; ValueError if there are none."""
        parameters = [parameter for parameter in self.cell.parameters() if parameter.requires_grad]
        if not parameters:
            raise ValueError(f"{type(self.cell).__name__} has no trainable parameters: there is nothing to train.")
        optimizer = self._make_optimizer(parameters)
        if self._make_scheduler is None:
            return optimizer
        scheduler = self._make_scheduler(optimizer)
        config: dict[str, Any] = {"scheduler": scheduler, "monitor": "valid/error"}
        if isinstance(scheduler, ReduceLROnPlateau):
            # By epoch, Lightning would step it after the last checkpoint, and a restart would miss that step.
            config |= {"interval": "step", "frequency": self._batches_per_epoch()}
        return cast(OptimizerLRScheduler, {"optimizer": optimizer, "lr_scheduler": config})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[_VERSION_KEY] = SCHEMA_VERSION
        checkpoint[_RANDOM_KEY] = torch.get_rng_state()  # for cells that do not draw from seeds of their own

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with its random numbers; raises CheckpointError for a checkpoint of another schema version."""
        check_version(checkpoint, "The checkpoint")
        if _RANDOM_KEY in checkpoint:
            torch.set_rng_state(checkpoint[_RANDOM_KEY])

    def _evaluate(self, split: str, batch: Batch) -> None:
        if not len(batch["strain"]):  # as in training
            return
        predicted, state = self._rollout(batch)
        predicted = torch.where(state.failed[:, None, None], 0.0, predicted)
        squares = path_square_errors(predicted, batch["stress"], self.stress_scale)
        self._collect(split, squares, batch["standard_error"], int(state.failed.sum()))

    def _rollout(self, batch: Batch) -> tuple[Tensor, State]:
        follow = self.cell.rollout if "turns" in batch else self.cell.follow  # turned paths are not met again
        with failures_named(self.source, lambda path: int(batch["index"][path])):
            return follow(batch["strain"], batch["times"])

    def _dropped_gradients(self) -> int | None:
        """The count of all cells that have one since they were made, None where none has."""
        counts = [module.dropped_gradients for module in self.cell.modules() if hasattr(module, "dropped_gradients")]
        return sum(cast(list[int], counts)) if counts else None

    def _collect(self, split: str, squares: Tensor, standard_error: Tensor, failures: int) -> None:
        self._squares[split].append((squares.detach(), path_square_floors(standard_error, self.stress_scale)))
        self._failures[split] += failures

    def _forget(self, split: str) -> None:
        self._squares[split], self._failures[split] = [], 0

    def _log_split(self, split: str) -> None:
        """Log means over the paths of all ranks, each once: sums are added up, not means averaged."""
        nothing = self.stress_scale.new_zeros(0)
        parts = zip(*self._squares[split], strict=True) if self._squares[split] else ([nothing], [nothing])
        squares, floors = (torch.cat(list(part)) for part in parts)
        sums = [squares.sum().item(), floors.sum().item(), len(squares), self._failures[split]]
        square, floor, paths, failed = total(nothing.new_tensor(sums)).tolist()
        square, floor = square / paths, floor / paths
        metrics = {"error": sqrt(square), "floor": sqrt(floor), "net_error": signed_root(square - floor)}
        self._log({f"{split}/{name}": value for name, value in (metrics | {"failed": failed}).items()})

    def _log(self, metrics: dict[str, float]) -> None:
        """Log numbers that all ranks agree on, in double precision, to which Lightning does not take plain ones."""
        self.log_dict({name: self.stress_scale.new_tensor(value) for name, value in metrics.items()})

    def _batches_per_epoch(self) -> int:
        _ = self.trainer.estimated_stepping_batches  # makes the trainer read its loaders
        return int(self.trainer.num_training_batches)

    def _place(self) -> str:
        return f"Epoch {self.current_epoch}, batch {self._batch}"


@contextmanager
def failures_named(source: str, index_of: Callable[[int], int]) -> Iterator[None]:
    """Within the block a CellFailure becomes a PathFailure that names the path in its dataset.

    `source` is the dataset, if known; `index_of` gives the index in it from the position in the batch.
    """
    try:
        yield
    except CellFailure as failure:
        place = f"{source or 'The dataset'}, path {index_of(failure.path)}, increment {failure.increment}"
        raise PathFailure(f"{place}: MD cell {failure.cell}: {failure.reason}.") from failure


def check_version(checkpoint: dict[str, Any], source: str) -> None:
    """Raises CheckpointError, beginning with `source`, unless the checkpoint has this schema version."""
    version = checkpoint.get(_VERSION_KEY)
    if version is None:
        raise CheckpointError(f"{source} was not written by prnn_md: it has no schema version.")
    if version != SCHEMA_VERSION:
        raise CheckpointError(
            f"{source} has the schema version {version}, and this version of prnn_md reads {SCHEMA_VERSION}: "
            "use the version of prnn_md that wrote it, or train again."
        )


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint, read with weights_only=True; CheckpointError if it cannot be used."""
    if not Path(path).is_file():
        raise CheckpointError(f"There is no checkpoint {path}.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint (truncated or corrupt?): {error}") from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} holds {type(checkpoint).__name__}, not a checkpoint.")
    check_version(checkpoint, str(path))
    return checkpoint


def start_from(module: SurrogateModule, path: str | Path) -> None:
    """Give the cell of a module the weights of a checkpoint, to be trained further, maybe on other data.

    The scale of the loss stays that of the module's own data. Raises CheckpointError if the weights do not fit.
    """
    found = {
        name.removeprefix("cell."): tensor
        for name, tensor in read_checkpoint(path)["state_dict"].items()
        if name.startswith("cell.")
    }
    differences = list(_differences(found, module.cell.state_dict()))
    if differences:
        told = "; ".join(differences[:3]) + ("; ..." if len(differences) > 3 else "")
        raise CheckpointError(f"{path} does not fit this model: {told}. Choose model and cells as in its run.")
    module.cell.load_state_dict(found)


def _differences(there: dict[str, Tensor], here: dict[str, Tensor]) -> Iterator[str]:
    """What keeps the weights in a checkpoint from being those of a model, each in some words."""
    for name in dict.fromkeys([*there, *here]):
        if name not in here or name not in there:
            yield f"{name} is only {'there' if name in there else 'in this model'}"
        elif there[name].shape != here[name].shape:
            yield f"{name} is {tuple(there[name].shape)} there and {tuple(here[name].shape)} here"


def load_weights(module: SurrogateModule, path: str | Path) -> None:
    """Give a freshly built module the weights of a checkpoint; CheckpointError if they do not fit it."""
    weights = read_checkpoint(path)["state_dict"]
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} does not fit this model; build it from the same run's config. {error}"
        ) from error
