"""Libraries of cells: quenched microstructures that ship with the package as versioned HDF5 files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from prnn_md.files import replaced_when_done
from prnn_md.md.sample import Samples

SCHEMA_VERSION = 2  # 1 had particles of one type only
FOLDER = Path(__file__).with_name("libraries")


class LibraryError(ValueError):
    """A cell library is missing, damaged or of another kind than asked for."""


def shipped_libraries() -> list[str]:
    """Names of the libraries that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.h5"))


def library_path(name: str | Path) -> Path:
    """The file of a shipped library, by name, or of the user's own, by path."""
    path = FOLDER / f"{name}.h5"
    if path.exists():
        return path
    if Path(name).exists():
        return Path(name)
    raise LibraryError(f"No cell library '{name}': give a file, or one of {', '.join(shipped_libraries())}.")


def save_library(path: Path, samples: Samples, provenance: dict[str, Any]) -> None:
    """Write samples with their provenance; the file appears complete or not at all."""
    arrays = _arrays(samples)
    with replaced_when_done(path) as partial, h5py.File(partial, "w", track_order=True) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False)
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
        file.attrs["checksum"] = _checksum(arrays)


def library_checksum(name: str | Path) -> str:
    """Hash of the samples in a library, as its file says."""
    path = library_path(name)
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs["checksum"])
    except (OSError, KeyError) as error:
        raise LibraryError(f"{path} is not a readable cell library ({error}): fetch or build it again.") from error


def load_library(name: str | Path) -> tuple[Samples, dict[str, Any]]:
    """Samples and provenance of a library, after checking that the file is whole."""
    path = library_path(name)
    try:
        with h5py.File(path, "r") as file:
            version = int(file.attrs["schema_version"])
            provenance = json.loads(file.attrs["provenance"])
            checksum = str(file.attrs["checksum"])
            names = ("positions", "box", "bonds") + (("types",) if version > 1 else ())
            arrays = {name: file[name][()] for name in names}
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise LibraryError(f"{path} is not a readable cell library ({error}): fetch or build it again.") from error
    if version > SCHEMA_VERSION:
        raise LibraryError(
            f"{path} has schema version {version}; this version of prnn_md reads up to {SCHEMA_VERSION}."
        )
    if checksum != _checksum(arrays):
        raise LibraryError(f"{path} is damaged (its checksum does not match): fetch or build it again.")
    try:
        return Samples(*(torch.from_numpy(arrays[name]) for name in names)), provenance
    except ValueError as error:
        raise LibraryError(f"{path} holds no samples ({error}): fetch or build it again.") from error


def _arrays(samples: Samples) -> dict[str, np.ndarray]:
    return {
        "positions": samples.positions.numpy().astype("<f8"),
        "box": samples.box.numpy().astype("<f8"),
        "bonds": samples.bonds.numpy().astype("<i8"),
        "types": samples.types.numpy().astype("<i8"),
    }


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
