"""Every option of every group composes, validates and builds."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from prnn_md.app.building import build, build_cell, build_module, build_trainer, input_files, use_hardware
from prnn_md.app.composition import Config, groups
from prnn_md.app.overrides import checked_config
from prnn_md.md.polymer import polymer_library
from prnn_md.training.callbacks import BestCheckpoint

SMALL = {"polymer": ["md.polymer.count=2", "md.polymer.beads=80"], "j2": [], "elastic": [], "viscoelastic": []}
BESIDE = {"md/dynamics": ["md=polymer", *SMALL["polymer"]]}
OPTIONS = [(group, option) for group, options in groups().items() for option in options]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_every_option_builds(group: str, option: str, tiny_dataset: Path, tmp_path: Path) -> None:
    beside = SMALL[option] if group == "md" else BESIDE.get(group, [] if option in ("gru", "lstm") else ["md=j2"])
    data_words = [] if group == "dataset" else [f"dataset.path={tiny_dataset}", "dataset.n_valid=null"]
    words = [f"{group}={option}", *beside, *data_words]
    config = checked_config(words)
    module = build_module(config, build(config["dataset"]))
    optimizer = build(config["optimizer"])([weights for weights in module.parameters() if weights.requires_grad])
    assert build(config["scheduler"])(optimizer).optimizer is optimizer
    assert callable(build(config["logger"]))
    if config["hardware"]["accelerator"] == "cpu" or torch.cuda.is_available():
        assert isinstance(build_trainer(config, tmp_path, [], BestCheckpoint(tmp_path)), Trainer)


def test_embedded_cells_come_in_the_number_asked_for(tiny_config: Callable[..., Config]) -> None:
    cell = build_cell(tiny_config("md.j2.count=3", "encoder=free"))
    assert cell.counts == (3,)
    assert cell.encoder.matrices().shape == (3, 6, 6)


def test_seed_decides_the_parameters(tiny_config: Callable[..., Config]) -> None:
    first, same, other = (
        build_cell(tiny_config("encoder.noise=0.1", f"seed={seed}")).encoder.matrices() for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_units_must_agree_with_the_data(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("md.j2.units=MPa")
    with pytest.raises(ValueError, match=r"unit of stress is MPa, that of the dataset .*tiny.h5 is epsilon/sigma\^3"):
        build_module(config, build(config["dataset"]))


def test_cells_of_molecules_are_refused_on_a_gpu_at_once(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.building.build_cell", lambda _: pytest.fail("cells were built"))
    config = tiny_config()
    beside = checked_config(["hardware=gpu", f"dataset.path={config['dataset']['path']}", "dataset.n_valid=null"])
    with pytest.raises(ValueError, match="accelerator=cuda: the MD cells of md.polymer run on the processor"):
        build_module(beside, build(config["dataset"]))


def test_the_files_that_a_run_reads_are_known_by_their_content(tiny_dataset: Path) -> None:
    data = [f"dataset.path={tiny_dataset}", "dataset.n_valid=1"]
    config = checked_config(["md=polymer", "md.polymer.beads=80", "md.polymer.library=b", *data])
    files = input_files(config, build(config["dataset"]))
    library = polymer_library("b", 80)
    assert files == {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in (tiny_dataset, library)}


def test_errors_of_constructors_come_through() -> None:
    with pytest.raises(ValueError, match="youngs_modulus and poissons_ratio") as caught:
        build_cell(checked_config(["md=elastic", "md.elastic.c11=3.0"]))
    assert "Error in call" not in str(caught.value)


def test_patience_null_never_stops_early(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    def stoppers(config: Config) -> list[EarlyStopping]:
        trainer = build_trainer(config, tmp_path, [], BestCheckpoint(tmp_path))
        return [callback for callback in trainer.callbacks if isinstance(callback, EarlyStopping)]

    assert stoppers(tiny_config("training.patience=null")) == []
    assert stoppers(tiny_config("training.patience=3"))[0].patience == 3


def test_threads_are_set(tiny_config: Callable[..., Config]) -> None:
    before = torch.get_num_threads()
    try:
        use_hardware(tiny_config("hardware.torch_threads=1"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
