"""Every option of every group composes, validates and builds."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from prnn_md.app.building import bare_module, build_cell, build_module, build_trainer, input_files, use_hardware
from prnn_md.app.composition import Config, groups
from prnn_md.app.instantiation import build
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.training_job import run
from prnn_md.data.dataset import read_dataset, write_dataset
from prnn_md.md.library import library_path
from prnn_md.training.callbacks import BestCheckpoint

SMALL = {
    "polymer": ["md.polymer.count=2", "md.polymer.beads=80"],
    "polymer_j2": ["md.polymer.count=2", "md.polymer.beads=80"],
    "polymer_network": ["md.polymer.count=2", "md.polymer.beads=80"],
    "glass": ["md.glass.count=1", "md.glass.quench_time=1.0"],
    "polyethylene": ["md.polyethylene.count=1", "md.polyethylene.chains=2", "md.polyethylene.quench_time=1e4"],
    "argon": [],
    "silicon": ["md.silicon.structure=crystal", "md.silicon.count=1"],
    "j2": [],
    "elastic": [],
    "viscoelastic": [],
    "glassy_polymer": [],
    "fibre": [],
    "composite": [],
    "files": ["md.files.data={folder}/atoms.data", "md.files.force_field={folder}/pair.yaml", "md.files.types=[Ar]"],
}
IN_MPA = ("polyethylene", "argon", "silicon")
COMPOSITE = ("composite", "glassy_polymer", "fibre")
BASELINES = ("gru", "lstm", "tann", "feed_forward", "isotropic")
ATOMS = """two atoms

2 atoms
1 atom types
0 10 xlo xhi
0 10 ylo yhi
0 10 zlo zhi

Atoms # atomic

1 1 5 5 5
2 1 6.1 5 5
"""
PAIR = """
units: lj
atomtypes: [Ar]
masses: {Ar: 1.0}
lj: {Ar: {sigma: 1.0, epsilon: 1.0}}
cutoff: {inner: 2.0, outer: 2.5}
"""
POLYMER = ["md=polymer", *SMALL["polymer"]]
BESIDE = {
    "md/dynamics": POLYMER,
    "dataset=argon": ["md=j2", "md.j2.units=MPa"],
    "dataset=composite": ["md=j2", "md.j2.units=MPa"],
    "tests=stiffer_cells": POLYMER,
    "tests=colder_cells": [*POLYMER, "md/dynamics=langevin", "dynamics.temperature=0.2"],
    "training=staged": ["md=j2", "decoder=isotropic"],
}
"""What else is chosen, by the group or the option, instead of md=j2."""
OPTIONS = [(group, option) for group, options in groups().items() for option in options]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_every_option_builds(
    group: str,
    option: str,
    tiny_dataset: Path,
    tiny_dataset_in_mpa: Path,
    write_prnn_text: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prnn_md.md.prepared.cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "atoms.data").write_text(ATOMS)
    (tmp_path / "pair.yaml").write_text(PAIR)
    small = [word.format(folder=tmp_path) for word in SMALL.get(option, [])]
    other = BESIDE.get(f"{group}={option}", BESIDE.get(group, [] if option in BASELINES else ["md=j2"]))
    beside = small if group == "md" else other
    data = tiny_dataset_in_mpa if option in IN_MPA else tiny_dataset
    data_words = [] if group == "dataset" else [f"dataset.path={data}", "dataset.n_train=4", "dataset.n_valid=null"]
    if option in COMPOSITE and group in ("md", "dataset"):
        write_prnn_text(tmp_path / "made.data")
        data_words = [f"dataset.path={tmp_path / 'made.data'}"]
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


def test_stages_must_fit_the_model_before_anything_is_simulated(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("decoder=hill_mandel", "training=staged")
    with pytest.raises(ValueError, match=r"begins with 'decoder.kinds'; there are .*decoder.logits.*training=prnn"):
        build_module(config, build(config["dataset"]))


def test_a_configuration_from_before_paths_had_weights_can_be_built(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    del config["training"]["model_error"]
    assert bare_module(config, build_cell(config), torch.ones(6)).model_error is None


def test_seed_decides_the_parameters(tiny_config: Callable[..., Config]) -> None:
    first, same, other = (
        build_cell(tiny_config("encoder.noise=0.1", f"seed={seed}")).encoder.matrices() for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_units_must_agree_with_the_data(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("md.j2.units=MPa")
    with pytest.raises(ValueError, match=r"of md.j2 is MPa, that of the dataset .*tiny.h5 is epsilon/sigma\^3"):
        build_module(config, build(config["dataset"]))


def test_units_of_models_to_compare_with_are_checked_before_any_is_trained(
    tiny_words: list[str], tiny_dataset_in_mpa: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.training_job.train_and_judge", lambda *_: pytest.fail("a model was trained"))
    config = checked_config([*tiny_words, "md.j2.units=MPa", f"dataset.path={tiny_dataset_in_mpa}", "compare=[gru]"])
    with pytest.raises(ValueError, match=r"model.units of GRU is epsilon/sigma\^3, .* is MPa: add model.units=MPa"):
        run(config, comparisons(config), tmp_path)


@pytest.mark.parametrize(("cells", "unit"), [("silicon", "MPa"), ("glass", "epsilon/sigma^3")])
def test_units_of_md_cells_are_checked_before_any_is_built(
    cells: str, unit: str, tiny_dataset: Path, tiny_dataset_in_mpa: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.building.build_cell", lambda _: pytest.fail("cells were built"))
    data = tiny_dataset if unit == "MPa" else tiny_dataset_in_mpa
    config = checked_config([f"md={cells}", f"dataset.path={data}", "dataset.n_train=4", "dataset.n_valid=null"])
    with pytest.raises(ValueError, match=f"unit of stress of md.{cells} is {re.escape(unit)}, that of the dataset"):
        build_module(config, build(config["dataset"]))


def test_units_of_time_are_checked_for_cells_at_a_strain_rate(tiny_dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "slow.h5", replace(read_dataset(tiny_dataset), time_unit="s"))
    words = [
        "md=polymer",
        "md/dynamics=langevin",
        f"dataset.path={tmp_path / 'slow.h5'}",
        "dataset.n_train=4",
        "dataset.n_valid=null",
    ]
    config = checked_config([*words, "dataset.n_train=null"])
    with pytest.raises(ValueError, match=r"unit of time of md.polymer is tau, that of the dataset .*slow.h5 is s"):
        build_module(config, build(config["dataset"]))


def test_kernels_are_refused_on_a_gpu_at_once(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.building.build_cell", lambda _: pytest.fail("cells were built"))
    config = tiny_config()
    words = [
        "hardware=gpu",
        "md.backend=kernel",
        f"dataset.path={config['dataset']['path']}",
        "dataset.n_train=4",
        "dataset.n_valid=null",
    ]
    with pytest.raises(ValueError, match="accelerator=cuda: the kernels of md.polymer run on the processor"):
        build_module(checked_config(words), build(config["dataset"]))


def test_the_files_that_a_run_reads_are_known_by_their_content(tiny_dataset: Path) -> None:
    data = [f"dataset.path={tiny_dataset}", "dataset.n_train=4", "dataset.n_valid=1"]
    config = checked_config(["md=polymer", "md.polymer.beads=80", "md.polymer.library=b", *data])
    files = input_files(config, build(config["dataset"]))
    library = library_path("polymer_80_b")
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
