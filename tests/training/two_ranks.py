"""What one of two ranks makes of its share of some batches; both are started by test_ranks.py.

    two_ranks.py FOLDER

Into the folder goes a file for each rank, with the averaged gradients and the messages of the errors that it met.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from conftest import PlasticPaths
from fragile import BATCHES, fragile_module

from prnn_md.training.module import SurrogateModule, TrainingError
from prnn_md.training.ranks import RankFailed, Ranks, joined, require_agreement, total


def gradients(module: SurrogateModule, rows: list[int], ranks: Ranks) -> dict[str, torch.Tensor]:
    """The average over the ranks, as of torch's DistributedDataParallel, of those of the shares of some rows."""
    module.zero_grad()
    module.training_step(PlasticPaths().batch(rows[ranks.rank :: ranks.world]), 0).backward()
    return {name: total(weights.grad) / ranks.world for name, weights in module.named_parameters()}


def message(error: type[Exception], call: Any, *arguments: Any) -> str:
    try:
        call(*arguments)
    except error as raised:
        return "\n".join([str(raised), *getattr(raised, "__notes__", [])])
    return "nothing was raised"


def failing(ranks: Ranks) -> None:
    with ranks.failing_together():
        if ranks.rank == 1:
            raise ValueError("Path 3: a bond broke.")
        total(torch.ones(1))


def main(folder: Path) -> None:
    with joined("cpu") as ranks:
        module = fragile_module()
        found: dict[str, Any] = {str(rows): gradients(module, rows, ranks) for rows in BATCHES}
        hopeless = fragile_module(0.0)
        found["all failed"] = message(TrainingError, hopeless.training_step, PlasticPaths().batch([ranks.rank]), 0)
        require_agreement("what is the same", "this")
        found["disagreement"] = message(RankFailed, require_agreement, "answers", f"{ranks.rank + 1}")
        found["told"] = ranks.told() if ranks.rank else ranks.tell({"fit": "prnn"})
        found["failure"] = message(Exception, failing, ranks)
        torch.save(found, folder / str(ranks.rank))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
