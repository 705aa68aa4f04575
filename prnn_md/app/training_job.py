"""The main job: train a model and those it is compared with, and leave everything in the run folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prnn_md.app.building import check_units, use_hardware
from prnn_md.app.comparison import Row, describe_data, print_comparison, save_comparison, zero_row
from prnn_md.app.composition import Config
from prnn_md.app.fitting import follow
from prnn_md.app.hardware import world_size
from prnn_md.app.instantiation import build
from prnn_md.app.ledger import Ledger, check_same_config, interruptible, left_to_rank_0, read_result
from prnn_md.app.model_run import run_loggers, train_and_judge
from prnn_md.data.datamodule import PathDataModule
from prnn_md.training.ranks import Ranks, joined


def run(config: Config, others: dict[str, Config], folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Train the model of `config` and the `others`, compare them, print the table; returns what result.json holds.

    An unfinished run of the same configuration in the folder is continued. Raises FolderInUse for a folder that
    holds something else, and whatever went wrong in data, model or training. Where the hardware has several devices
    this process is one of several ranks; rank 0 does all this, the others train with it, and get an empty answer.
    """
    if world_size(config["hardware"]) == 1:
        return _lead(config, others, folder, overrides)
    with joined(config["hardware"]["accelerator"]) as ranks:
        if ranks.rank == 0:
            result = _lead(config, others, folder, overrides, ranks)
            ranks.tell(None)
            return result
        use_hardware(config)
        with left_to_rank_0():
            follow(ranks, [config, *others.values()])
        return {}


def _lead(
    config: Config, others: dict[str, Config], folder: Path, overrides: Sequence[str], ranks: Ranks | None = None
) -> dict[str, Any]:
    with interruptible(), Ledger(folder, config, overrides) as ledger:
        use_hardware(config)
        data: PathDataModule = build(config["dataset"])
        for model in (config, *others.values()):
            check_units(model, data)
        with run_loggers(config, ledger) as loggers:
            rows = train_and_judge(config, data, ledger, loggers, ranks)
            for name, other in others.items():
                own = data if other["dataset"] == config["dataset"] else build(other["dataset"])
                rows = rows + _compared(other, own, folder / "compare" / name, ranks)
            rows = [*rows, zero_row(data.test_data)]
            save_comparison(folder, rows)
            for logger in loggers:
                logger.log_comparison(rows)
        ledger.record(description=describe_data(data))
    print_comparison(folder, rows, ledger.result["description"])
    return ledger.result


def show_finished(config: Config, folder: Path) -> dict[str, Any]:
    """Print the table of a finished run again; returns what its result.json holds.

    Raises FolderInUse where the run is of another configuration.
    """
    check_same_config(folder, config, "a finished run")
    result = read_result(folder)
    assert result is not None
    print(f"This run has finished on {result['finished']}; another one needs another folder.")
    print_comparison(folder, json.loads((folder / "comparison.json").read_text()), result["description"])
    return result


def _compared(config: Config, data: PathDataModule, folder: Path, ranks: Ranks | None) -> list[Row]:
    """The rows of a model beside the main one, in a ledger of its own; untrained only where it is physical."""
    before = read_result(folder)
    if before is not None and before["status"] == "finished":
        check_same_config(folder, config, "a finished run")
        rows: list[Row] = before["rows"]
    else:
        with Ledger(folder, config) as ledger, run_loggers(config, ledger) as loggers:
            rows = train_and_judge(config, data, ledger, loggers, ranks)
    return [entry for entry in rows if "md" in config or not entry["name"].endswith(" untrained")]
