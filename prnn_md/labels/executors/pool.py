"""Labels in processes on this machine."""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import torch

from prnn_md.labels.executors.executor import WorkersLost
from prnn_md.labels.query import Labeler
from prnn_md.labels.work import StorePlace, work

READY = "ready"


@dataclass
class _Worker:
    process: SpawnProcess
    news: Connection
    started: bool = False


class PoolExecutor:
    """Keeps `workers` processes at work. One that is killed is replaced; its query is asked again."""

    several_machines = False

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self.workers = workers
        self._workers: list[_Worker] = []
        self._job: tuple[StorePlace, Labeler, str] | None = None

    def submit(self, place: StorePlace, labeler: Labeler, run: str) -> None:
        self._job = (place, labeler, run)
        while len(self._workers) < self.workers:
            self._workers.append(self._start(len(self._workers)))

    def collect(self, timeout: float) -> None:
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0.0:
            ready = wait([worker.news for worker in self._workers], left)
            for number, worker in enumerate(self._workers):
                if worker.news in ready:
                    self._listen(number, worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.process.join()
            worker.news.close()
        self._workers, self._job = [], None

    def _start(self, number: int) -> _Worker:
        assert self._job is not None
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(there, *self._job, number), name=f"labels-{number}")
        process.start()
        there.close()  # so that the death of the process ends the pipe
        return _Worker(process, here)

    def _listen(self, number: int, worker: _Worker) -> None:
        try:
            news = worker.news.recv()
        except EOFError:  # killed
            worker.process.join()
            if not worker.started:
                code = worker.process.exitcode
                raise WorkersLost(f"A worker process ended (exit code {code}) before it could begin.") from None
            worker.news.close()
            self._workers[number] = self._start(number)
            return
        if news != READY:
            raise WorkersLost(news)
        worker.started = True


def _serve(news: Connection, place: StorePlace, labeler: Labeler, run: str, number: int) -> None:
    """What a worker process does, on one core."""
    torch.set_num_threads(1)
    news.send(READY)
    try:
        work(place, labeler, run, number)
    except KeyboardInterrupt:
        return
    except Exception as error:
        news.send(str(error))
