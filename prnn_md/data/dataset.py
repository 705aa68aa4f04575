"""Datasets of strain and stress paths, in one HDF5 file each, verified when they are read and written."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from prnn_md.files import replaced_when_done
from prnn_md.mechanics import COMPONENTS, least_stretch

SCHEMA_VERSION = 1
SPLITS = ("train", "valid", "test")
SETS = Path(__file__).parent / "sets"
"""Folder of the datasets that ship with the package."""

_ARRAYS = {
    "strain": "<f8",
    "stress": "<f8",
    "standard_error": "<f8",
    "replicas": "<f4",
    "times": "<f8",
    "stress_scale": "<f8",
}
_PER_PATH = ("strain", "stress", "standard_error", "replicas")
_LABELS = ("family", "split")
_ATTRIBUTES = ("schema_version", "name", "units", "stress_measure", "components", "provenance", "checksum")


class DatasetError(ValueError):
    """A dataset that cannot be found, read or trusted; the message names the file and the place in it."""


@dataclass(frozen=True)
class StressStrainData:
    """Paths of Biot strain with the stress that answers them, averaged over replicas, in Mandel notation.

    strain, stress and standard_error (paths, T+1, 6), float64; replicas (paths, R, T+1, 6), float32; times
    (T+1,); stress_scale (6,), the standard deviation over the training pool; family and split name the kind
    and the use of each path. Stresses are in `units`.
    """

    name: str
    strain: Tensor
    stress: Tensor
    standard_error: Tensor
    replicas: Tensor
    times: Tensor
    family: tuple[str, ...]
    split: tuple[str, ...]
    stress_scale: Tensor
    units: str
    stress_measure: str = "biot"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.strain)

    def indices(self, split: str) -> list[int]:
        """Indices of the paths of a split; ValueError for one that does not exist."""
        if split not in SPLITS:
            raise ValueError(f"The split must be one of {', '.join(SPLITS)}, got '{split}'.")
        return [index for index, name in enumerate(self.split) if name == split]

    def select(self, which: str | Sequence[int]) -> "StressStrainData":
        """The paths of a split, or those with the given indices in the given order; the scale stays."""
        chosen = self.indices(which) if isinstance(which, str) else list(which)
        rows = torch.tensor(chosen, dtype=torch.long)
        parts: dict[str, Any] = {name: getattr(self, name)[rows] for name in _PER_PATH}
        parts |= {name: tuple(getattr(self, name)[index] for index in chosen) for name in _LABELS}
        return replace(self, **parts)


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


def read_dataset(name_or_path: str | Path) -> StressStrainData:
    """Read and verify a dataset; DatasetError names the file, path and increment of what is wrong."""
    path = resolve(name_or_path)
    try:
        with h5py.File(path, "r") as file:
            _check_layout(file)
            attributes = dict(file.attrs)
            parts: dict[str, Any] = {name: _tensor(file[name], kind) for name, kind in _ARRAYS.items()}
            parts |= {name: tuple(file[name].asstr()[()].tolist()) for name in _LABELS}
        parts |= {name: str(attributes[name]) for name in ("name", "units", "stress_measure")}
        data = StressStrainData(**parts, provenance=json.loads(attributes["provenance"]))
        _verify(data)
        if checksum(data) != attributes["checksum"]:
            raise DatasetError("the checksum does not match the arrays: they were changed or damaged.")
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable HDF5 dataset (truncated or corrupt?): {error}") from error
    return data


def write_dataset(path: str | Path, data: StressStrainData) -> None:
    """Verify a dataset and write it, whole or not at all. Raises DatasetError as `read_dataset` does."""
    try:
        _verify(data)
    except DatasetError as error:
        raise DatasetError(f"{path}: not written: {error}") from None
    with replaced_when_done(path) as temporary, h5py.File(temporary, "x") as file:
        for name, kind in _ARRAYS.items():
            options = {"compression": "gzip", "shuffle": True} if name == "replicas" else {}
            file.create_dataset(name, data=getattr(data, name).numpy().astype(kind), **options)
        for name in _LABELS:
            file.create_dataset(name, data=list(getattr(data, name)), dtype=h5py.string_dtype())
        file.attrs.update(
            schema_version=SCHEMA_VERSION,
            name=data.name,
            units=data.units,
            stress_measure=data.stress_measure,
            components=",".join(COMPONENTS),
            provenance=json.dumps(data.provenance),
            checksum=checksum(data),
        )


def checksum(data: StressStrainData) -> str:
    """SHA-256 over names, shapes and contents of all arrays, the labels among them."""
    digest = hashlib.sha256()
    for name, kind in _ARRAYS.items():
        array = np.ascontiguousarray(getattr(data, name).numpy().astype(kind))
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.tobytes())
    for name in _LABELS:
        digest.update(json.dumps([name, *getattr(data, name)]).encode())
    return digest.hexdigest()


def _tensor(array: h5py.Dataset, kind: str) -> Tensor:
    return torch.from_numpy(np.asarray(array[()], dtype=kind))


def _check_layout(file: h5py.File) -> None:
    version = file.attrs.get("schema_version")
    if version is None or int(version) != SCHEMA_VERSION:
        found = "missing" if version is None else version
        raise DatasetError(f"the schema version is {found}; this prnn_md reads version {SCHEMA_VERSION}.")
    missing = [f"/{name}" for name in (*_ARRAYS, *_LABELS) if name not in file]
    missing += [f"attribute {name}" for name in _ATTRIBUTES if name not in file.attrs]
    if missing:
        raise DatasetError(f"missing: {', '.join(missing)}.")
    components = ",".join(COMPONENTS)
    if file.attrs["components"] != components:
        raise DatasetError(f"the components must be '{components}', got '{file.attrs['components']}'.")


def _verify(data: StressStrainData) -> None:
    _verify_shapes(data)
    for name in _ARRAYS:
        _verify_finite(name, getattr(data, name))
    if data.stress_measure != "biot":
        raise DatasetError(f"the stress measure must be 'biot', got '{data.stress_measure}'.")
    unknown = sorted(set(data.split) - set(SPLITS))
    if unknown:
        raise DatasetError(f"/split must hold {', '.join(SPLITS)}, got '{unknown[0]}'.")
    for path in data.strain[:, 0].ne(0).any(-1).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f"/strain, path {path}, increment 0: it must be at zero strain.")
    stretches = least_stretch(data.strain)
    for path, increment in stretches.le(0).nonzero().tolist()[:1]:
        least = stretches[path, increment].item()
        raise DatasetError(f"/strain, path {path}, increment {increment}: I + E has principal value {least:.3g} <= 0.")
    for increment in data.times.diff().le(0).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f"/times must increase, which it does not at increment {increment + 1}.")
    for component in data.stress_scale.le(0).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f"/stress_scale must be positive, which it is not for {COMPONENTS[component]}.")
    for path, increment, _ in data.standard_error.lt(0).nonzero().tolist()[:1]:
        raise DatasetError(f"/standard_error, path {path}, increment {increment}: it must not be negative.")


def _verify_shapes(data: StressStrainData) -> None:
    if data.strain.dim() != 3 or data.strain.shape[1] < 2 or data.strain.shape[2] != 6:
        raise DatasetError(f"/strain must be (paths, T+1, 6) with T > 0, got {tuple(data.strain.shape)}.")
    paths, points, _ = data.strain.shape
    replicas = data.replicas.shape[1] if data.replicas.dim() > 1 else 0
    expected: dict[str, tuple[int, ...]] = {
        "stress": (paths, points, 6),
        "standard_error": (paths, points, 6),
        "replicas": (paths, replicas, points, 6),
        "times": (points,),
        "stress_scale": (6,),
    }
    for name, shape in expected.items():
        got = tuple(getattr(data, name).shape)
        if got != shape:
            raise DatasetError(f"/{name} has the shape {got}, where /strain asks for {shape}.")
    if replicas < 2:
        raise DatasetError(f"/replicas holds {replicas} per path, and a standard error needs at least 2.")
    for name in _LABELS:
        if len(getattr(data, name)) != paths:
            raise DatasetError(f"/{name} has {len(getattr(data, name))} entries for {paths} paths.")


def _verify_finite(name: str, values: Tensor) -> None:
    """DatasetError for the first NaN or inf, with path and increment where the array has them."""
    places = (~values.isfinite()).nonzero()
    if not len(places):
        return
    dimensions = {1: ("index",), 3: ("path", "increment"), 4: ("path", "replica", "increment")}[values.dim()]
    place = ", ".join(f"{what} {index}" for what, index in zip(dimensions, places[0].tolist(), strict=False))
    raise DatasetError(f"/{name}, {place}: {values[tuple(places[0])].item()} is not a finite number.")
