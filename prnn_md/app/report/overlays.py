"""Stresses along test paths, for drawing some runs over the labels: some paths, coarsely stored, labels once.

Numbers are stored as whole numbers of 16 bits in base64, with the step that they count.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from prnn_md.app.records import RecordError
from prnn_md.app.report.runs import Run
from prnn_md.mechanics import COMPONENTS, mandel_weights

MOST_PATHS = 12
MOST_POINTS = 121
"""Of a path; longer ones are shown at evenly spaced increments."""

Array = NDArray[np.float64]

_FAILED = -(2**15)
_LARGEST = 2**15 - 1
_BYTES_OF_ALL = 3_000_000
_WEIGHTS = mandel_weights(torch.zeros(0, dtype=torch.float64)).numpy()


def overlays(runs: Sequence[Run]) -> dict[str, Any]:
    """Components, "sets" (the test paths with their labels), and of every run with predictions its set and stresses.

    Stresses and strains are tensor components; failed paths are null in the page. The more runs, the fewer paths.
    """
    with_predictions = [run for run in runs if (run.record.folder / "predictions.h5").is_file()]
    sets: dict[str, dict[str, Any]] = {}
    found = {}
    for run in with_predictions:
        name, answer = _read(run.record.folder / "predictions.h5", len(with_predictions), sets)
        found[run.number] = {"set": list(sets).index(name), "trained": answer}
    return {"components": COMPONENTS, "failed": _FAILED, "sets": list(sets.values()), "runs": found}


def _read(path: Path, models: int, sets: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Digest of the labels, which are added to the sets where they are new, and the packed predictions."""
    try:
        with h5py.File(path, "r") as file:
            content = {name: file[name][()] for name in ("paths", "times", "strain", "stress", "standard_error")}
            digest = hashlib.sha256(b"".join(array.tobytes() for array in content.values())).hexdigest()
            family = file["family"].asstr()[()].tolist()
            chosen = _chosen(family, _paths_of_a_run(models, content["stress"].shape[1]))
            if digest not in sets:
                sets[digest] = _labels(content, family, chosen, str(file.attrs["units"]))
            return digest, packed(_components(file["trained"][()], chosen))
    except (OSError, KeyError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error


def _labels(content: dict[str, Any], family: list[str], chosen: list[int], units: str) -> dict[str, Any]:
    increments = _shown(content["stress"].shape[1])
    return {
        "units": units,
        "paths": [{"number": int(content["paths"][i]), "family": family[i].replace("_", " ")} for i in chosen],
        "increments": increments,
        "strain": packed(_components(content["strain"], chosen)),
        "stress": packed(_components(content["stress"], chosen)),
        "error": packed(_components(content["standard_error"], chosen)),
    }


def _paths_of_a_run(models: int, increments: int) -> int:
    size = len(_shown(increments)) * 6 * 2 * 4 / 3  # bytes of a path in base64
    return max(1, min(MOST_PATHS, int(_BYTES_OF_ALL / (models * size))))


def _chosen(family: Sequence[str], most: int) -> list[int]:
    """Places of the first paths of each family in turn, at most so many, in their order."""
    rank: dict[str, int] = {}
    order = []
    for i, name in enumerate(family):
        rank[name] = rank.get(name, 0) + 1
        order.append((rank[name], i))
    return sorted(i for _, i in sorted(order)[:most])


def _shown(points: int) -> list[int]:
    """The increments of a path that are shown."""
    return sorted({round(i) for i in np.linspace(0, points - 1, min(points, MOST_POINTS)).tolist()})


def _components(mandel: Array, chosen: list[int]) -> Array:
    """Tensor components (paths, 6, points) of Mandel vectors (all paths, T+1, 6)."""
    shown = mandel[chosen][:, _shown(mandel.shape[1])] / _WEIGHTS
    return shown.transpose(0, 2, 1)


def packed(values: Array) -> dict[str, Any]:
    """Values as base64 of little-endian whole numbers of 16 bits, with the step that they count, and the shape."""
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max(initial=0.0))
    step = float(f"{largest / _LARGEST * 1.0001:.6g}") or 1.0  # rounded up, so that the largest fits
    counts = np.where(finite, np.round(np.where(finite, values, 0.0) / step), _FAILED).astype("<i2")
    return {"step": step, "shape": values.shape, "data": base64.b64encode(counts.tobytes()).decode()}
