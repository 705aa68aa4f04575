"""What a worker does: claim a query, answer it, keep the label, and again as long as its run is alive."""

import math
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from prnn_md.labels.query import Labeler, physics_digest
from prnn_md.labels.store import Claim, LabelStore, store_errors, this_worker

PAUSE = 0.05  # s between two looks for queries where there are none


@dataclass(frozen=True)
class StorePlace:
    """Where a label store is and how it is used, to be sent to other processes; see `LabelStore`."""

    folder: Path
    lease: float = 120.0
    max_tries: int = 3
    several_machines: bool = False

    def open(self) -> LabelStore:
        return LabelStore(self.folder, self.lease, self.max_tries, self.several_machines)


def work(place: StorePlace, labeler: Labeler, run: str, number: int = 0, seconds: float = math.inf) -> int:
    """Answer queries to the labeler as long as the run is alive, or for so many seconds; returns how many.

    A query that raises an error is asked again, and noted as FAILED in the end. An error of the store, such as a full
    disk, ends the worker with StoreError, and the query is left for another.
    """
    digest, worker, answered = physics_digest(labeler), this_worker(f"{run}-{number}"), 0
    until = time.monotonic() + seconds
    with store_errors(place.folder), closing(place.open()) as store, _Renewal(place) as renewal:
        while store.is_alive(run) and time.monotonic() < until:
            claim = store.claim(digest, worker)
            if claim is None:
                time.sleep(min(PAUSE, seconds))
            else:
                renewal.claim = claim
                answered += _answer(store, labeler, claim)
                renewal.claim = None
    return answered


def _answer(store: LabelStore, labeler: Labeler, claim: Claim) -> bool:
    start = time.perf_counter()
    try:
        label = labeler.label(claim.query)
    except KeyboardInterrupt:
        store.give_back(claim)
        raise
    except Exception as error:
        store.fail(claim, f"{type(error).__name__}: {error}")
        return False
    try:
        store.finish(claim, replace(label, cost=time.perf_counter() - start))
    except (sqlite3.Error, OSError):
        store.give_back(claim)
        raise
    return True


class _Renewal:
    """Renews the lease of the claim that a worker is at, in a thread of its own: answers may last longer than it."""

    def __init__(self, place: StorePlace) -> None:
        self.place = place
        self.claim: Claim | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> "_Renewal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _renew(self) -> None:
        with closing(self.place.open()) as store:
            while not self._done.wait(self.place.lease / 3.0):
                if (claim := self.claim) is not None:
                    with suppress(sqlite3.Error):  # it is tried again before the lease ends
                        store.renew(claim)
