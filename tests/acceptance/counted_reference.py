"""LAMMPS simulations that are counted, and a command that has them answered and may be killed.

python -c "import counted_reference; counted_reference.main()" STORE pool|parsl WORKERS
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.labels.answering import answer
from prnn_md.labels.executors.parsl import ParslExecutor
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.query import Label, Query, physics_digest
from prnn_md.labels.work import StorePlace
from prnn_md.md.library import library_checksum, load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.reference.dynamics import Athermal
from prnn_md.reference.lammps_cell import LammpsCell

PATHS, REPLICAS, INCREMENTS = 50, 4, 20
LIBRARY, DYNAMICS = "polymer_80_a", Athermal(force_tolerance=1e-3)


@dataclass(frozen=True)
class CountedReference:
    """AQS of 80-bead samples; writes the id, "again" or "first", and the process to `log` whenever it is asked."""

    store: Path

    @property
    def log(self) -> Path:
        return self.store.with_suffix(".asked")

    @property
    def physics(self) -> Mapping[str, Any]:
        return {"samples": library_checksum(LIBRARY), **DYNAMICS.about}

    def label(self, query: Query) -> Label:
        finished = (self.store / "files" / query.id[:2] / query.id).exists()
        with self.log.open("a") as file:
            file.write(f"{query.id} {'again' if finished else 'first'} {os.getpid()}\n")
        sample = load_library(LIBRARY)[0][[query.replica]]
        cell = LammpsCell(sample, polymer_force_field(sample), DYNAMICS)
        stress, _ = cell.rollout(query.inputs["strain"][None], torch.arange(INCREMENTS + 1.0))
        return Label({"stress": stress[0]}, DYNAMICS.about)

    def queries(self) -> list[Query]:
        digest, strains = physics_digest(self), sample_paths("nonproportional", PATHS, 4, PathOptions())[0]
        return [
            Query(digest, {"strain": strain}, replica)
            for strain in strains[:, : INCREMENTS + 1]
            for replica in range(REPLICAS)
        ]


def main() -> None:
    labeler = CountedReference(Path(sys.argv[1]))
    executor = {"pool": PoolExecutor, "parsl": ParslExecutor}[sys.argv[2]](int(sys.argv[3]))
    answer(labeler.queries(), labeler, StorePlace(labeler.store), executor)
