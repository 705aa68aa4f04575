"""Reference simulations as labelers: samples, and the stress of a sample along a strain path."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from prnn_md.labels.query import Label, Query
from prnn_md.labels.work import StorePlace
from prnn_md.md.sample import Samples
from prnn_md.reference.dynamics import ReferenceDynamics
from prnn_md.reference.lammps_cell import LammpsCell
from prnn_md.reference.systems import ReferenceSystem, physics


@dataclass(frozen=True)
class SampleLabeler:
    """Makes samples: `make(seed)` must be picklable and depend on nothing but what `physics` says.

    A query holds the `seed`; the label holds `positions` (N, 3), `box` (3, 3), `bonds` (B, 2) and `types` (N,).
    """

    make: Callable[[int], Samples]
    physics: Mapping[str, Any]

    def label(self, query: Query) -> Label:
        sample = self.make(int(query.inputs["seed"]))
        tensors = {"positions": sample.positions[0], "box": sample.box[0], "bonds": sample.bonds, "types": sample.types}
        return Label(tensors, {"prnn_md": version("prnn_md")})


def sample_labeler(system: ReferenceSystem) -> SampleLabeler:
    """The labeler that makes samples of a reference system."""
    return SampleLabeler(system.build, {**physics(system), "lammps": version("lammps")})


def sample_of(label: Label) -> Samples:
    """The sample in a label of a SampleLabeler."""
    tensors = label.outputs
    return Samples(tensors["positions"][None], tensors["box"][None], tensors["bonds"], tensors["types"])


@dataclass(frozen=True)
class StressLabeler:
    """Follows strain paths with the samples in a label store.

    A query holds `strain` (T+1, 6), Biot, from zero on, and `times` (T+1,), and its `parent` is the query whose label
    is the sample. The label holds `stress` (T+1, 6), the Biot stress without that of the sample at rest.
    """

    system: ReferenceSystem
    dynamics: ReferenceDynamics
    place: StorePlace

    @property
    def physics(self) -> Mapping[str, Any]:
        return {"system": physics(self.system), "dynamics": self.dynamics.physics, "lammps": version("lammps")}

    def label(self, query: Query) -> Label:
        assert query.parent is not None
        sample = _sample(self.place, query.parent)
        force_field = self.system.force_field(sample)
        cell = LammpsCell(sample, force_field, self.dynamics, seed=int(query.id[:12], 16))
        strain, times = query.inputs["strain"], query.inputs["times"]
        stress, _ = cell.rollout(strain[None], times)
        about = {**self.dynamics.about, "prnn_md": version("prnn_md"), "lammps": version("lammps")}
        return Label({"stress": stress[0], "residual_stress": cell.residual_stress[0]}, about)


@lru_cache(maxsize=1)
def _sample(place: StorePlace, id_: str) -> Samples:
    with closing(place.open()) as store:
        return sample_of(store.label(id_))
