"""Which paths are chosen, and in which order they come, also across a restart of the training."""

import pickle
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor

from prnn_md.data.datamodule import Batch, EpochShuffle, PathDataModule, SharedBatches, _Paths
from prnn_md.data.dataset import StressStrainData, write_dataset
from prnn_md.data.verification import DatasetError

FAMILIES = ("random", "unloading", "nonproportional")
SPLIT = ("train",) * 12 + ("valid",) * 6 + ("test",) * 6


def write(path: Path, split: tuple[str, ...] = SPLIT) -> Path:
    """Every path's strains and stresses carry its own index; families come in blocks, or as a 6:3:3 mix."""
    count = len(split)
    number = torch.arange(count, dtype=torch.float64)[:, None, None].expand(count, 3, 6)
    strain = torch.cat([torch.zeros(count, 1, 6, dtype=torch.float64), (number[:, 1:] + 1.0) / 1000], 1)
    data = StressStrainData(
        name="numbered",
        strain=strain,
        stress=number,
        standard_error=torch.ones_like(number),
        replicas=torch.stack([number - 1.0, number + 1.0], 1).float(),
        replica_count=torch.full((count,), 2),
        times=torch.arange(3.0, dtype=torch.float64).expand(count, 3).contiguous(),
        family=tuple(FAMILIES[(0, 0, 1, 2)[index % 4]] for index in range(count)),
        split=split,
        stress_scale=torch.full((6,), 2.0, dtype=torch.float64),
        units="epsilon/sigma^3",
        label_ids=(("", ""),) * count,
    )
    write_dataset(path, data)
    return path


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write(tmp_path_factory.mktemp("data") / "numbered.h5"))


def families(module: PathDataModule, indices: tuple[int, ...]) -> Counter[str]:
    return Counter(module.dataset.family[index] for index in indices)


def numbers(batch: Batch) -> list[int]:
    return [int(value) for value in batch["stress"][:, 0, 0]]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fewer_training_paths_are_a_subset_of_more(numbered: str, seed: int) -> None:
    chosen = [PathDataModule(numbered, n_train=n, seed=seed).train_indices for n in (1, 4, 8, 12)]
    for fewer, more in pairwise(chosen):
        assert more[: len(fewer)] == fewer
    assert sorted(chosen[-1]) == list(range(12))


def test_training_paths_are_turned_anew_in_every_epoch_and_the_same_again_after_a_restart(numbered: str) -> None:
    modules = [PathDataModule(numbered, batch_size=5, symmetry=kind) for kind in (None, "isotropic", "isotropic")]

    def epoch(module: PathDataModule, number: int) -> dict[int, Tensor]:
        loader = module.train_dataloader()
        loader.batch_sampler.sampler.set_epoch(number)
        return {int(i): strain for batch in loader for i, strain in zip(batch["index"], batch["strain"], strict=True)}

    plain, first, again = (epoch(module, 3) for module in modules)
    later = epoch(modules[1], 4)
    for index, strain in first.items():
        assert torch.equal(strain, again[index])
        assert not torch.allclose(strain, later[index])
        torch.testing.assert_close(strain.norm(dim=-1), plain[index].norm(dim=-1))
    assert torch.equal(
        next(iter(modules[1].val_dataloader()))["strain"], next(iter(modules[0].val_dataloader()))["strain"]
    )
    with pytest.raises(ValueError, match="symmetry must be null or one of isotropic, about_x"):
        PathDataModule(numbered, symmetry="cubic")


def test_training_paths_are_balanced_over_families_while_the_pool_allows(numbered: str) -> None:
    module = PathDataModule(numbered, n_train=9)
    assert families(module, module.train_indices[:6]) == dict.fromkeys(FAMILIES, 2)
    assert families(module, module.train_indices) == dict.fromkeys(FAMILIES, 3)


def test_the_seed_chooses_training_paths_and_nothing_else(numbered: str) -> None:
    modules = [PathDataModule(numbered, n_train=4, n_valid=3, seed=seed) for seed in range(6)]
    assert len({module.train_indices for module in modules}) > 1
    assert len({module.valid_indices for module in modules}) == 1
    assert modules[0].train_indices == PathDataModule(numbered, n_train=4, seed=0).train_indices


def test_validation_is_balanced_and_the_test_is_whole(numbered: str) -> None:
    module = PathDataModule(numbered, n_valid=3)
    assert families(module, module.valid_indices) == dict.fromkeys(FAMILIES, 1)
    assert module.test_indices == tuple(range(18, 24))


def test_batches_hold_the_chosen_paths(numbered: str) -> None:
    module = PathDataModule(numbered, n_train=5, batch_size=2)
    batches = list(module.train_dataloader())
    assert sorted(index for batch in batches for index in numbers(batch)) == sorted(module.train_indices)
    assert [len(batch["strain"]) for batch in batches] == [2, 2, 1]
    for batch in batches:
        assert {name: tuple(value.shape[1:]) for name, value in batch.items()} == {
            "strain": (3, 6),
            "stress": (3, 6),
            "standard_error": (3, 6),
            "index": (),
            "times": (3,),
        }
        torch.testing.assert_close(batch["strain"][:, 1:] * 1000 - 1.0, batch["stress"][:, 1:])
        assert batch["strain"].dtype == torch.float64
        assert batch["index"].tolist() == numbers(batch)
        assert batch["index"].dtype == torch.int64
    assert [index for batch in module.test_dataloader() for index in numbers(batch)] == list(range(18, 24))
    assert [index for batch in module.val_dataloader() for index in numbers(batch)] == list(module.valid_indices)


def test_paths_of_the_pool_come_after_those_of_train(tmp_path: Path) -> None:
    path = write(tmp_path / "pooled.h5", split=("pool", "train", "pool", "train", "valid", "test"))
    assert sorted(PathDataModule(str(path), n_train=2).train_indices) == [1, 3]
    assert sorted(PathDataModule(str(path), n_train=3).train_indices[:2]) == [1, 3]
    assert sorted(PathDataModule(str(path)).train_indices) == [0, 1, 2, 3]


def test_only_the_families_that_are_asked_for_are_there(numbered: str) -> None:
    module = PathDataModule(numbered, families=["random", "unloading"])
    for indices in (module.train_indices, module.valid_indices, module.test_indices):
        assert set(families(module, indices)) == {"random", "unloading"}
    with pytest.raises(ValueError, match=r"numbered\.h5 has no paths of 'spiral', but of nonproportional, random"):
        PathDataModule(numbered, families=["spiral"])


def test_training_and_validation_may_see_fewer_families_than_the_test(numbered: str) -> None:
    module = PathDataModule(numbered, train_families=["random"])
    for indices in (module.train_indices, module.valid_indices):
        assert set(families(module, indices)) == {"random"}
    assert set(families(module, module.test_indices)) == set(FAMILIES)
    with pytest.raises(ValueError, match=r"train_families must be among families, unloading; got \['random'\]"):
        PathDataModule(numbered, families=["unloading"], train_families=["random"])


def test_training_may_be_kept_to_some_strain_rates(numbered: str) -> None:
    rates = [6**0.5 * (index + 1) / 2000 for index in (2, 5, 13)]
    module = PathDataModule(numbered, train_rates=rates)
    assert sorted(module.train_indices) == [2, 5]
    assert module.valid_indices == (13,)
    assert module.test_indices == tuple(range(18, 24))
    with pytest.raises(ValueError, match=r"numbered\.h5 has no paths at 7; the nearest are 0\.0294, 0\.0282, 0\.0269"):
        PathDataModule(numbered, train_rates=[7.0])
    with pytest.raises(DatasetError, match=r"it has no valid paths at the rates 0\.0012247"):
        PathDataModule(numbered, train_rates=[6**0.5 / 2000])


def test_training_labels_may_be_means_over_fewer_replicas(tmp_path: Path) -> None:
    file = write(tmp_path / "few.h5")
    module = PathDataModule(str(file), n_replicas=2)
    torch.testing.assert_close(module.train_data.stress, module.paths(module.train_indices).stress)
    one = PathDataModule(str(file), n_replicas=1)
    torch.testing.assert_close(one.train_data.stress, one.paths(one.train_indices).stress - 1.0)
    torch.testing.assert_close(one.valid_data.stress, module.valid_data.stress)
    torch.testing.assert_close(one.train_data.standard_error, 2**0.5 * one.paths(one.train_indices).standard_error)
    assert torch.equal(PathDataModule(str(file), n_replicas=9).train_data.stress, module.train_data.stress)


def test_training_may_see_the_beginnings_of_its_paths(numbered: str) -> None:
    module, whole = PathDataModule(numbered, train_increments=2), PathDataModule(numbered)
    batch, all_of_it = (next(iter(each.train_dataloader())) for each in (module, whole))
    for name in ("strain", "stress", "standard_error", "times"):
        assert torch.equal(batch[name], all_of_it[name][:, :3])
    assert torch.equal(module.valid_data.stress, whole.valid_data.stress)
    assert torch.equal(module.stress_scale, whole.stress_scale)
    with pytest.raises(ValueError, match="train_increments must be between 1 and .* got 1000"):
        PathDataModule(numbered, train_increments=1000)


def test_noise_is_drawn_for_each_training_path_from_the_seed(numbered: str) -> None:
    module = PathDataModule(numbered, noise=0.1)
    noise = (module.train_data.stress - module.paths(module.train_indices).stress) / module.stress_scale
    assert not noise[:, 0].any()
    assert 0.08 < float(noise[:, 1:].std()) < 0.12
    assert torch.equal(module.train_data.stress, PathDataModule(numbered, noise=0.1).train_data.stress)
    error, before = module.train_data.standard_error, module.paths(module.train_indices).standard_error
    torch.testing.assert_close(error[:, 1:].square(), before[:, 1:].square() + (0.1 * module.stress_scale).square())
    fewer = PathDataModule(numbered, n_train=3, noise=0.1)
    assert torch.equal(fewer.train_data.stress, module.train_data.stress[:3])
    assert torch.equal(module.test_data.stress, PathDataModule(numbered).test_data.stress)
    batch = next(iter(PathDataModule(numbered, n_train=1, noise=0.1).train_dataloader()))
    torch.testing.assert_close(batch["stress"][0], module.train_data.stress[0])


def test_a_module_can_be_sent_to_another_process(numbered: str) -> None:
    for lazy in (False, True):
        module = pickle.loads(pickle.dumps(PathDataModule(numbered, lazy=lazy)))
        assert len(module.train_data) == 12


def test_lazy_reading_gives_the_same_batches(numbered: str) -> None:
    eager, lazy = (PathDataModule(numbered, batch_size=5, lazy=lazy) for lazy in (False, True))
    for one, other in zip(eager.train_dataloader(), lazy.train_dataloader(), strict=True):
        for name, values in one.items():
            assert torch.equal(values, other[name])
    assert torch.equal(eager.valid_data.stress, lazy.valid_data.stress)


def test_properties_describe_the_data(numbered: str) -> None:
    module = PathDataModule(numbered, n_train=2)
    assert module.stress_scale.tolist() == [2.0] * 6
    assert module.units == "epsilon/sigma^3"
    assert module.train_data.stress[:, 0, 0].tolist() == list(module.train_indices)
    assert len(module.valid_data) == len(module.test_data) == 6


def test_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochShuffle(20, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    torch.manual_seed(1)
    first = order(0, 3)
    torch.manual_seed(2)
    assert order(0, 3) == first
    assert sorted(first) == list(range(20))
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize(("count", "size", "world"), [(12, 4, 1), (12, 2, 2), (5, 2, 2), (7, 2, 3), (1, 4, 2)])
def test_ranks_share_the_batches_of_one_process(count: int, size: int, world: int) -> None:
    """All take part in every batch, the last of which may have nothing for some; no number comes twice."""
    shuffle = EpochShuffle(count, seed=3)
    shuffle.set_epoch(2)
    whole = list(SharedBatches(shuffle, count, size * world))
    shares = [list(SharedBatches(shuffle, count, size, rank, world)) for rank in range(world)]
    assert [sorted(number for share in batch for number in share) for batch in zip(*shares, strict=True)] == [
        sorted(batch) for batch in whole
    ]
    assert sorted(number for batch in whole for number in batch) == list(range(count))
    for batch in zip(*shares, strict=True):
        assert max(map(len, batch)) - min(map(len, batch)) <= 1
    assert len(SharedBatches(shuffle, count, size, 0, world)) == len(whole) == len(shares[0])


def test_a_share_may_be_empty(numbered: str) -> None:
    module = PathDataModule(numbered, n_train=1)
    batch = _Paths(module.train_indices, module.training_paths).__getitems__([])
    assert {name: len(values) for name, values in batch.items()} == dict.fromkeys(
        ("strain", "stress", "standard_error", "times", "index"), 0
    )


class Recorder(lightning.LightningModule):
    """Notes which paths came in which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.seen: list[tuple[int, list[int]]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        self.seen.append((self.current_epoch, numbers(batch)))
        return (self.weight - batch["stress"].mean()).square()

    def validation_step(self, batch: Batch, index: int) -> None:
        """Validation between epochs must not disturb the order of the training."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(path: str, epochs: int, resume: Path | None = None, save: Path | None = None) -> Recorder:
    options: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=epochs, enable_model_summary=False, log_every_n_steps=1, **options
    )
    module = Recorder()
    trainer.fit(module, datamodule=PathDataModule(path, batch_size=5, seed=3), ckpt_path=resume, weights_only=True)
    if save is not None:
        trainer.save_checkpoint(save)
    return module


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec")
def test_a_restart_meets_the_same_batches_as_an_uninterrupted_run(numbered: str, tmp_path: Path) -> None:
    whole = fit(numbered, 4)
    first = fit(numbered, 2, save=tmp_path / "two.ckpt")
    second = fit(numbered, 4, resume=tmp_path / "two.ckpt")
    assert first.seen + second.seen == whole.seen
    assert [epoch for epoch, _ in second.seen] == [2, 2, 2, 3, 3, 3]
    assert whole.seen[0][1] != whole.seen[3][1]
    assert second.weight.item() == whole.weight.item()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_train": 13}, "n_train must be between 1 and 12, the paths in .*numbered.h5, got 13"),
        ({"n_train": 0}, "n_train must be between 1 and 12"),
        ({"n_valid": 7}, "n_valid must be between 1 and 6"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"n_replicas": 0}, "n_replicas must be at least 1"),
        ({"noise": -0.1}, "noise, in units of the stress scale, must not be negative"),
    ],
)
def test_impossible_numbers_are_refused(numbered: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PathDataModule(numbered, **options)


def test_a_dataset_without_a_split_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "no_test.h5", split=("train", "valid"))
    with pytest.raises(DatasetError, match=r"no_test\.h5: it has no test paths"):
        PathDataModule(str(path))


def test_published_text_is_a_format_of_its_own(write_prnn_text: Callable[..., Any], tmp_path: Path) -> None:
    _, stress, times = write_prnn_text(tmp_path / "made.data", 10)
    module = PathDataModule(str(tmp_path / "made.data"), n_train=2, n_valid=1, seed=3, format="prnn_text")
    assert [len(part) for part in (module.train_indices, module.valid_indices, module.test_indices)] == [2, 1, 2]
    assert (module.units, module.stress_measure, module.file) == ("MPa", "biot", tmp_path / "made.data")
    torch.testing.assert_close(module.test_data.stress, stress[list(module.test_indices)], rtol=0, atol=1e-5)
    (batch,) = module.test_dataloader()
    torch.testing.assert_close(batch["times"], times[batch["index"]], rtol=0, atol=1e-6)
    other = PathDataModule(str(tmp_path / "made.data"), seed=4, format="prnn_text")
    assert other.test_indices == module.test_indices
    scale = module.dataset.read([i for i, use in enumerate(module.dataset.split) if use == "train"]).stress
    torch.testing.assert_close(module.stress_scale, scale.flatten(0, 1).std(0, correction=0))


def test_an_unknown_format_is_refused(numbered: str) -> None:
    with pytest.raises(ValueError, match="format must be one of hdf5, prnn_text, got 'netcdf'"):
        PathDataModule(numbered, format="netcdf")
