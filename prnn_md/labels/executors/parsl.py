"""Labels by Parsl: on this machine, or in the jobs of a cluster's scheduler."""

import os
import sys
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from prnn_md.labels.executors.executor import WorkersLost
from prnn_md.labels.query import Labeler
from prnn_md.labels.work import StorePlace, work

MAX_LOST = 100  # workers that may be lost before it is not worth while to go on


class ParslExecutor:
    """Keeps `workers` workers of Parsl's high-throughput executor at work, a core each.

    `provider` says where: None for this machine, or a Parsl provider, such as `parsl.providers.SlurmProvider`, whose
    jobs must see the folder of the label store. `workers_per_node` limits those in one job.
    """

    def __init__(self, workers: int, provider: Any = None, workers_per_node: int | None = None) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self.workers, self.provider, self.workers_per_node = workers, provider, workers_per_node or workers
        self._kernel: Any = None
        self._running: dict[int, Future[int]] = {}
        self._lost = 0

    def submit(self, place: StorePlace, labeler: Labeler, run: str) -> None:
        if self._kernel is None:
            self._load(place.folder)
        self._job = (place, labeler, run)
        for number in range(self.workers):
            if number not in self._running:
                self._start(number)

    def collect(self, timeout: float) -> None:
        done, _ = wait(self._running.values(), timeout, return_when=FIRST_COMPLETED)
        for number, future in list(self._running.items()):
            if future in done:
                self._replace(number, future.exception())

    def close(self) -> None:
        if self._kernel is not None:
            wait(self._running.values(), 5.0)
            self._kernel.cleanup()
        self._kernel, self._running = None, {}

    def _load(self, folder: Path) -> None:
        try:
            from parsl import Config, DataFlowKernel, python_app
            from parsl.executors import HighThroughputExecutor
            from parsl.providers import LocalProvider
        except ImportError as error:
            raise WorkersLost(f"Parsl could not be loaded ({error}): pip install 'prnn_md[cluster]'.") from error
        beside = Path(sys.executable).parent  # Parsl starts programs that lie there
        if str(beside) not in os.environ["PATH"].split(os.pathsep):
            os.environ["PATH"] = f"{beside}{os.pathsep}{os.environ['PATH']}"
        executor = HighThroughputExecutor(
            label="labels",
            address="127.0.0.1" if self.provider is None else None,
            max_workers_per_node=self.workers_per_node,
            cores_per_worker=1,
            heartbeat_period=2,
            heartbeat_threshold=10,
            provider=self.provider or LocalProvider(init_blocks=1, max_blocks=1),  # type: ignore[no-untyped-call]
        )
        self._kernel = DataFlowKernel(Config(executors=[executor], run_dir=str(folder / "parsl"), usage_tracking=0))
        self._work = python_app(work, data_flow_kernel=self._kernel)

    def _start(self, number: int) -> None:
        self._running[number] = self._work(*self._job, number)

    def _replace(self, number: int, error: BaseException | None) -> None:
        self._lost += 1
        if self._lost > MAX_LOST or (error is not None and "Lost" not in type(error).__name__):
            raise WorkersLost(str(error))
        self._start(number)
