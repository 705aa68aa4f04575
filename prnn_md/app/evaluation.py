"""Predictions of a model on paths, with their errors against the labels."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.data.dataset import StressStrainData, replaced_when_done
from prnn_md.statistics import NetError, net_error
from prnn_md.training.callbacks import duration


@torch.no_grad()
def predicted_stress(cell: Cell, data: StressStrainData, chunk: int, what: str) -> tuple[Tensor, Tensor]:
    """Stress (paths, T+1, 6) and failures (paths,) along all paths of the data, `chunk` paths at a time.

    Says on standard error how far it is. As in training, a failed path counts as answered by zero stress.
    """
    training = cell.training
    cell.eval()
    stresses, failures = [], []
    progress = _Progress(what, len(data))
    for start in range(0, len(data), chunk):
        part = slice(start, start + chunk)
        stress, state = cell.rollout(data.strain[part], data.times)
        failures.append(state.failed)
        stresses.append(torch.where(state.failed[:, None, None], 0.0, stress))
        progress.at(min(start + chunk, len(data)))
    cell.train(training)
    return torch.cat(stresses), torch.cat(failures)


def remembered(file: Path, compute: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """What is computed, kept in a file for a restart."""
    if file.is_file():
        stress, failed = torch.load(file, weights_only=True)
        return stress, failed
    result = compute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_done(file) as temporary:
        torch.save(result, temporary)
    return result


def errors(stress: Tensor, data: StressStrainData) -> NetError:
    """Error, floor and net error, with the interval of the latter, of predictions on all paths of the data."""
    return net_error(stress, data.stress, data.standard_error, data.stress_scale)


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
