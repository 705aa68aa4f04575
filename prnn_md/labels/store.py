"""The label store: each query once, each answer once, whatever is killed in between.

A folder with an SQLite database, which says what is asked, who works on it and what has come of it, and one file for
each label under `files/`, written to a temporary name, synced and renamed. Any number of processes on one machine may
work on it at once, on several machines if the store is said to be for these and the file system has locks.

    NEW -> CLAIMED -> DONE
     ^        |
     |        +-> FAILED    the labeler raised an error, or the worker was lost, `max_tries` times
     +--------+             either happened less often

A claim is a lease: the worker renews it, and when it does not, another may have the query. A finished file whose worker
did not live to say so is adopted. The second answer to a query, which only a worker can give that was believed lost,
changes nothing.
"""

import hashlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from prnn_md.files import remove_unfinished, write_bytes
from prnn_md.labels.query import Label, Query

SCHEMA_VERSION = 1
STATES = NEW, CLAIMED, DONE, FAILED = ("NEW", "CLAIMED", "DONE", "FAILED")

_TABLES = """
CREATE TABLE IF NOT EXISTS queries (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, labeler TEXT NOT NULL, query BLOB NOT NULL,
    state TEXT NOT NULL, worker TEXT, lease_until REAL, tries INTEGER NOT NULL DEFAULT 0, error TEXT,
    cost REAL, sha256 TEXT
);
CREATE INDEX IF NOT EXISTS waiting ON queries (labeler, number) WHERE state = 'NEW';
CREATE INDEX IF NOT EXISTS claims ON queries (lease_until) WHERE state = 'CLAIMED';
CREATE TABLE IF NOT EXISTS outcomes (number INTEGER PRIMARY KEY, id TEXT NOT NULL, state TEXT NOT NULL, error TEXT);
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, alive_until REAL NOT NULL);
"""


class StoreError(RuntimeError):
    """The store cannot be used, or a label in it is damaged; the message names the file."""


@contextmanager
def store_errors(folder: Path) -> Iterator[None]:
    """Errors of the database or of files in the block, such as of a full disk, become a StoreError that says so."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{folder}: {error}. What is finished is kept: make space, or mend it, and repeat the command."
        ) from error


@dataclass(frozen=True)
class Outcome:
    """What has come of a query: its `state` now, and the `error` if it could not be answered this time."""

    number: int
    id: str
    state: str
    error: str | None


@dataclass(frozen=True)
class Claim:
    """A query that one worker, and no other, may answer until its lease ends."""

    query: Query
    worker: str
    tries: int


def this_worker(name: str) -> str:
    """A name for a worker that tells its machine and process, so that others there can see whether it lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{name}"


def _process_of(worker: str) -> int:
    return int(worker.split(":", 2)[1])


class LabelStore:
    """The label store in `folder`, which is made if there is none.

    `lease` is the time in seconds after which a worker that has not renewed its claim counts as lost, one on this
    machine whose process is gone at once. A query that has failed, or lost its worker, `max_tries` times is FAILED.
    `several_machines` makes it slower, but lets processes on other machines use it from now on.
    Raises StoreError for a folder that holds something else.
    """

    def __init__(
        self, folder: str | Path, lease: float = 120.0, max_tries: int = 3, several_machines: bool = False
    ) -> None:
        self.folder, self.lease, self.max_tries = Path(folder), lease, max_tries
        self.files = self.folder / "files"
        self._host = socket.gethostname()
        try:
            self.files.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.folder / "labels.sqlite", timeout=60.0, isolation_level=None)
            self._choose_journal(several_machines)
            with self._transaction():
                (version,) = self._database.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _TABLES.split(";"):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.folder} cannot be used as a label store: {error}") from error
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(
                f"{self.folder} is a label store of version {version}; this prnn_md uses {SCHEMA_VERSION}."
            )

    def close(self) -> None:
        self._database.close()

    def add(self, queries: Iterable[Query]) -> list[str]:
        """Ask queries, those that were asked before only once; returns the ids of all.

        Labels whose rows are lost are adopted, and those whose files are lost are asked for again.
        """
        ids, source = [], iter(queries)
        while some := list(islice(source, 1000)):  # so that others need not wait for long
            with self._transaction():
                ids += [self._add(query) for query in some]
        return ids

    def claim(self, labeler: str, worker: str) -> Claim | None:
        """The next query to this labeler (its digest) for a worker, None if none is left to claim.

        A query whose label was written, but could not be noted, is noted now.
        """
        while (claim := self._claim(labeler, worker)) is not None:
            file = self.file(claim.query.id)
            if not file.exists():
                return claim
            self._set_done(claim.query.id, file.read_bytes(), None)
        return None

    def renew(self, claim: Claim) -> bool:
        """Lengthen the lease of a claim; whether the worker still has it."""
        return self._change(claim, "lease_until = ?", time.time() + self.lease)

    def give_back(self, claim: Claim) -> None:
        """Let another worker have the query, as if it had not been claimed."""
        self._change(claim, "state = 'NEW', worker = NULL, lease_until = NULL, tries = tries - 1")

    def finish(self, claim: Claim, label: Label) -> None:
        """Keep a label: first its file, then that it is there. The second label of a query is ignored."""
        path, data = self.file(claim.query.id), label.data
        if path.exists():
            data = path.read_bytes()
        else:
            path.parent.mkdir(exist_ok=True)
            write_bytes(path, data)
        self._set_done(claim.query.id, data, label.cost)

    def fail(self, claim: Claim, error: str) -> None:
        """Note why a query could not be answered; it is asked again unless that happened `max_tries` times."""
        state = FAILED if claim.tries >= self.max_tries else NEW
        with self._transaction():
            if self._change(claim, "state = ?, worker = NULL, lease_until = NULL, error = ?", state, error):
                self._note(claim.query.id, state, error)

    def recover(self) -> int:
        """Adopt finished files of lost workers and let others have the rest of their queries; the number of these.

        What such a worker on this machine had half written is removed.
        """
        claims = self._database.execute(
            "SELECT id, worker, lease_until, tries FROM queries WHERE state = 'CLAIMED'"
        ).fetchall()
        now, lost = time.time(), 0
        for id_, worker, lease_until, tries in claims:
            gone = self._is_gone(worker)
            if lease_until >= now and not gone:
                continue
            if gone:
                remove_unfinished(self.file(id_), _process_of(worker))
            if self.file(id_).exists():
                self._set_done(id_, self.file(id_).read_bytes(), None)
                continue
            state, error = FAILED if tries >= self.max_tries else NEW, f"its worker was lost, try {tries}"
            with self._transaction():
                changed = self._database.execute(
                    "UPDATE queries SET state = ?, worker = NULL, lease_until = NULL, error = ? "
                    "WHERE id = ? AND state = 'CLAIMED' AND worker = ? AND lease_until = ?",
                    (state, error, id_, worker, lease_until),
                ).rowcount
                if changed:
                    self._note(id_, state, error)
            lost += changed
        return lost

    def retry_failed(self, ids: Sequence[str]) -> int:
        """Ask again what has failed, with all tries; returns how many of `ids` had."""
        with self._transaction():
            return sum(
                self._database.execute(
                    "UPDATE queries SET state = 'NEW', tries = 0, error = NULL WHERE id = ? AND state = 'FAILED'",
                    (id_,),
                ).rowcount
                for id_ in ids
            )

    def counts(self, labeler: str) -> dict[str, int]:
        """How many queries to a labeler (its digest) are in each state."""
        rows = self._database.execute(
            "SELECT state, COUNT(*) FROM queries WHERE labeler = ? GROUP BY state", (labeler,)
        ).fetchall()
        return {state: dict(rows).get(state, 0) for state in STATES}

    def states(self, ids: Sequence[str]) -> dict[str, str]:
        """The state of each of these queries that has been asked."""
        return dict(self._select("id, state", ids))

    def outcomes(self, after: int) -> list[Outcome]:
        """What has come of queries since the outcome with the number `after`, in order."""
        rows = self._database.execute("SELECT * FROM outcomes WHERE number > ? ORDER BY number", (after,)).fetchall()
        return [Outcome(*row) for row in rows]

    def last_outcome(self) -> int:
        """The number of the last outcome, 0 if there is none."""
        (number,) = self._database.execute("SELECT MAX(number) FROM outcomes").fetchone()
        return number or 0

    def failures(self, ids: Sequence[str]) -> dict[str, str]:
        """Why those of these queries that FAILED did."""
        return {id_: error for id_, state, error in self._select("id, state, error", ids) if state == FAILED}

    def costs(self, ids: Sequence[str]) -> dict[str, float]:
        """The seconds that the labels of these queries took, where that is known."""
        return {id_: cost for id_, cost in self._select("id, cost", ids) if cost is not None}

    def label(self, id_: str) -> Label:
        """The answer to a query. Raises StoreError if there is none, or if it was changed or damaged."""
        rows = self._select("sha256, cost", [id_])
        if not rows or rows[0][0] is None:
            raise StoreError(f"{self.folder} has no label of the query {id_}.")
        path = self.file(id_)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error}): repeat the command that made it.") from error
        if hashlib.sha256(data).hexdigest() != rows[0][0]:
            raise StoreError(f"{path} was changed or damaged: remove it, and repeat the command that made it.")
        return Label.from_data(data, rows[0][1] or 0.0)

    def file(self, id_: str) -> Path:
        """Where the label of a query is kept."""
        return self.files / id_[:2] / id_

    def set_alive(self, run: str, seconds: float) -> None:
        """Let the workers of a run go on for so long; 0 lets them stop after what they are at."""
        self._database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (run, time.time() + seconds))

    def is_alive(self, run: str) -> bool:
        """Whether the workers of a run are to go on."""
        row = self._database.execute("SELECT alive_until FROM runs WHERE id = ?", (run,)).fetchone()
        return row is not None and row[0] > time.time()

    def _add(self, query: Query) -> str:
        new = self._database.execute(
            "INSERT OR IGNORE INTO queries (id, labeler, query, state) VALUES (?, ?, ?, 'NEW')",
            (query.id, query.labeler, query.data),
        ).rowcount
        file = self.file(query.id)
        if new and file.exists():
            self._set_done(query.id, file.read_bytes(), None)
        elif not new and not file.exists():
            self._database.execute(
                "UPDATE queries SET state = 'NEW', tries = 0, sha256 = NULL WHERE id = ? AND state = 'DONE'",
                (query.id,),
            )
        return query.id

    def _claim(self, labeler: str, worker: str) -> Claim | None:
        row = self._database.execute(
            "UPDATE queries SET state = 'CLAIMED', worker = ?, lease_until = ?, tries = tries + 1 WHERE number = "
            "(SELECT number FROM queries WHERE state = 'NEW' AND labeler = ? ORDER BY number LIMIT 1) "
            "RETURNING query, tries",
            (worker, time.time() + self.lease, labeler),
        ).fetchone()
        return None if row is None else Claim(Query.from_data(row[0]), worker, row[1])

    def _choose_journal(self, several_machines: bool) -> None:
        """Which journal SQLite writes: the fast one, WAL, needs memory that all processes share."""
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if several_machines:
            self._database.execute("PRAGMA journal_mode = TRUNCATE")
        elif version == 0:
            self._database.execute("PRAGMA journal_mode = WAL")
        (journal,) = self._database.execute("PRAGMA journal_mode").fetchone()
        self._database.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'wal' else 'FULL'}")

    def _set_done(self, id_: str, data: bytes, cost: float | None) -> None:
        with self._transaction():
            changed = self._database.execute(
                "UPDATE queries SET state = 'DONE', worker = NULL, lease_until = NULL, error = NULL, sha256 = ?, "
                "cost = ? WHERE id = ? AND state != 'DONE'",
                (hashlib.sha256(data).hexdigest(), cost, id_),
            ).rowcount
            if changed:
                self._note(id_, DONE, None)

    def _note(self, id_: str, state: str, error: str | None) -> None:
        self._database.execute("INSERT INTO outcomes (id, state, error) VALUES (?, ?, ?)", (id_, state, error))

    def _change(self, claim: Claim, what: str, *values: object) -> bool:
        """Set columns of a claimed query, if the worker still has it."""
        command = f"UPDATE queries SET {what} WHERE id = ? AND state = 'CLAIMED' AND worker = ? AND tries = ?"
        return bool(self._database.execute(command, (*values, claim.query.id, claim.worker, claim.tries)).rowcount)

    def _select(self, columns: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for begin in range(0, len(ids), 500):
            part = ids[begin : begin + 500]
            places = ", ".join("?" * len(part))
            rows += self._database.execute(f"SELECT {columns} FROM queries WHERE id IN ({places})", part).fetchall()
        return rows

    def _is_gone(self, worker: str) -> bool:
        """Whether the worker was on this machine and its process is no more."""
        if worker.split(":", 1)[0] != self._host:
            return False
        try:
            os.kill(_process_of(worker), 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is there, and another user's
            return False
        return False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._database.in_transaction:  # a part of a larger one
            yield
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
