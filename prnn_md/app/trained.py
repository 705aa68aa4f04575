"""Trained surrogates of finished runs, as cells that can be asked, also with other numbers in them than in training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from prnn_md.app.building import bare_module, build_cell, use_hardware
from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import Config
from prnn_md.app.ledger import read_result
from prnn_md.app.overrides import changed
from prnn_md.cell import Cell
from prnn_md.md.md_cell import MDCell
from prnn_md.training.module import load_weights


def finished_result(run: Path) -> dict[str, Any]:
    """What result.json of a finished run says; ValueError for a folder that is none."""
    result = read_result(run)
    if result is None:
        raise ValueError(f"run={run}: this is no run folder (there is no result.json in it).")
    if result["status"] != "finished":
        raise ValueError(
            f"run={run}: this run is {result['status']}, not finished; "
            f"repeat its command with hydra.run.dir={run} to finish it."
        )
    return result


def run_config(run: Path) -> Config:
    """The configuration of a run, as it was resolved."""
    config: Config = yaml.safe_load((run / "config.yaml").read_text())
    return config


def trained_cell(run: Path, changes: Sequence[str] = ()) -> Cell:
    """The best model of a run, ready to be asked; `changes` as of `with_changes`. Raises CheckpointError."""
    config = run_config(run)
    use_hardware(config)
    module = bare_module(config, build_cell(config), torch.ones(6, dtype=torch.float64))
    load_weights(module, run / "checkpoints" / "best.ckpt")
    return with_changes(module.cell, config, changes).eval()


def with_changes(cell: Cell, config: Config, changes: Sequence[str]) -> Cell:
    """The model of a configuration with other values of some keys of its MD cells, and the weights of `cell`.

    Parameters of force fields that are given now replace those that were trained. Raises ConfigError for a word that
    does not fit.
    """
    if not changes:
        return cell
    new = build_cell(changed(config, changes))
    try:
        new.load_state_dict(cell.state_dict())
    except RuntimeError:
        raise ConfigError(
            f"{' '.join(changes)}: this changes the shape of what was trained: it needs a training of its own."
        ) from None
    if any(".parameters" in word for word in changes):
        for part in new.modules():
            if isinstance(part, MDCell):
                part.use_parameters()
    return new
