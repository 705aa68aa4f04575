"""The reference simulations as a labeler: the stress of one sample of a library along a strain path."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prnn_md.labels.query import Label, Query
from prnn_md.md.library import library_checksum, load_library
from prnn_md.md.polymer import FORCE_FIELD, polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.reference.polymer import drive_sample

_samples = lru_cache(maxsize=1)(lambda path, checksum: load_library(path)[0])


@dataclass(frozen=True)
class PolymerReference:
    """Athermal quasi-static shear and stretch of polymer samples in LAMMPS.

    A query holds `strain` (T+1, 6), Biot, from zero on, and its `replica` is the number of the sample in the library at
    `samples`. The label holds `stress` (T+1, 6), the Biot stress without that of the sample at rest. No bead feels a
    force above `force_tolerance` (epsilon/sigma) at the end of an increment.
    """

    samples: Path
    force_tolerance: float

    @property
    def physics(self) -> Mapping[str, Any]:
        return {
            "protocol": "polymer, athermal quasi-static",
            "samples": library_checksum(self.samples),
            "force_field": FORCE_FIELD.read_text(),
            "force_tolerance": self.force_tolerance,
            "lammps": version("lammps"),
        }

    def label(self, query: Query) -> Label:
        samples: Samples = _samples(self.samples, library_checksum(self.samples))
        sample = samples[query.replica : query.replica + 1]
        stress = drive_sample(sample, query.inputs["strain"], polymer_force_field(sample), self.force_tolerance)
        about = {
            "minimiser": "LAMMPS cg",
            "stop": f"largest force at most {self.force_tolerance:g}",
            "lammps": version("lammps"),
            "prnn_md": version("prnn_md"),
        }
        return Label({"stress": stress}, about)
