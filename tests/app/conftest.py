"""A tiny dataset of an elastoplastic material, and configurations that train on it within a second."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from prnn_md.app.composition import Config
from prnn_md.app.figures import draw_all
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.training_job import run
from prnn_md.data.dataset import averaged, read_dataset, write_dataset
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.materials.j2 import J2


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noisy paths of five increments: two to train, one to validate, one to test of each family."""
    kinds, options = list(FAMILIES)[:3], PathOptions(increments=5)
    strain = torch.cat([sample_paths(family, 4, 1, options)[0] for family in kinds])
    times = torch.linspace(0, 1, 6, dtype=torch.float64)
    stress, _ = J2(yield_stress=1.0, hardening_modulus=5.0).rollout(strain, times)
    noise = 0.2 * torch.randn(12, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    replicas = (stress[:, None] + noise).float()
    replicas[:, :, 0] = 0.0
    family, split = [name for name in kinds for _ in range(4)], ("train", "train", "valid", "test") * 3
    data = averaged("tiny", strain, times, replicas, family, split, "epsilon/sigma^3")
    path = tmp_path_factory.mktemp("data") / "tiny.h5"
    write_dataset(path, data)
    return path


@pytest.fixture(scope="session")
def tiny_dataset_in_mpa(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with stresses in MPa."""
    path = tmp_path_factory.mktemp("data") / "tiny.h5"
    write_dataset(path, replace(read_dataset(tiny_dataset), units="MPa"))
    return path


@pytest.fixture(scope="session")
def tiny_words(tiny_dataset: Path) -> list[str]:
    """Overrides of a PRNN of two J2 cells that trains for two epochs on the tiny dataset, without company."""
    return [
        "md=j2",
        "md.j2.count=2",
        f"dataset.path={tiny_dataset}",
        "dataset.n_train=4",
        "dataset.n_valid=null",
        "training.max_epochs=2",
        "callbacks=quiet",
        "logger=csv",
        "compare=[]",
        "hardware.threads=1",
    ]


@pytest.fixture
def tiny_config(tiny_words: list[str]) -> Callable[..., Config]:
    return lambda *words: checked_config([*tiny_words, *words])


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than tiny training; one run draws them all."""
    monkeypatch.setattr("prnn_md.app.model_run.draw_all", lambda *_: {})


@pytest.fixture(scope="session")
def finished_run(tiny_words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the tiny PRNN, with all figures, and of a tiny GRU beside it, without."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    words = [*tiny_words, "compare=['gru training.max_epochs=2 model.hidden=4']"]
    config = checked_config(words)

    def draw(place: Path, *data: Any) -> dict[str, Path]:
        return {} if "compare" in place.parts else draw_all(place, *data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prnn_md.app.model_run.draw_all", draw)
        run(config, comparisons(config), folder, words)
    return folder
