"""Builds what a configuration describes: data, cell, module and trainer."""

import hashlib
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from prnn_md.app.composition import PARTS, Config
from prnn_md.app.fields import registered_targets
from prnn_md.app.hardware import world_size
from prnn_md.app.instantiation import build
from prnn_md.app.metrics_log import RunLogger
from prnn_md.app.schema_models import EmbeddedCell
from prnn_md.cell import Cell
from prnn_md.data.datamodule import PathDataModule
from prnn_md.data.dataset import resolve as dataset_file
from prnn_md.md.md_cell import MDCell
from prnn_md.md.polymer import LIBRARY_KEYS, library_file
from prnn_md.training.callbacks import BestCheckpoint
from prnn_md.training.module import SurrogateModule, start_from
from prnn_md.training.stages import StagedFitting, check_stages

TIME_UNITS = {"epsilon/sigma^3": "tau", "MPa": "fs"}
"""Units of time of MD cells, by their unit of stress."""

TIMED = ("prnn_md.md.langevin.LangevinCell", "prnn_md.md.overdamped.OverdampedCell")
"""Dynamics that follow the times of a path."""


def use_hardware(config: Config) -> None:
    """Set torch's threads (cells take their own from the configuration), and quieten Lightning about itself."""
    torch.set_num_threads(config["hardware"]["torch_threads"])
    os.environ.setdefault("OMP_NUM_THREADS", str(config["hardware"]["torch_threads"]))  # else Lightning sets both
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")  # paths are in memory already
    warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 with torch 2.13
    warnings.filterwarnings("ignore", ".*sync_dist=True.*")  # what is logged is the same on all ranks already


def build_cell(config: Config) -> Cell:
    """The model as a cell, with its embedded cells, encoder and decoder where it takes them."""
    parts = {name: config[name] for name in PARTS if name in config}
    given = {name: build(node) for name, node in parts.items() if name != "md"}
    if "md" in parts:
        given["md"] = {name: build(node) for name, node in parts["md"].items()}
    cell = build(config["model"], **given)
    assert isinstance(cell, Cell)
    return cell


def input_files(config: Config, data: PathDataModule) -> dict[str, str]:
    """SHA-256 of the files that a run reads, by their place: the dataset, libraries of cells, a checkpoint."""
    files = [Path(data.file)]
    files += [dataset_file(test["path"]) for test in config.get("tests", {}).values() if test.get("path") is not None]
    if config.get("ckpt") is not None:
        files.append(Path(config["ckpt"]))
    for md in config.get("md", {}).values():
        if "beads" in md and (library := library_file(**{name: md[name] for name in LIBRARY_KEYS})):
            files.append(library)
        files += [Path(md[key]) for key in ("data", "force_field") if key in md]
    return {str(file.resolve()): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def build_module(config: Config, data: PathDataModule) -> SurrogateModule:
    """The untrained model, scaled by the training data, or with the weights of a checkpoint.

    Raises ValueError where the two speak different units, or where the hardware is not for the cells.
    """
    _check_hardware(config)
    check_units(config, data)
    cell = build_cell(config)
    check_stages(cell, config["training"]["stages"] or ())
    check_fits(cell, data.dataset.about, data.file)
    strain, times = data.typical_strains()
    cell.set_scales(strain, data.stress_scale, times)
    module = bare_module(config, cell, data.stress_scale, str(data.file))
    if config.get("ckpt") is not None:
        start_from(module, config["ckpt"])
    return module


def check_fits(cell: Cell, about: Mapping[str, Any], file: Path) -> None:
    """Raises ValueError for a model and a dataset that do not speak of the same stress, or of the same time."""
    for what, ours, theirs in (
        ("unit of stress", cell.units.stress, about["units"]),
        ("stress measure", cell.stress_measure, about["stress_measure"]),
    ):
        if ours != theirs:
            raise ValueError(f"The model's {what} is {ours}, that of the dataset {file} is {theirs}.")
    time = TIME_UNITS.get(cell.units.stress)
    moves = any(isinstance(part, MDCell) and part.rate_dependent for part in cell.modules())
    if moves and about["time_unit"] not in ("", time):
        raise ValueError(
            f"The unit of time of the cells is {time}, that of the dataset {file} is {about['time_unit']}."
        )


def bare_module(config: Config, cell: Cell, stress_scale: Tensor, source: str = "") -> SurrogateModule:
    """The module around a cell, ready to train on the `source` or to take the weights of a checkpoint."""
    optimizer, scheduler = build(config["optimizer"]), build(config["scheduler"])
    return SurrogateModule(cell, optimizer, scheduler, stress_scale, source, config["training"].get("model_error"))


def check_units(config: Config, data: PathDataModule) -> None:
    """Raises ValueError for a network or cells that speak another unit than the data, before anything is built."""
    told = config["model"].get("units", data.units)
    if told != data.units:
        message = f"model.units of {config['label']} is {told}, that of the dataset {data.file} is {data.units}"
        raise ValueError(f"{message}: add model.units={data.units}, of a model in compare to its own words.")
    schemas = registered_targets(EmbeddedCell)
    for name, node in config.get("md", {}).items():
        unit = getattr(schemas[node["_target_"]], "stress_unit", None) or node.get("units", data.units)
        if unit != data.units:
            raise ValueError(
                f"The unit of stress of md.{name} is {unit}, that of the dataset {data.file} is {data.units}: "
                "choose data of the same material, dataset.path=mine.h5."
            )
        time = TIME_UNITS[unit]
        if "dynamics" in node and node["dynamics"]["_target_"] in TIMED and data.time_unit not in ("", time):
            units = f"{time}, that of the dataset {data.file} is {data.time_unit}"
            raise ValueError(f"The unit of time of md.{name} is {units}: choose data of the same material.")


def _check_hardware(config: Config) -> None:
    """Raises ValueError for kernels that are to live on a GPU, before any cell is built."""
    accelerator = config["hardware"]["accelerator"]
    on_gpu = accelerator == "cuda" or (accelerator == "auto" and torch.cuda.is_available())
    names = [name for name, node in config.get("md", {}).items() if node.get("backend") == "kernel"]
    if on_gpu and names:
        raise ValueError(
            f"hardware.accelerator={accelerator}: the kernels of md.{names[0]} run on the processor. "
            "Choose hardware=cpu, or md.backend=torch."
        )


def build_trainer(config: Config, folder: Path, loggers: list[RunLogger], best: BestCheckpoint) -> Trainer:
    """A trainer that keeps the best checkpoint, stops early where asked, and writes into the run folder."""
    training, hardware = config["training"], config["hardware"]
    callbacks: list[Callback] = [build(node) for node in config["callbacks"].values()]
    if training["stages"] is not None:
        callbacks.append(StagedFitting(training["stages"], training["patience"]))
    elif training["patience"] is not None:
        callbacks.append(EarlyStopping(best.monitor, patience=training["patience"], check_finite=False))
    trainer = Trainer(
        accelerator=hardware["accelerator"],
        devices=hardware["devices"],
        num_nodes=hardware["nodes"],
        **_shared_work(hardware),
        precision=hardware["precision"],
        max_epochs=training["max_epochs"],
        gradient_clip_val=training["gradient_clip"],
        logger=loggers,
        callbacks=[*callbacks, best],
        default_root_dir=folder,
        log_every_n_steps=1,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
    )
    if world_size(hardware) > 1:
        # Lightning's answer to SIGTERM talks to the other ranks in the midst of whatever they exchange, and hangs
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def _shared_work(hardware: dict[str, Any]) -> dict[str, Any]:
    """Options of a trainer for ranks that somebody else starts, and that take their share of each batch themselves."""
    if world_size(hardware) == 1:
        return {}
    return {
        "strategy": DDPStrategy(forward_sync_buffers=False),  # training changes none
        "plugins": [LightningEnvironment()],
        "use_distributed_sampler": False,
    }
