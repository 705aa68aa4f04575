"""A run that is killed goes on as if it had not been: 2 + 2 epochs are 4, to the last bit, in every file."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from prnn_md.app.ledger import read_result
from prnn_md.app.overrides import checked_config
from prnn_md.app.predictions import Predictions
from prnn_md.app.training_job import run
from prnn_md.training.module import read_checkpoint

KILLED = """
import os, signal, sys
from prnn_md.app.main import main
from prnn_md.training.module import SurrogateModule
start = SurrogateModule.on_train_epoch_start
def kill(module):
    start(module)
    if module.current_epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
SurrogateModule.on_train_epoch_start = kill
main(["train", *sys.argv[1:]])
"""
"""Trains as the command does until the beginning of the third epoch."""

RANDOM = "prnn_md_random_state"

MODELS = {
    "prnn": ["md=polymer", "md.polymer.count=2", "md.polymer.beads=80"],
    "gru": ["model=gru", "model.hidden=4", "model.dropout=0.3"],
}


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("model", MODELS)
def test_a_killed_run_goes_on_to_the_last_bit(model: str, tiny_words: list[str], tmp_path: Path) -> None:
    own = ["training.max_epochs=4", "scheduler=plateau", "scheduler.patience=0"]
    words = [*[word for word in tiny_words if not word.startswith("md")], *MODELS[model], *own]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words, "hydra.run.dir=killed"], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert read_result(tmp_path / "killed")["status"] == "running"
    assert read_checkpoint(tmp_path / "killed" / "checkpoints" / "last.ckpt")["epoch"] == 1
    torch.manual_seed(1)  # which nothing depends on
    results = [run(checked_config(words), {}, tmp_path / name, words) for name in ("killed", "whole")]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert (results[0]["epochs"], results[0]["best_epoch"]) == (4, results[1]["best_epoch"])
    _check_same_files(tmp_path / "killed", tmp_path / "whole")


def _check_same_files(ours: Path, theirs: Path) -> None:
    assert (ours / "metrics.csv").read_text() == (theirs / "metrics.csv").read_text()
    for file in ("last.ckpt", "best.ckpt"):
        found, expected = (_leaves(_lasting(folder / "checkpoints" / file)) for folder in (ours, theirs))
        assert found.keys() == expected.keys()
        assert [name for name in found if not _same(found[name], expected[name])] == []
    stresses = [Predictions.load(folder / "predictions.h5").trained for folder in (ours, theirs)]
    assert torch.equal(*stresses)


def _lasting(file: Path) -> dict[str, Any]:
    """A checkpoint but for how often Lightning's loops have begun, and for random numbers that nothing here draws."""
    return {part: content for part, content in read_checkpoint(file).items() if part not in ("loops", RANDOM)}


def _leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """What is in nested dictionaries and lists, by its place."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else None
    if items is None:
        return {path: tree}
    return {place: leaf for name, branch in items for place, leaf in _leaves(branch, f"{path}/{name}").items()}


def _same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
