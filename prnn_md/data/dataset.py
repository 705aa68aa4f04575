"""Datasets of strain and stress paths, in one HDF5 file each, verified when they are read and written."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from prnn_md.data.verification import CONVENTIONS, SPLITS, DatasetError, Twins, check_layout, verify
from prnn_md.files import replaced_when_done
from prnn_md.statistics import mean_and_standard_error, stress_scale

SCHEMA_VERSION = 2
SETS = Path(__file__).parent / "sets"
"""Folder of the datasets that ship with the package."""

CHUNK = 64
"""Paths that are read at once where not all are wanted in memory."""

ARRAYS = {
    "strain": "<f8",
    "stress": "<f8",
    "standard_error": "<f8",
    "replicas": "<f4",
    "replica_count": "<i8",
    "times": "<f8",
}
TEXTS = ("family", "split", "label_ids")
ATTRIBUTES = ("name", "units", "time_unit", "stress_measure")


@dataclass(frozen=True)
class StressStrainData:
    """Paths of Biot strain with the stress that answers them, averaged over replicas, in Mandel notation.

    strain, stress and standard_error (paths, T+1, 6), float64; times (paths, T+1); family and split name the kind and
    the use of each path. The first replica_count (paths,) of the replicas (paths, R, T+1, 6), float32, are there, the
    rest is NaN; label_ids names the labels of a store behind them, or is empty. A path without replicas is one whose
    stress has no noise. stress_scale (6,) is the standard deviation over the paths of train, over all paths of a set
    without any, or that of a set which this one belongs to. Stresses are in `units`, times in `time_unit`, which is
    empty where times only say what comes first.
    """

    name: str
    strain: Tensor
    stress: Tensor
    standard_error: Tensor
    replicas: Tensor
    replica_count: Tensor
    times: Tensor
    family: tuple[str, ...]
    split: tuple[str, ...]
    stress_scale: Tensor
    units: str
    label_ids: tuple[tuple[str, ...], ...]
    time_unit: str = ""
    stress_measure: str = "biot"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.strain)

    def indices(self, split: str) -> list[int]:
        """Indices of the paths of a split; ValueError for one that does not exist."""
        return indices_of(self.split, split)

    def select(self, which: str | Sequence[int]) -> "StressStrainData":
        """The paths of a split, or those with the given indices in the given order; the scale stays."""
        chosen = self.indices(which) if isinstance(which, str) else list(which)
        rows = torch.tensor(chosen, dtype=torch.long)
        parts: dict[str, Any] = {name: getattr(self, name)[rows] for name in ARRAYS}
        parts |= {name: tuple(getattr(self, name)[index] for index in chosen) for name in TEXTS}
        return replace(self, **parts)


def averaged(
    name: str,
    strain: Tensor,
    times: Tensor,
    replicas: Tensor,
    family: Sequence[str],
    split: Sequence[str],
    units: str,
    label_ids: Sequence[Sequence[str]] = (),
    time_unit: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> StressStrainData:
    """Data whose stresses are means over replicas (paths, R, T+1, 6), the last of which are NaN where a path has fewer.

    strain (paths, T+1, 6); times (T+1,) or (paths, T+1). Raises ValueError for a path with less than two replicas, or
    with NaN elsewhere, and where a component of the stress does not vary.
    """
    replicas = replicas.float()
    numbers = replicas.isfinite().sum((2, 3))
    count = (numbers > 0).sum(1)
    for path, (found, expected) in enumerate(zip(numbers.tolist(), count.tolist(), strict=True)):
        if found[:expected] != [replicas[0, 0].numel()] * expected:
            raise ValueError(f"Path {path}: its {expected} replicas must come first and have no NaN.")
    means = [mean_and_standard_error(rows[:number].double()) for rows, number in zip(replicas, count, strict=True)]
    stress, error = (torch.stack(parts) for parts in zip(*means, strict=True))
    return StressStrainData(
        name=name,
        strain=strain,
        stress=stress,
        standard_error=error,
        replicas=replicas,
        replica_count=count,
        times=times.expand(strain.shape[:2]).contiguous(),
        family=tuple(family),
        split=tuple(split),
        stress_scale=scale_of(stress, split),
        units=units,
        label_ids=tuple(tuple(ids) for ids in label_ids) or (("",) * replicas.shape[1],) * len(strain),
        time_unit=time_unit,
        provenance=provenance or {},
    )


def without_noise(
    name: str,
    strain: Tensor,
    times: Tensor,
    stress: Tensor,
    family: Sequence[str],
    split: Sequence[str],
    units: str,
    time_unit: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> StressStrainData:
    """Data whose stresses (paths, T+1, 6) are exact: there are no replicas, and the standard error is zero.

    strain (paths, T+1, 6), times (paths, T+1). Raises ValueError where a component of the stress does not vary.
    """
    return StressStrainData(
        name=name,
        strain=strain,
        stress=stress,
        standard_error=torch.zeros_like(stress),
        replicas=torch.zeros(len(stress), 0, *stress.shape[1:], dtype=torch.float32),
        replica_count=torch.zeros(len(stress), dtype=torch.int64),
        times=times,
        family=tuple(family),
        split=tuple(split),
        stress_scale=scale_of(stress, split),
        units=units,
        label_ids=((),) * len(stress),
        time_unit=time_unit,
        provenance=provenance or {},
    )


def scale_of(stress: Tensor, split: Sequence[str]) -> Tensor:
    """Stress scale (6,) of stresses (paths, T+1, 6): over the paths of train, or over all where there are none."""
    train = [use == "train" for use in split]
    return stress_scale(stress[train] if any(train) else stress)


def indices_of(splits: Sequence[str], split: str) -> list[int]:
    """Places of a split; ValueError for one that does not exist."""
    if split not in SPLITS:
        raise ValueError(f"The split must be one of {', '.join(SPLITS)}, got '{split}'.")
    return [index for index, name in enumerate(splits) if name == split]


def shipped_names() -> list[str]:
    """Names of the datasets that ship with the package."""
    return sorted(path.stem for path in SETS.glob("*.h5"))


def resolve(name_or_path: str | Path) -> Path:
    """The file of a shipped dataset's name or of a path; DatasetError with the choice where there is none."""
    names = shipped_names()
    if str(name_or_path) in names:
        return SETS / f"{name_or_path}.h5"
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    near = difflib.get_close_matches(path.stem, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise DatasetError(
        f"There is no dataset '{name_or_path}'.{hint} Give the path of an HDF5 file, "
        f"or a shipped name: {', '.join(names) or '(none)'}."
    )


class DatasetFile:
    """A dataset on disk: what it says of itself is at hand, and paths are read when they are asked for.

    Raises DatasetError, which names the file and the place in it, for what cannot be read.
    """

    def __init__(self, name_or_path: str | Path) -> None:
        self.path = resolve(name_or_path)
        with _named(self.path), h5py.File(self.path, "r") as file:
            check_layout(file, SCHEMA_VERSION, (*ARRAYS, *TEXTS, "stress_scale"), ATTRIBUTES)
            self.about: dict[str, Any] = {name: str(file.attrs[name]) for name in ATTRIBUTES}
            self.about["provenance"] = json.loads(file.attrs["provenance"])
            self.about["stress_scale"] = torch.from_numpy(np.asarray(file["stress_scale"][()], dtype="<f8"))
            self.checksum = str(file.attrs["checksum"])
            self.family, self.split = (tuple(file[name].asstr()[()].tolist()) for name in ("family", "split"))

    def __len__(self) -> int:
        return len(self.split)

    def read(self, rows: Sequence[int] | None = None) -> StressStrainData:
        """The paths with these indices, in this order, by default all."""
        wanted = np.arange(len(self)) if rows is None else np.asarray(rows, dtype=np.int64)
        order, back = np.unique(wanted, return_inverse=True)
        with _named(self.path), h5py.File(self.path, "r") as file:
            parts: dict[str, Any] = {
                name: torch.from_numpy(_rows(file[name], order).astype(kind)[back]) for name, kind in ARRAYS.items()
            }
            ids = _rows(file["label_ids"].asstr(), order)[back].tolist()
        parts["label_ids"] = tuple(tuple(names) for names in ids)
        parts["family"], parts["split"] = (tuple(np.array(t)[wanted].tolist()) for t in (self.family, self.split))
        return StressStrainData(**parts, **self.about)

    def chunks(self) -> Iterator[StressStrainData]:
        """All paths, some at a time."""
        for begin in range(0, len(self), CHUNK):
            yield self.read(range(begin, min(begin + CHUNK, len(self))))

    def verify(self) -> None:
        """Read all paths once, a few at a time; DatasetError for the first that is not as it should be."""
        digest, twins = _Digest(), Twins()
        with _named(self.path):
            for number, data in enumerate(self.chunks()):
                verify(data, first=number * CHUNK)
                twins.add(data.strain, data.times, data.split, first=number * CHUNK)
                digest.add(data)
            if digest.of(self.about) != self.checksum:
                raise DatasetError("the checksum does not match the contents: they were changed or damaged.")


def _rows(array: h5py.Dataset, order: np.ndarray) -> np.ndarray:
    """Rows of an array by their indices, which h5py does not take for one without any numbers."""
    return array[order] if array.size else np.empty((len(order), *array.shape[1:]))


def read_dataset(name_or_path: str | Path) -> StressStrainData:
    """Read and verify a dataset; DatasetError names the file, path and increment of what is wrong."""
    file = DatasetFile(name_or_path)
    file.verify()
    return file.read()


def write_dataset(path: str | Path, data: StressStrainData) -> None:
    """Verify a dataset and write it, whole or not at all. Raises DatasetError as `read_dataset` does."""
    try:
        verify(data)
        Twins().add(data.strain, data.times, data.split)
    except DatasetError as error:
        raise DatasetError(f"{path}: not written: {error}") from None
    with replaced_when_done(path) as temporary, h5py.File(temporary, "x") as file:
        for name, kind in {**ARRAYS, "stress_scale": "<f8"}.items():
            array = getattr(data, name).numpy().astype(kind)
            packed = {"compression": "gzip", "shuffle": True, "chunks": (1, *array.shape[1:])}
            file.create_dataset(name, data=array, **(packed if name == "replicas" and array.size else {}))
        for name in TEXTS:
            texts = np.array(getattr(data, name), dtype=object)
            file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        file.attrs.update(
            schema_version=SCHEMA_VERSION,
            provenance=json.dumps(data.provenance),
            checksum=checksum(data),
            **CONVENTIONS,
            **{name: getattr(data, name) for name in ATTRIBUTES},
        )


def checksum(data: StressStrainData) -> str:
    """SHA-256 over names, shapes and contents of all arrays, texts and attributes."""
    digest = _Digest()
    digest.add(data)
    return digest.of({field.name: getattr(data, field.name) for field in fields(data)})


class _Digest:
    """The checksum of paths that come in parts."""

    def __init__(self) -> None:
        self._parts = {name: hashlib.sha256() for name in (*ARRAYS, *TEXTS)}

        self._shapes: dict[str, tuple[int, ...]] = {}

    def add(self, data: StressStrainData) -> None:
        for name, kind in ARRAYS.items():
            array = np.ascontiguousarray(getattr(data, name).numpy().astype(kind))
            self._shapes[name] = array.shape[1:]
            self._parts[name].update(np.nan_to_num(array, nan=0.0).tobytes() if name == "replicas" else array.tobytes())
        for name in TEXTS:
            for text in getattr(data, name):
                self._parts[name].update(json.dumps(text).encode())

    def of(self, about: Mapping[str, Any]) -> str:
        digests = {name: digest.hexdigest() for name, digest in self._parts.items()}
        texts = {name: about[name] for name in (*ATTRIBUTES, "provenance")}
        scale = np.ascontiguousarray(about["stress_scale"].numpy().astype("<f8")).tobytes().hex()
        told = json.dumps([digests, self._shapes, texts, scale], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


class _named:
    """Errors in the block are DatasetErrors that name the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, DatasetError):
            text = str(error)
            raise DatasetError(text if text.startswith(f"{self.path}:") else f"{self.path}: {text}") from None
        if isinstance(error, OSError | RuntimeError | KeyError | TypeError | AttributeError | ValueError):
            raise DatasetError(f"{self.path}: not a readable HDF5 dataset (truncated or corrupt?): {error}") from error
