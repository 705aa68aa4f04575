"""Labels by Parsl: on this machine, or in the jobs of a cluster's scheduler."""

import os
import shlex
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from prnn_md.labels.executors import interchange
from prnn_md.labels.executors.executor import WorkersLost
from prnn_md.labels.query import Labeler
from prnn_md.labels.work import StorePlace, work

PATIENCE = 5.0  # s that workers have in the end for the query that they are at
OFTEN, PERIOD = 10, 600.0  # a worker that is lost more often than so often in so many seconds is not replaced


class ParslExecutor:
    """Keeps `workers` workers of Parsl's high-throughput executor at work.

    `provider` says where: None for this machine, or a Parsl provider, such as `parsl.providers.SlurmProvider`, whose
    jobs must see the folder of the label store, and reach this machine at `address`, by default that of its host name.
    Each node of a job has `workers_per_node` workers, by default all, but no more than cores.

    What Parsl starts ends with this process, also when that is killed: within seconds on this machine, within two
    minutes in jobs.
    """

    def __init__(
        self, workers: int, provider: Any = None, workers_per_node: int | None = None, address: str | None = None
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self.workers, self.workers_per_node = workers, workers_per_node or workers
        self.provider, self.address, self.several_machines = provider, address, provider is not None
        self._kernel: Any = None
        self._executor: Any = None
        self._running: dict[int, Future[int]] = {}
        self._lost: list[float] = []

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
        if not self._is_connected():
            raise WorkersLost("The process that connects this one with the workers has ended; repeat the command.")

    def close(self) -> None:
        if self._kernel is not None and self._is_connected():
            wait(self._running.values(), PATIENCE)
            self._kernel.cleanup()
        elif self._kernel is not None:  # cleanup would wait for an answer of the interchange
            self._executor.provider.cancel(list(self._executor.provider.resources))
        self._kernel, self._executor, self._running = None, None, {}

    def _is_connected(self) -> bool:
        """Whether Parsl's interchange is there."""
        return self._executor.interchange_proc.poll() is None

    def _load(self, folder: Path) -> None:
        try:
            from parsl import Config, DataFlowKernel, python_app
            from parsl.addresses import address_by_hostname
            from parsl.executors import HighThroughputExecutor
            from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
            from parsl.jobs.error_handlers import windowed_error_handler
            from parsl.providers import LocalProvider
        except ImportError as error:
            raise WorkersLost(f"Parsl could not be loaded ({error}): pip install 'prnn_md[cluster]'.") from error
        here = self.provider is None
        pool = f"{shlex.quote(sys.executable)} -m parsl.executors.high_throughput.process_worker_pool"
        self._executor = HighThroughputExecutor(
            label="labels",
            address=self.address or ("127.0.0.1" if here else address_by_hostname()),
            provider=self.provider or LocalProvider(),  # type: ignore[no-untyped-call]
            max_workers_per_node=self.workers_per_node,
            cores_per_worker=1e-6 if here else 1.0,
            heartbeat_period=1 if here else 30,
            heartbeat_threshold=6 if here else 120,
            launch_cmd=DEFAULT_LAUNCH_CMD.replace("process_worker_pool.py", pool),  # with the Python of this process
            interchange_launch_cmd=[sys.executable, "-m", interchange.__name__, str(os.getpid())],
            block_error_handler=windowed_error_handler,  # gives up when three jobs in a row failed
        )
        self._kernel = DataFlowKernel(Config([self._executor], run_dir=str(folder / "parsl"), strategy_period=1))
        self._work = python_app(work, data_flow_kernel=self._kernel)

    def _start(self, number: int) -> None:
        self._running[number] = self._work(*self._job, number)

    def _replace(self, number: int, error: BaseException | None) -> None:
        """Start another worker for one that was killed, or whose job came to its end."""
        from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

        now = time.monotonic()
        self._lost = [*(instant for instant in self._lost if now - instant < PERIOD), now]
        if error is not None and not isinstance(error, (ManagerLost, WorkerLost)):
            raise WorkersLost(str(error)) from error
        if len(self._lost) > OFTEN * self.workers:
            raise WorkersLost(f"Workers are lost again and again: {error}")
        self._start(number)
