"""Labels in this process, one after another."""

from collections.abc import Callable

from prnn_md.labels.query import Labeler
from prnn_md.labels.work import StorePlace, work


class SerialExecutor:
    """Answers queries in `collect`, until the time is over; for tests and for finding errors."""

    several_machines = False

    def __init__(self) -> None:
        self._work: Callable[[float], int] | None = None

    def submit(self, place: StorePlace, labeler: Labeler, run: str) -> None:
        self._work = lambda seconds: work(place, labeler, run, seconds=seconds)

    def collect(self, timeout: float) -> None:
        if self._work is not None:
            self._work(timeout)

    def close(self) -> None:
        self._work = None
