"""Have queries answered: workers, progress with the time left, and a report of what failed."""

import os
import sqlite3
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.query import Labeler, Query
from prnn_md.labels.store import DONE, FAILED, NEW, LabelStore, store_errors
from prnn_md.labels.work import StorePlace

ALIVE = 30.0  # s for which workers go on when nothing is heard of the process that started them
LOOK = 0.5  # s between two looks at what is done


class LabelsFailed(RuntimeError):
    """Some queries could not be answered; the message says which and why, and all other labels are kept."""


def answer(
    queries: Iterable[Query], labeler: Labeler, place: StorePlace, executor: Executor, title: str = "labels"
) -> list[str]:
    """Have all queries to one labeler answered that are not yet, and return their ids, each once.

    Repeating the call after any interruption goes on where it was. Raises LabelsFailed at the end if queries failed as
    often as the store allows; a repeated call tries these again.
    """
    run = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    place = replace(place, several_machines=place.several_machines or executor.several_machines)
    with store_errors(place.folder), closing(place.open()) as store:
        store.recover()
        ids = list(dict.fromkeys(store.add(queries)))
        store.retry_failed(ids)
        store.set_alive(run, ALIVE)
        try:
            _wait(store, ids, labeler, place, executor, run, title)
        finally:
            with suppress(sqlite3.Error):  # workers then stop a little later
                store.set_alive(run, 0.0)
            executor.close()
        failures = store.failures(ids)
    if failures:
        listed = "\n".join(f"{id_}: {error}" for id_, error in failures.items())
        raise LabelsFailed(f"{len(failures)} of {len(ids)} labels failed; repeat to try them again:\n{listed}")
    return ids


def _wait(
    store: LabelStore, ids: Sequence[str], labeler: Labeler, place: StorePlace, executor: Executor, run: str, title: str
) -> None:
    """Keep workers at it until every query is DONE or FAILED."""
    seen = store.last_outcome()
    states = store.states(ids)
    waiting = {id_ for id_, state in states.items() if state not in (DONE, FAILED)}
    if not waiting:
        return
    executor.submit(place, labeler, run)
    with LabelsProgress(title, len(ids), len(ids) - len(waiting)) as progress:
        while waiting:
            executor.collect(LOOK)
            store.set_alive(run, ALIVE)
            store.recover()
            for outcome in store.outcomes(seen):
                seen = outcome.number
                if outcome.id not in waiting:
                    continue
                if outcome.error is not None:
                    again = "" if outcome.state == FAILED else " (it is tried again)"
                    progress.say(f"{outcome.id}: {outcome.error}{again}")
                if outcome.state != NEW:
                    waiting.remove(outcome.id)
            progress.show(len(ids) - len(waiting))


class LabelsProgress:
    """A bar with labels per second and the time left in a terminal, else a line every minute, on standard error."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self.title, self.total, self.done, self.first = title, total, done, done
        self.console = Console(stderr=True)
        self.start = self.last_line = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console)
        self._task = self._bar.add_task(title, total=total, completed=done, rate="")

    def __enter__(self) -> "LabelsProgress":
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int) -> None:
        """So many labels are there now."""
        self.done, now = done, time.monotonic()
        rate = (done - self.first) / max(now - self.start, 1e-9)
        self._bar.update(self._task, completed=done, rate=f"{rate:.3g}/s")
        if not self.console.is_terminal and (now - self.last_line > 60.0 or done == self.total):
            left = f", {(self.total - done) / rate:.0f} s left" if rate else ""
            self.say(f"{self.title}: {done} of {self.total}, {rate:.3g} labels/s{left}")
            self.last_line = now

    def say(self, line: str) -> None:
        """A line beside the bar."""
        self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
