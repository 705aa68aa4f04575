"""A labeler for tests that can be imported by worker processes, and a command that uses it and may be killed.

python scaling.py STORE COUNT SECONDS pool|parsl WORKERS
"""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from prnn_md.labels.answering import answer
from prnn_md.labels.executors.parsl import ParslExecutor
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.query import Label, Query, physics_digest
from prnn_md.labels.store import LabelStore, this_worker
from prnn_md.labels.work import StorePlace


@dataclass(frozen=True)
class Scaling:
    """Copies of twice the strain, after some seconds; -1 raises an error. Writes to `log` whenever it is asked.

    A line holds the id of the query, "again" if its label was finished before, else "first", and the process.
    """

    store: Path
    seconds: float = 0.0
    factor: float = 2.0
    copies: int = 1
    log_folder: Path | None = None

    @property
    def log(self) -> Path:
        return (self.log_folder or self.store) / "asked.txt"

    @property
    def physics(self) -> Mapping[str, Any]:
        return {"what": "scaling", "factor": self.factor, "copies": self.copies}

    def label(self, query: Query) -> Label:
        finished = (self.store / "files" / query.id[:2] / query.id).exists()
        with self.log.open("a") as file:
            file.write(f"{query.id} {'again' if finished else 'first'} {os.getpid()}\n")
        time.sleep(self.seconds)
        if bool((query.inputs["strain"] == -1.0).any()):
            raise ValueError("this strain cannot be scaled")
        return Label({"stress": self.factor * query.inputs["strain"].repeat(self.copies, 1)}, {"process": "any"})

    def queries(self, count: int) -> list[Query]:
        digest = physics_digest(self)
        return [Query(digest, {"strain": torch.full((2, 6), float(number))}) for number in range(count)]


def claim_all(folder: Path, labeler: str) -> list[str]:
    """The ids of all queries to a labeler that this process gets."""
    with closing(LabelStore(folder)) as store:
        found = []
        while (claim := store.claim(labeler, this_worker("w"))) is not None:
            found.append(claim.query.id)
    return found


def main() -> None:
    store, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    executor = {"pool": PoolExecutor, "parsl": ParslExecutor}[sys.argv[4]](int(sys.argv[5]))
    labeler = Scaling(store, seconds)
    answer(labeler.queries(count), labeler, StorePlace(store), executor)


if __name__ == "__main__":
    main()
