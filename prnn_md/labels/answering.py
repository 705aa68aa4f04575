"""Have queries answered: workers, progress with the time left, and a report of what failed."""

import os
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.query import Labeler, Query
from prnn_md.labels.store import DONE, FAILED, NEW, LabelStore, store_errors
from prnn_md.labels.work import StorePlace
from prnn_md.progress import CountProgress

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
    with CountProgress(title, "labels", len(ids), len(ids) - len(waiting)) as progress:
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
