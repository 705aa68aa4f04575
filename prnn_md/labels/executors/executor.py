"""What all executors do: keep workers at the queries in a store."""

from typing import Protocol

from prnn_md.labels.query import Labeler
from prnn_md.labels.work import StorePlace


class WorkersLost(RuntimeError):
    """Workers cannot be started, or cannot keep what they computed."""


class Executor(Protocol):
    """Lets workers work; queries and labels go through the store, not through the executor.

    A worker claims a query, answers it, keeps the label, and asks for the next as long as its run is alive
    (`prnn_md.labels.work.work`). So an executor sends a labeler to each worker and no more, however many queries.
    """

    several_machines: bool
    """Whether workers may be on other machines than the command."""

    def submit(self, place: StorePlace, labeler: Labeler, run: str) -> None:
        """Have workers at the queries to the labeler in the store."""

    def collect(self, timeout: float) -> None:
        """Let workers work for so many seconds, and replace those that were killed. Raises WorkersLost."""

    def close(self) -> None:
        """Let workers go, which stop after the query that they are at, since the run is not alive any more."""
