"""A small training problem: stresses of a plastic material along random paths, with a known label error."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from prnn_md.cell import Cell, State
from prnn_md.data.datamodule import EpochShuffle
from prnn_md.materials import J2
from prnn_md.surrogates import PRNN, AmplifiedRotationEncoder, HillMandelDecoder, RecurrentBaseline
from prnn_md.training.callbacks import BestCheckpoint
from prnn_md.training.module import SurrogateModule

SCALE = torch.full((6,), 0.8, dtype=torch.float64)
TIMES = torch.linspace(0, 1, 12, dtype=torch.float64)


class PlasticPaths(LightningDataModule):
    """Six paths to train, three to validate and three to test, in batches of four, shuffled by epoch."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        steps = torch.randn(12, 12, 6, generator=generator, dtype=torch.float64)
        self.strain = 0.01 * (steps.cumsum(1) - steps[:, :1])
        self.stress, _ = J2(youngs_modulus=40.0, yield_stress=1.0).rollout(self.strain, TIMES)

    def batch(self, rows: list[int]) -> dict[str, torch.Tensor]:
        error = torch.full((len(rows), 12, 6), 0.08, dtype=torch.float64)
        return {
            "strain": self.strain[rows],
            "stress": self.stress[rows],
            "standard_error": error,
            "index": torch.tensor(rows),
            "times": TIMES,
        }

    def train_dataloader(self) -> DataLoader:
        return DataLoader(range(6), batch_size=4, sampler=EpochShuffle(6, seed=1), collate_fn=self.batch)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(range(6, 9), batch_size=2, collate_fn=self.batch)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(range(9, 12), batch_size=4, collate_fn=self.batch)


class Fragile(J2):
    """Plastic, but paths whose largest strain exceeds `limit` have failed and give NaN, in gradients too."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def rollout(self, strains, times, state=None):
        stresses, _ = super().rollout(strains, times, state)
        failed = strains.norm(dim=-1).amax(-1) > self.limit
        return torch.where(failed, torch.nan, 1.0)[..., None, None] * stresses, State(failed)


def make_fragile_prnn(limit: float) -> PRNN:
    encoder = partial(AmplifiedRotationEncoder, noise=0.3)
    return PRNN(encoder, HillMandelDecoder, {"metal": Fragile(limit)}, seed=0)


def make_prnn() -> PRNN:
    encoder = partial(AmplifiedRotationEncoder, noise=0.3)
    return PRNN(encoder, HillMandelDecoder, {"metal": J2(count=2)}, seed=4)


def make_gru() -> RecurrentBaseline:
    cell = RecurrentBaseline("gru", hidden=6, layers=2, dropout=0.3, seed=4)
    cell.set_scales(PlasticPaths().strain[:6], SCALE, TIMES)
    return cell


class Noisy(RecurrentBaseline):
    """Draws its noise in training from torch's global generator, as the modules of other packages do."""

    def rollout(self, strains, times, state=None):
        stresses, state = super().rollout(strains, times, state)
        return torch.nn.functional.dropout(stresses, 0.3, self.training), state


def make_noisy() -> Noisy:
    cell = Noisy("gru", hidden=4, layers=1, dropout=0.0, seed=4)
    cell.set_scales(PlasticPaths().strain[:6], SCALE, TIMES)
    return cell


@pytest.fixture
def paths() -> PlasticPaths:
    return PlasticPaths()


@pytest.fixture
def fragile_prnn() -> Callable[[float], PRNN]:
    return make_fragile_prnn


@pytest.fixture
def make_cell() -> Callable[[str], Cell]:
    return lambda name: {"prnn": make_prnn, "gru": make_gru, "noisy": make_noisy}[name]()


@pytest.fixture
def make_module() -> Callable[..., SurrogateModule]:
    def make(cell: Cell, scheduler=None, learning_rate: float = 0.02, scale=SCALE, **options) -> SurrogateModule:
        return SurrogateModule(cell, partial(torch.optim.Adam, lr=learning_rate), scheduler, scale, **options)

    return make


@pytest.fixture
def make_trainer() -> Callable[..., Trainer]:
    def make(folder: Path, epochs: int, *callbacks, **options) -> Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        callbacks = [BestCheckpoint(folder), *callbacks]
        return Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks, **(quiet | options))

    return make
