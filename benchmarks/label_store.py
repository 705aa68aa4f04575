"""Speed and size of the label store: what it adds to a label, two workers against one, and 400,000 queries.

Prints a table; `--json FILE` writes its rows, with the settings, versions, and processes that wanted a core before and
after it; `--quick` does less of everything.
Stores are made in `--folder`, by default that of temporary files, and removed.

scale_time           queries of one time step of a mesh of 10,000 elements x 8 quadrature points x 5 replicas, asked
                     and answered by two workers of a labeler that does next to nothing.
scale_command        peak memory of the command that had them answered.
scale_worker         peak memory of the larger worker.
scale_disk           what the store then takes on disk.
serial_overhead      answering trivial queries in this process, all that `answer` does.
serial_last_first    the last tenth of these labels against the first.
pool_overhead        the same by one worker process, from its first label to its last, so without its start.
pool_last_first      the last tenth of these labels against the first.
two_workers_vs_one   labels per second by two workers against one, each label about a second of work: an AQS roll-out
                     of 80-bead polymer cells, on one core.
two_processes_vs_one the same labels by two processes that know nothing of each other, and of no store: what the
                     machine can give.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from prnn_md.data.paths import sample_paths
from prnn_md.labels.answering import answer
from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.executors.serial import SerialExecutor
from prnn_md.labels.query import Label, Labeler, Query, physics_digest
from prnn_md.labels.work import StorePlace
from prnn_md.md.aqs import AQSCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field


@dataclass(frozen=True)
class Size:
    """How much of everything is measured."""

    trivial: int = 10_000
    worked: int = 24
    cells: int = 16
    increments: int = 60
    elements: int = 10_000
    points: int = 8
    replicas: int = 5


QUICK = Size(trivial=300, worked=8, cells=4, increments=10, elements=20)


@dataclass(frozen=True)
class Row:
    """A number in its unit; it should be at most `goal`, at least if `least`. None is without a goal."""

    name: str
    value: float
    unit: str
    goal: float | None
    least: bool = False

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"{'>=' if self.least else '<='} {self.goal:g}"
        return f"{self.name:20} {self.value:10.4g} {self.unit:12} {goal:>9}"


@dataclass(frozen=True)
class Trivial:
    """Twice the strain."""

    @property
    def physics(self) -> Mapping[str, Any]:
        return {"what": "twice the strain"}

    def label(self, query: Query) -> Label:
        return Label({"stress": 2.0 * query.inputs["strain"]})

    def queries(self, points: int, replicas: int = 1) -> Iterator[Query]:
        """One step from rest (2, 6) at each of so many points, in replicas."""
        digest, generator = physics_digest(self), torch.Generator().manual_seed(0)
        for _ in range(points):
            strain = torch.zeros(2, 6, dtype=torch.float64)
            strain[1] = 0.01 * torch.randn(6, dtype=torch.float64, generator=generator)
            for replica in range(replicas):
                yield Query(digest, {"strain": strain, "times": torch.tensor([0.0, 1.0])}, replica)


@dataclass(frozen=True)
class Sheared:
    """Stress of 80-bead polymer cells, on one core."""

    cells: int

    @property
    def physics(self) -> Mapping[str, Any]:
        return {"cells": self.cells}

    @cached_property
    def cell(self) -> AQSCell:
        samples = load_library("polymer_80_a")[0][: self.cells]
        return AQSCell(samples, polymer_force_field(samples), force_tolerance=1e-6, backend="kernel", threads=1)

    def label(self, query: Query) -> Label:
        torch.set_num_threads(1)
        strain = query.inputs["strain"]
        with torch.no_grad():
            stress, _ = self.cell.rollout(strain.expand(self.cells, -1, -1), torch.zeros(len(strain)))
        return Label({"stress": stress.mean(0)})

    def queries(self, count: int, increments: int) -> list[Query]:
        """The same path (increments + 1, 6) so often, so that each is as much work."""
        path = sample_paths("nonproportional", 1, seed=1)[0][0, : increments + 1]
        return [Query(physics_digest(self), {"strain": path}, replica) for replica in range(count)]


def instants(folder: Path) -> list[float]:
    """When the labels of a store were finished, in seconds, in order."""
    return sorted(file.stat().st_mtime_ns * 1e-9 for file in (folder / "files").glob("*/*"))


def answered(folder: Path, queries: Iterable[Query], labeler: Labeler, executor: Executor) -> float:
    """Seconds that it takes to have queries answered with a new store in the folder."""
    start = time.perf_counter()
    answer(queries, labeler, StorePlace(folder), executor)
    return time.perf_counter() - start


def overhead(folder: Path, size: Size) -> Iterator[Row]:
    tenth, trivial = size.trivial // 10, Trivial()
    seconds = answered(folder / "serial", trivial.queries(size.trivial), trivial, SerialExecutor())
    done = instants(folder / "serial")
    yield Row("serial_overhead", seconds / size.trivial * 1e3, "ms/label", 2.0)
    yield Row("serial_last_first", (done[-1] - done[-tenth]) / (done[tenth - 1] - done[0]), "ratio", 1.2)
    answered(folder / "pool", trivial.queries(size.trivial), trivial, PoolExecutor(1))
    done = instants(folder / "pool")
    yield Row("pool_overhead", (done[-1] - done[0]) / (size.trivial - 1) * 1e3, "ms/label", 2.0)
    yield Row("pool_last_first", (done[-1] - done[-tenth]) / (done[tenth - 1] - done[0]), "ratio", 1.2)


def two_workers(folder: Path, size: Size) -> Iterator[Row]:
    labeler, rates = Sheared(size.cells), []
    for workers in (1, 2):
        place = folder / f"workers-{workers}"
        answered(place, labeler.queries(size.worked, size.increments), labeler, PoolExecutor(workers))
        done, skipped = instants(place), 2 * workers  # until all are at work
        rates.append((size.worked - skipped) / (done[-1] - done[skipped - 1]))
    yield Row("two_workers_vs_one", rates[1] / rates[0], "ratio", 1.8, least=True)
    yield Row("two_processes_vs_one", alone_ratio(size), "ratio", None)


def alone_ratio(size: Size) -> float:
    """Labels per second of two processes without a store against one."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=meet_at, initargs=(context.Barrier(2),)) as pool:
        times = list(pool.map(label_alone, [0, 1], [size] * 2))
    return 2.0 * times[0][0] / max(together for _, together in times)


def meet_at(place: Barrier) -> None:
    global meeting
    meeting = place


def label_alone(number: int, size: Size) -> tuple[float, float]:
    """Seconds for labels by the process 0 while the other waits, and then for as many by each of both."""
    labeler, times = Sheared(size.cells), []
    queries = labeler.queries(size.worked // 2, size.increments)
    labeler.label(queries[0])  # loads what is compiled
    for working in (1, 2):
        meeting.wait()
        start = time.perf_counter()
        for query in queries if number < working else ():
            labeler.label(query)
        times.append(time.perf_counter() - start)
    return times[0], times[1]


def scale(folder: Path, size: Size) -> Iterator[Row]:
    """Must be the first of all, since peaks of memory are those since the start."""
    trivial = Trivial()
    queries = trivial.queries(size.elements * size.points, size.replicas)
    seconds = answered(folder / "scale", queries, trivial, PoolExecutor(2))
    command, worker = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    disk = sum(path.lstat().st_blocks * 512 for path in (folder / "scale").rglob("*"))
    yield Row("scale_time", seconds / 60.0, "min", 15.0)
    yield Row("scale_command", command * 1024 / 1e6, "MB", 1000.0)
    yield Row("scale_worker", worker * 1024 / 1e6, "MB", 1000.0)
    yield Row("scale_disk", disk / 1e6, "MB", 2000.0)


PARTS: Sequence[Callable[[Path, Size], Iterator[Row]]] = (scale, overhead, two_workers)


def measured(folder: Path, size: Size) -> Iterator[Row]:
    """All rows, each printed as soon as there is one."""
    header = f"{'name':20} {'value':>10} {'unit':12} {'goal':>9}"
    print(header, "-" * len(header), sep="\n", flush=True)
    for part in PARTS:
        for row in part(folder, size):
            print(row, flush=True)
            yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under 45 s")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--folder", type=Path, help="where the stores are made")
    options = parser.parse_args()
    size, loads = QUICK if options.quick else Size(), [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = list(measured(Path(folder), size))
    loads.append(os.getloadavg()[0])
    if options.json:
        report = {
            "command": "make bench-labels" + (" ARGS=--quick" if options.quick else ""),
            "size": asdict(size),
            "cores": os.cpu_count(),
            "load": loads,
            "versions": {
                "prnn_md": version("prnn_md"),
                "torch": torch.__version__,
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
            },
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
