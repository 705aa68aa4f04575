"""What must hold for every dataset, with an error that names the place where it does not."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import h5py
import torch
from torch import Tensor

from prnn_md.mechanics import COMPONENTS, LJ, MPA, least_stretch
from prnn_md.statistics import mean_and_standard_error

if TYPE_CHECKING:
    from prnn_md.data.dataset import StressStrainData

SPLITS = ("train", "pool", "valid", "test")
"""Uses of a path; the pool holds further training paths, often with noisier labels, taken after those of train."""

CONVENTIONS = {
    "components": ",".join(COMPONENTS),
    "notation": "mandel",  # shear components are times sqrt(2)
    "strain_measure": "biot",  # U - I, in the frame that is rotated back
    "tension": "positive",
}
"""Attributes of every file, by which others can read it."""

UNITS = (LJ.stress, MPA.stress)
TIME_UNITS = ("", "tau", "fs", "s")
_TEXTS = ("family", "split", "label_ids")
_FINITE = ("strain", "stress", "standard_error", "times", "stress_scale")


class DatasetError(ValueError):
    """A dataset that cannot be found, read or trusted; the message names the file and the place in it."""


def check_layout(file: h5py.File, version: int, arrays: Sequence[str], attributes: Sequence[str]) -> None:
    """DatasetError unless the file has the arrays and attributes of this version of the schema."""
    found = file.attrs.get("schema_version")
    if found is None or int(found) != version:
        found = "missing" if found is None else found
        raise DatasetError(f"the schema version is {found}; this prnn_md reads version {version}.")
    missing = [f"/{name}" for name in arrays if name not in file]
    named = (*attributes, *CONVENTIONS, "provenance", "checksum")
    missing += [f"attribute {name}" for name in named if name not in file.attrs]
    if missing:
        raise DatasetError(f"missing: {', '.join(missing)}.")
    for name in _TEXTS:
        if len(file[name]) != len(file["strain"]):
            raise DatasetError(f"/{name} has {len(file[name])} entries for {len(file['strain'])} paths.")
    for name, value in CONVENTIONS.items():
        if file.attrs[name] != value:
            raise DatasetError(f"the {name.replace('_', ' ')} must be '{value}', got '{file.attrs[name]}'.")


def verify(data: "StressStrainData", first: int = 0) -> None:
    """DatasetError for the first fault in the paths, which are numbered from `first`."""
    _verify_shapes(data)
    for name in _FINITE:
        _verify_finite(name, getattr(data, name), first)
    for what, value, allowed in (
        ("unit of stress", data.units, UNITS),
        ("unit of time", data.time_unit, TIME_UNITS),
        ("stress measure", data.stress_measure, ("biot",)),
    ):
        if value not in allowed:
            names = ", ".join(f"'{name}'" for name in allowed)
            raise DatasetError(f"the {what} must be {names}, got '{value}'.")
    unknown = sorted(set(data.split) - set(SPLITS))
    if unknown:
        raise DatasetError(f"/split must hold {', '.join(SPLITS)}, got '{unknown[0]}'.")
    for path in data.strain[:, 0].ne(0).any(-1).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f"/strain, path {first + path}, increment 0: it must be at zero strain.")
    stretches = least_stretch(data.strain)
    for path, increment in stretches.le(0).nonzero().tolist()[:1]:
        least, place = stretches[path, increment].item(), f"/strain, path {first + path}, increment {increment}"
        raise DatasetError(f"{place}: I + E has principal value {least:.3g} <= 0.")
    for path, increment in data.times.diff(dim=1).le(0).nonzero().tolist()[:1]:
        raise DatasetError(f"/times, path {first + path}: they must increase, but not at increment {increment + 1}.")
    for component in data.stress_scale.le(0).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f"/stress_scale must be positive, which it is not for {COMPONENTS[component]}.")
    for path, increment, _ in data.standard_error.lt(0).nonzero().tolist()[:1]:
        raise DatasetError(f"/standard_error, path {first + path}, increment {increment}: it must not be negative.")
    for path in range(len(data)):
        _verify_replicas(data, path, f"path {first + path}")


class Twins:
    """Finds paths that are in a dataset twice, which would let a model be tested on what it was trained on."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, str]] = {}

    def add(self, strain: Tensor, times: Tensor, splits: Sequence[str], first: int = 0) -> None:
        """DatasetError for one of the paths (paths, T+1, 6), numbered from `first`, that was there before."""
        paths = torch.cat([strain.flatten(1), times], 1).mul(1e9).round() + 0.0
        for index, (row, split) in enumerate(zip(paths, splits, strict=True), start=first):
            digest = hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest()
            before, other = self._seen.setdefault(digest, (index, split))
            if before == index:
                continue
            if other == split:
                raise DatasetError(f"/strain: paths {before} and {index} are the same.")
            raise DatasetError(f"/strain: {other} and {split} overlap, paths {before} and {index} are the same.")


def _verify_shapes(data: "StressStrainData") -> None:
    if data.strain.dim() != 3 or data.strain.shape[1] < 2 or data.strain.shape[2] != 6:
        raise DatasetError(f"/strain must be (paths, T+1, 6) with T > 0, got {tuple(data.strain.shape)}.")
    paths, points, _ = data.strain.shape
    replicas = data.replicas.shape[1] if data.replicas.dim() > 1 else 0
    expected: dict[str, tuple[int, ...]] = {
        "stress": (paths, points, 6),
        "standard_error": (paths, points, 6),
        "replicas": (paths, replicas, points, 6),
        "replica_count": (paths,),
        "times": (paths, points),
        "stress_scale": (6,),
    }
    for name, shape in expected.items():
        got = tuple(getattr(data, name).shape)
        if got != shape:
            raise DatasetError(f"/{name} has the shape {got}, where /strain asks for {shape}.")
    for name in _TEXTS:
        if len(getattr(data, name)) != paths:
            raise DatasetError(f"/{name} has {len(getattr(data, name))} entries for {paths} paths.")
    for path, ids in enumerate(data.label_ids):
        if len(ids) != replicas:
            raise DatasetError(f"/label_ids, path {path}: {len(ids)} of them for {replicas} replicas.")


def _verify_finite(name: str, values: Tensor, first: int) -> None:
    """DatasetError for the first NaN or inf, with path and increment where the array has them."""
    places = (~values.isfinite()).nonzero()
    if not len(places):
        return
    place = ", ".join(f"{what} {index}" for what, index in zip(("path", "increment"), places[0].tolist(), strict=False))
    if name == "stress_scale":
        place = f"component {COMPONENTS[int(places[0, 0])]}"
    else:
        place = place.replace(f"path {int(places[0, 0])}", f"path {first + int(places[0, 0])}", 1)
    raise DatasetError(f"/{name}, {place}: {values[tuple(places[0])].item()} is not a finite number.")


def _verify_replicas(data: "StressStrainData", path: int, place: str) -> None:
    """DatasetError unless the stress is the mean of as many replicas as there should be."""
    count, replicas = int(data.replica_count[path]), data.replicas[path]
    if count < 0 or count > len(replicas) or count == 1:
        most = f"none, or 2 to {len(replicas)}, since one says nothing of its error"
        raise DatasetError(f"/replica_count, {place}: it must be {most}; got {count}.")
    for replica, values in enumerate(replicas):
        missing = ~values.isfinite()
        if replica < count and bool(missing.any()):
            increment = int(missing.nonzero()[0, 0])
            what = "is missing" if bool(missing.all()) else f"has no finite number at increment {increment}"
            raise DatasetError(f"/replicas, {place}: replica {replica} of {count} {what}.")
        if replica >= count and not bool(missing.all()):
            raise DatasetError(f"/replicas, {place}: there is a replica {replica}, of {count} from 0 on.")
    if not count:
        return
    mean, error = mean_and_standard_error(replicas[:count].double())
    tolerance = 1e-5 * (data.stress_scale + replicas[:count].abs().amax())
    for name, expected in (("stress", mean), ("standard_error", error)):
        apart = (getattr(data, name)[path] - expected).abs() > tolerance
        if bool(apart.any()):
            increment = int(apart.nonzero()[0, 0])
            raise DatasetError(f"/{name}, {place}, increment {increment}: it is not that of the {count} replicas.")
