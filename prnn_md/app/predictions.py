"""The predictions of a run on its test paths, with the labels that judge them, in one HDF5 file."""

from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import torch
from torch import Tensor

from prnn_md.app.evaluation import counted
from prnn_md.files import replaced_when_done
from prnn_md.mechanics import COMPONENTS

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Predictions:
    """Test paths: Biot strain, label stress, its standard error and two predictions, all (paths, T+1, 6), Mandel.

    `paths` are the indices in the dataset, `family` their kinds, `times` (paths, T+1); stresses are in `units`;
    `stress_scale` (6,) is the dataset's. `untrained` is the model before training, `trained` the best one; on paths
    that a cell could not follow, `untrained_failed` and `failed` (paths,), they are NaN, and errors count zero.
    """

    label: str
    units: str
    paths: tuple[int, ...]
    family: tuple[str, ...]
    times: Tensor
    stress_scale: Tensor
    strain: Tensor
    stress: Tensor
    standard_error: Tensor
    untrained: Tensor
    trained: Tensor
    untrained_failed: Tensor
    failed: Tensor

    def counted(self, which: str) -> Tensor:
        """The "untrained" or "trained" stress as errors count it."""
        failed = {"untrained": self.untrained_failed, "trained": self.failed}[which]
        return counted(getattr(self, which), failed)

    def save(self, path: Path) -> None:
        with replaced_when_done(path) as temporary, h5py.File(temporary, "x") as file:
            file.attrs.update(
                schema_version=SCHEMA_VERSION,
                label=self.label,
                units=self.units,
                components=",".join(COMPONENTS),
            )
            file.create_dataset("paths", data=list(self.paths))
            file.create_dataset("family", data=list(self.family), dtype=h5py.string_dtype())
            for name in _tensors():
                file.create_dataset(name, data=getattr(self, name).numpy())

    @staticmethod
    def load(path: Path) -> "Predictions":
        with h5py.File(path, "r") as file:
            tensors = {name: torch.from_numpy(file[name][()]) for name in _tensors()}
            return Predictions(
                label=str(file.attrs["label"]),
                units=str(file.attrs["units"]),
                paths=tuple(int(index) for index in file["paths"]),
                family=tuple(file["family"].asstr()[()].tolist()),
                **tensors,
            )


def _tensors() -> list[str]:
    return [field.name for field in fields(Predictions) if field.type is Tensor]
