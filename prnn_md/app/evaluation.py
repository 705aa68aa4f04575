"""Predictions of a model on paths, with their errors against the labels."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.data.dataset import StressStrainData
from prnn_md.files import replaced_when_done
from prnn_md.progress import duration
from prnn_md.statistics import NetError, net_error
from prnn_md.training.module import failures_named


@torch.no_grad()
def predicted_stress(
    cell: Cell, data: StressStrainData, chunk: int, what: str, source: str = "", indices: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Stress (paths, T+1, 6) and failures (paths,) along all paths of the data, `chunk` paths at a time.

    The stress of a failed path is NaN. Says on standard error how far it is. PathFailure for a cell that gives up
    names the path by `source`, the dataset, and `indices`, the places of the paths in it.
    """
    indices = range(len(data)) if indices is None else indices
    training = cell.training
    cell.eval()
    stresses, failures = [], []
    progress = _Progress(what, len(data))
    for start in range(0, len(data), chunk):
        part = slice(start, start + chunk)
        with failures_named(source or data.name, indices[part].__getitem__):
            stress, state = cell.follow(data.strain[part], data.times[part])
        failures.append(state.failed)
        stresses.append(torch.where(state.failed[:, None, None], torch.nan, stress))
        progress.at(min(start + chunk, len(data)))
    cell.train(training)
    return torch.cat(stresses), torch.cat(failures)


def kept_for_a_restart(file: Path, compute: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """What is computed, kept in a file for a restart."""
    if file.is_file():
        stress, failed = torch.load(file, weights_only=True)
        return stress, failed
    result = compute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_done(file) as temporary:
        torch.save(result, temporary)
    return result


def counted(stress: Tensor, failed: Tensor) -> Tensor:
    """Stresses (paths, T+1, 6) as errors count them: zero on failed paths (paths,), so that failing never pays."""
    return torch.where(failed[:, None, None], 0.0, stress)


def errors(stress: Tensor, failed: Tensor, data: StressStrainData) -> NetError:
    """Error, floor and net error, with the interval of the latter, of predictions on all paths of the data.

    As in training, failed paths (paths,) count as answered by zero stress.
    """
    return net_error(counted(stress, failed), data.stress, data.standard_error, data.stress_scale)


class _Progress:
    """Lines such as "PRNN untrained: 8 of 24 test paths, 40 s left": rewritten in a terminal, else rare."""

    interval = 30.0

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.started = self.reported = time.monotonic()

    def at(self, done: int) -> None:
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if not terminal and done < self.total and now - self.reported < self.interval:
            return
        left = (now - self.started) / done * (self.total - done)
        rest = f"{duration(left)} left" if done < self.total else f"in {duration(now - self.started)}"
        line = f"{self.what}: {done} of {self.total} paths, {rest}"
        end = "\r" if terminal and done < self.total else "\n"
        print(f"\r{line:<79}" if terminal else line, end=end, file=sys.stderr, flush=True)
        self.reported = now
