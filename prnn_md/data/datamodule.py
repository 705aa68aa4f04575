"""The Lightning DataModule: which paths train, validate and test, and in which order they come."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler

from prnn_md.data.dataset import DatasetError, StressStrainData, read_dataset, resolve

Batch = dict[str, Tensor]


class PathDataModule(LightningDataModule):
    """Batches of strain and stress paths from a dataset file or a shipped dataset's name.

    Training takes n_train paths of the train pool, balanced over families in an order drawn from `seed`, so
    that fewer paths are always a subset of more; validation takes the first n_valid of its split, balanced as
    well; the test is on all of its split. None takes all. A batch holds strain, stress and standard_error
    (paths, T+1, 6), index (paths,), the place of each path in the dataset, and times (T+1,). Raises DatasetError
    for a file that cannot be read, and ValueError for numbers that the pool cannot serve.
    """

    def __init__(
        self,
        path: str,
        n_train: int | None = None,
        n_valid: int | None = None,
        batch_size: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        self.file: Path = resolve(path)
        self.data = read_dataset(self.file)
        self.batch_size, self.seed = batch_size, seed
        generator = torch.Generator().manual_seed(seed)
        self.train_indices = self._choose("train", n_train, generator)
        self.valid_indices = self._choose("valid", n_valid)
        self.test_indices = tuple(sorted(self._choose("test", None)))

    def _choose(self, split: str, wanted: int | None, generator: torch.Generator | None = None) -> tuple[int, ...]:
        pool = self.data.indices(split)
        if not pool:
            raise DatasetError(f"{self.file}: it has no {split} paths.")
        if wanted is not None and not 1 <= wanted <= len(pool):
            raise ValueError(f"n_{split} must be between 1 and {len(pool)}, the paths in {self.file}, got {wanted}.")
        return tuple(balanced_order(pool, self.data.family, generator)[:wanted])

    @property
    def train_data(self) -> StressStrainData:
        return self.data.select(self.train_indices)

    @property
    def valid_data(self) -> StressStrainData:
        return self.data.select(self.valid_indices)

    @property
    def test_data(self) -> StressStrainData:
        return self.data.select(self.test_indices)

    @property
    def stress_scale(self) -> Tensor:
        """Standard deviation (6,) of each stress component over the whole training pool."""
        return self.data.stress_scale

    @property
    def units(self) -> str:
        """Name of the unit of stress."""
        return self.data.units

    @property
    def family_names(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.data.family)))

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.train_indices, EpochShuffle(len(self.train_indices), self.seed))

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.valid_indices)

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.test_indices)

    def _loader(self, indices: Sequence[int], sampler: Sampler[int] | None = None) -> DataLoader[Batch]:
        paths = _Paths(self.data, indices)
        sampler = SequentialSampler(paths) if sampler is None else sampler
        return DataLoader(paths, batch_size=self.batch_size, sampler=sampler, collate_fn=_collate)


class EpochShuffle(Sampler[int]):
    """Permutations of range(count) that depend on seed and epoch only, so that a restart meets the same.

    Lightning calls `set_epoch` before every epoch, and with the right epoch after a restart.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        mixed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
        yield from torch.randperm(self.count, generator=torch.Generator().manual_seed(mixed)).tolist()


def balanced_order(pool: Sequence[int], family: Sequence[str], generator: torch.Generator | None = None) -> list[int]:
    """The pool's indices, families by name in turns, each family shuffled by the generator if given."""
    queues = []
    for name in sorted({family[index] for index in pool}):
        members = [index for index in pool if family[index] == name]
        if generator is not None:
            members = [members[i] for i in torch.randperm(len(members), generator=generator).tolist()]
        queues.append(members)
    return [index for index in chain.from_iterable(zip_longest(*queues)) if index is not None]


_PER_PATH = ("strain", "stress", "standard_error")


class _Paths(Dataset[Batch]):
    def __init__(self, data: StressStrainData, indices: Sequence[int]) -> None:
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> Batch:
        index = self.indices[place]
        arrays = {name: getattr(self.data, name)[index] for name in _PER_PATH}
        return arrays | {"index": torch.tensor(index), "times": self.data.times}


def _collate(items: list[Batch]) -> Batch:
    stacked = {name: torch.stack([item[name] for item in items]) for name in (*_PER_PATH, "index")}
    return stacked | {"times": items[0]["times"]}
