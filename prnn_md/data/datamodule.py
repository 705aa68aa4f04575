"""The Lightning DataModule: which paths train, validate and test, and in which order they come."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler

from prnn_md.data.dataset import CHUNK, DatasetFile, StressStrainData
from prnn_md.data.editing import balanced_order
from prnn_md.data.prnn_text import PrnnTextFile
from prnn_md.data.resampling import beginning
from prnn_md.data.selection import Selection
from prnn_md.data.symmetry import SYMMETRIES, Symmetry, random_turns, turned
from prnn_md.data.verification import DatasetError

_TYPICAL = 8
"""Ways in which each path is turned for scales."""

Batch = dict[str, Tensor]
Read = Callable[[Sequence[int]], StressStrainData]

FORMATS: dict[str, type[DatasetFile] | type[PrnnTextFile]] = {"hdf5": DatasetFile, "prnn_text": PrnnTextFile}
"""What opens a file, by the name of its format."""


class PathDataModule(LightningDataModule):
    """Batches of strain and stress paths from a dataset file or a shipped dataset's name.

    `format` prnn_text reads the text format of published PRNN data instead, a fifth of whose paths validate and a fifth
    test, always the same.

    Training takes n_train paths, balanced over families in an order drawn from `seed`, so that fewer paths are always a
    subset of more: first those of the split train, then those of the pool. Validation takes the first n_valid of its
    split, balanced as well; the test is on all of its split. None takes all. With `families` only paths of these are
    there; training and validation may be kept to fewer families still, and to paths of some mean strain rates, by
    `train_families` and `train_rates`.

    Training labels are means over the first `n_replicas` replicas of each path, or over all if None or if there are
    fewer, with Gaussian noise of `noise` times the stress scale, drawn from `seed`, on all increments but the first;
    their standard errors are those of such labels. Training sees the first `train_increments` of its paths, or all.
    With a `symmetry` of the material, a training path is turned at random among the ways it allows whenever it is met.

    A batch holds strain, stress and standard_error (paths, T+1, 6), times (paths, T+1) and index (paths,), the place of
    each path in the dataset, and `turns` (paths, 6, 6) where they have been turned. `lazy` reads paths whenever they
    are wanted, for sets that are larger than memory. Raises DatasetError for a file that cannot be read, and ValueError
    for numbers that the pool cannot serve.
    """

    def __init__(
        self,
        path: str,
        n_train: int | None = None,
        n_valid: int | None = None,
        batch_size: int = 4,
        seed: int = 0,
        families: Sequence[str] | None = None,
        n_replicas: int | None = None,
        train_increments: int | None = None,
        noise: float = 0.0,
        lazy: bool = False,
        format: str = "hdf5",
        train_families: Sequence[str] | None = None,
        train_rates: Sequence[float] | None = None,
        symmetry: Symmetry | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if not noise >= 0.0:
            raise ValueError(f"noise, in units of the stress scale, must not be negative, got {noise}.")
        if n_replicas is not None and n_replicas < 1:
            raise ValueError(f"n_replicas must be at least 1, got {n_replicas}.")
        if format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, got '{format}'.")
        if symmetry not in (None, *SYMMETRIES):
            raise ValueError(f"symmetry must be null or one of {', '.join(SYMMETRIES)}, got '{symmetry}'.")
        self.dataset = FORMATS[format](path)
        self.dataset.verify()
        self.batch_size, self.seed, self.families = batch_size, seed, families
        self.n_replicas, self.train_increments, self.noise = n_replicas, train_increments, noise
        self.symmetry = symmetry
        if families is not None and not set(train_families or ()) <= set(families):
            raise ValueError(f"train_families must be among families, {', '.join(families)}; got {train_families}.")
        seen = Selection(train_families or families, train_rates)
        generator = torch.Generator().manual_seed(seed)
        self.train_indices = self._choose(("train", "pool"), seen, n_train, generator)
        self.valid_indices = self._choose(("valid",), seen, n_valid)
        self.test_indices = tuple(sorted(self._choose(("test",), Selection(families), None)))
        self._data = None if lazy else self.dataset.read()
        if train_increments is not None:
            beginning(self.paths(self.train_indices[:1]), train_increments)  # raises where there are fewer

    @property
    def file(self) -> Path:
        return self.dataset.path

    def _choose(
        self,
        splits: Sequence[str],
        selection: Selection,
        wanted: int | None,
        generator: torch.Generator | None = None,
    ) -> tuple[int, ...]:
        chosen = []
        for split in splits:
            chosen += balanced_order(selection.indices(self.dataset, split), self.dataset.family, generator)
        if not chosen:
            raise DatasetError(f"{self.file}: it has no {splits[0]} paths{_such(selection)}.")
        if wanted is not None and not 1 <= wanted <= len(chosen):
            most = f"{len(chosen)}, the paths in {self.file}"
            raise ValueError(f"n_{splits[0]} must be between 1 and {most}, got {wanted}.")
        return tuple(chosen[:wanted])

    def paths(self, indices: Sequence[int]) -> StressStrainData:
        """The paths with these places in the dataset."""
        return self.dataset.read(indices) if self._data is None else self._data.select(indices)

    def training_paths(self, indices: Sequence[int]) -> StressStrainData:
        """The same with the labels that training sees."""
        data = self.paths(indices)
        if self.n_replicas is not None:
            data = _over_first_replicas(data, self.n_replicas)
        if self.noise:
            added = self.noise * data.stress_scale
            stress = data.stress + added * torch.stack([self._noise(index, data.stress.shape[1:]) for index in indices])
            error = torch.hypot(data.standard_error, added.expand_as(data.standard_error))
            error[:, 0] = data.standard_error[:, 0]
            data = replace(data, stress=stress, standard_error=error)
        return data if self.train_increments is None else beginning(data, self.train_increments)

    def _noise(self, index: int, shape: torch.Size) -> Tensor:
        mixed = int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0])
        draw = torch.randn(shape, generator=torch.Generator().manual_seed(mixed), dtype=torch.float64)
        draw[0] = 0.0
        return draw

    @property
    def train_data(self) -> StressStrainData:
        return self.training_paths(self.train_indices)

    @property
    def valid_data(self) -> StressStrainData:
        return self.paths(self.valid_indices)

    @property
    def test_data(self) -> StressStrainData:
        return self.paths(self.test_indices)

    def training_chunks(self) -> Iterator[StressStrainData]:
        """The training paths, some at a time."""
        for begin in range(0, len(self.train_indices), CHUNK):
            yield self.training_paths(self.train_indices[begin : begin + CHUNK])

    def typical_strains(self) -> tuple[Tensor, Tensor]:
        """Strains (paths, T+1, 6) and times of training paths, balanced over families, as training meets them."""
        first = next(self.training_chunks())
        if self.symmetry is None:
            return first.strain, first.times
        turns = random_turns(self.symmetry, [(self.seed, item) for item in range(_TYPICAL * len(first.strain))])
        return first.strain.repeat(_TYPICAL, 1, 1) @ turns.mT, first.times.repeat(_TYPICAL, 1)

    @property
    def stress_scale(self) -> Tensor:
        """Standard deviation (6,) of each stress component over the whole training pool."""
        scale: Tensor = self.dataset.about["stress_scale"]
        return scale

    @property
    def units(self) -> str:
        """Name of the unit of stress."""
        return str(self.dataset.about["units"])

    @property
    def time_unit(self) -> str:
        """Name of the unit of time, empty where times only say what comes first."""
        return str(self.dataset.about["time_unit"])

    @property
    def stress_measure(self) -> str:
        return str(self.dataset.about["stress_measure"])

    def train_dataloader(self) -> DataLoader[Batch]:
        sampler = EpochShuffle(len(self.train_indices), self.seed)
        paths = _Paths(self.train_indices, self.training_paths, lambda batch: self._turned(batch, sampler.epoch))
        return self._loader(paths, sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(_Paths(self.valid_indices, self.paths))

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(_Paths(self.test_indices, self.paths))

    def _turned(self, batch: Batch, epoch: int) -> Batch:
        if self.symmetry is None:
            return batch
        seeds = [(self.seed, epoch, index) for index in batch["index"].tolist()]
        return turned(batch, random_turns(self.symmetry, seeds))

    def _loader(self, paths: "_Paths", sampler: Sampler[int] | None = None) -> DataLoader[Batch]:
        sampler = SequentialSampler(paths) if sampler is None else sampler
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        batches = SharedBatches(sampler, len(paths), self.batch_size, rank, world)
        return DataLoader(paths, batch_sampler=batches, collate_fn=_as_it_is)


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


class SharedBatches(Sampler[list[int]]):
    """Batches of the numbers of a sampler, of which `world` ranks take `batch_size` each, without any twice.

    A batch of all ranks is what a single process would take with a batch_size `world` times as large, and `rank`
    has every so many-th number of it. The last one may be smaller: then some ranks have a number less, or none.
    """

    def __init__(self, sampler: Sampler[int], count: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self.sampler = sampler  # Lightning looks for its epoch here
        self.count, self.size, self.rank, self.world = count, batch_size * world, rank, world

    def __len__(self) -> int:
        return -(-self.count // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        numbers = list(self.sampler)
        for start in range(0, self.count, self.size):
            yield numbers[start : start + self.size][self.rank :: self.world]


def _such(selection: Selection) -> str:
    """What the paths of a selection have in common, as the end of a message."""
    parts = {"of the families": selection.families, "at the rates": selection.rates}
    return "".join(f" {what} {', '.join(map(str, chosen))}" for what, chosen in parts.items() if chosen)


_PER_PATH = ("strain", "stress", "standard_error", "times")


def _over_first_replicas(data: StressStrainData, most: int) -> StressStrainData:
    """Means over at most so many replicas; of their errors the spread is that of all replicas of the path."""
    stress, error = data.stress.clone(), data.standard_error.clone()
    for path, count in enumerate(data.replica_count.tolist()):
        if count > most:
            stress[path] = data.replicas[path, :most].double().mean(0)
            error[path] *= (count / most) ** 0.5
    return replace(data, stress=stress, standard_error=error)


class _Paths(Dataset[Batch]):
    """Whole batches at a time, which lets a file be read in one go."""

    def __init__(self, indices: Sequence[int], read: Read, change: Callable[[Batch], Batch] | None = None) -> None:
        self.indices, self.read, self.change = indices, read, change

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, places: list[int]) -> Batch:
        chosen = [self.indices[place] for place in places]
        data = self.read(chosen or self.indices[:1])
        batch = {name: getattr(data, name) for name in _PER_PATH} | {"index": torch.tensor(chosen)}
        if not chosen:
            return {name: values[:0] for name, values in batch.items()}
        return batch if self.change is None else self.change(batch)


def _as_it_is(batch: Any) -> Any:
    return batch
