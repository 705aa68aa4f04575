"""The label store: each query once, each answer once."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from scaling import claim_all

from prnn_md.labels.query import Label, Query
from prnn_md.labels.store import CLAIMED, DONE, FAILED, NEW, Claim, LabelStore, StoreError, this_worker

PHYSICS = "p" * 32


def query(number: int, labeler: str = PHYSICS) -> Query:
    return Query(labeler, {"strain": torch.full((2, 6), float(number))})


def answer_to(claim: Claim) -> Label:
    return Label({"stress": 2.0 * claim.query.inputs["strain"]})


def dead_worker() -> str:
    """The name of a worker on this machine whose process is gone."""
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return this_worker("x").replace(f":{os.getpid()}:", f":{int(process.stdout)}:")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    with closing(LabelStore(tmp_path / "store")) as opened:
        yield opened


def claimed(store: LabelStore, worker: str = "elsewhere:1:w") -> Claim:
    claim = store.claim(PHYSICS, worker)
    assert claim is not None
    return claim


def test_a_query_is_asked_once_and_answered_once(store: LabelStore) -> None:
    ids = store.add([query(0), query(1), query(0)])
    assert ids[0] == ids[2]
    assert store.counts(PHYSICS) == {NEW: 2, CLAIMED: 0, DONE: 0, FAILED: 0}
    claim = claimed(store)
    store.finish(claim, answer_to(claim))
    assert store.add([query(0)]) == [claim.query.id]
    assert store.states(ids) == {ids[0]: DONE, ids[1]: NEW}
    assert torch.equal(store.label(ids[0]).outputs["stress"], torch.zeros(2, 6))
    with pytest.raises(StoreError, match=f"has no label of the query {ids[1]}"):
        store.label(ids[1])


def test_queries_are_claimed_in_order_by_one_worker_each(store: LabelStore) -> None:
    store.add([query(number) for number in (5, 3, 4)])
    assert [float(claimed(store).query.inputs["strain"][0, 0]) for _ in range(3)] == [5.0, 3.0, 4.0]
    assert store.claim(PHYSICS, "elsewhere:1:w") is None


def test_queries_to_another_labeler_are_left_alone(store: LabelStore) -> None:
    store.add([query(0, "other")])
    assert store.claim(PHYSICS, "elsewhere:1:w") is None


def test_a_query_that_fails_is_tried_again_until_it_is_noted(store: LabelStore) -> None:
    (id_,) = store.add([query(0)])
    for expected in (NEW, NEW, FAILED):
        store.fail(claimed(store), "no convergence")
        assert store.states([id_]) == {id_: expected}
    assert store.failures([id_]) == {id_: "no convergence"}
    assert [(o.state, o.error) for o in store.outcomes(0)] == [(s, "no convergence") for s in (NEW, NEW, FAILED)]
    assert store.retry_failed([id_]) == 1
    assert claimed(store).tries == 1


def test_the_query_of_a_worker_that_is_gone_is_free_at_once(store: LabelStore) -> None:
    store.add([query(0)])
    claimed(store, dead_worker())
    assert store.recover() == 1
    assert claimed(store, this_worker("w")).tries == 2
    assert store.recover() == 0


def test_a_lease_that_is_not_renewed_ends(tmp_path: Path) -> None:
    with closing(LabelStore(tmp_path, lease=-1.0)) as store, closing(LabelStore(tmp_path, lease=60.0)) as other:
        (id_,) = store.add([query(0)])
        lost = claimed(store)
        assert other.recover() == 1
        claim = claimed(other)
        assert not store.renew(lost)
        assert other.renew(claim)
        store.fail(lost, "too late to matter")
        assert store.states([id_]) == {id_: CLAIMED}


def test_a_worker_that_is_lost_too_often_fails_the_query(tmp_path: Path) -> None:
    with closing(LabelStore(tmp_path, max_tries=2)) as store:
        (id_,) = store.add([query(0)])
        for _ in range(2):
            claimed(store, dead_worker())
            store.recover()
        assert store.failures([id_]) == {id_: "its worker was lost, try 2"}


def test_what_a_worker_was_writing_when_it_was_killed_is_removed(store: LabelStore) -> None:
    (id_,) = store.add([query(1)])
    store.file(id_).parent.mkdir()
    writing = (
        "import os, signal, sys; from prnn_md.files import write_bytes; print(os.getpid(), flush=True);"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL); write_bytes(sys.argv[1], b'half')"
    )
    process = subprocess.run([sys.executable, "-c", writing, store.file(id_)], capture_output=True, text=True)
    (left,) = store.file(id_).parent.iterdir()
    assert left.read_bytes() == b"half"
    claimed(store, this_worker("x").replace(f":{os.getpid()}:", f":{int(process.stdout)}:"))
    assert store.recover() == 1
    assert list(store.file(id_).parent.iterdir()) == []


def test_a_finished_file_of_a_lost_worker_is_adopted(store: LabelStore) -> None:
    (id_,) = store.add([query(1)])
    claim = claimed(store, dead_worker())
    store.file(id_).parent.mkdir()
    store.file(id_).write_bytes(answer_to(claim).data)
    assert store.recover() == 0
    assert store.states([id_]) == {id_: DONE}
    assert torch.equal(store.label(id_).outputs["stress"], torch.full((2, 6), 2.0))


def test_a_finished_file_is_adopted_by_the_next_claim_where_noting_it_failed(store: LabelStore) -> None:
    ids = store.add([query(0), query(1)])
    claim = claimed(store)
    store.file(claim.query.id).parent.mkdir()
    store.file(claim.query.id).write_bytes(answer_to(claim).data)
    store.give_back(claim)  # as a worker does whose database has no space left
    assert claimed(store).query.id == ids[1]
    assert store.states(ids) == {ids[0]: DONE, ids[1]: CLAIMED}
    assert store.label(ids[0]).data == answer_to(claim).data


def test_files_are_adopted_by_another_database(tmp_path: Path, store: LabelStore) -> None:
    store.add([query(0)])
    claim = claimed(store)
    store.finish(claim, answer_to(claim))
    (tmp_path / "other").mkdir()
    (tmp_path / "store" / "files").rename(tmp_path / "other" / "files")
    with closing(LabelStore(tmp_path / "other")) as other:
        other.add([query(0)])
        assert other.states([claim.query.id]) == {claim.query.id: DONE}


def test_the_second_label_of_a_query_is_ignored(tmp_path: Path) -> None:
    with closing(LabelStore(tmp_path, lease=-1.0)) as store:
        (id_,) = store.add([query(1)])
        late = claimed(store)
        store.recover()
        claim = claimed(store)
        store.finish(claim, answer_to(claim))
        before = store.file(id_).stat().st_mtime_ns
        store.finish(late, Label({"stress": torch.zeros(2, 6)}))
        assert store.file(id_).stat().st_mtime_ns == before
        assert torch.equal(store.label(id_).outputs["stress"], torch.full((2, 6), 2.0))
        assert len([o for o in store.outcomes(0) if o.state == DONE]) == 1


def test_a_label_that_was_changed_or_is_gone_is_not_used(store: LabelStore) -> None:
    (id_,) = store.add([query(1)])
    claim = claimed(store)
    store.finish(claim, answer_to(claim))
    data = store.file(id_).read_bytes()
    store.file(id_).write_bytes(data[:-1] + b"x")
    with pytest.raises(StoreError, match="was changed or damaged: remove it, and repeat"):
        store.label(id_)
    store.file(id_).unlink()
    with pytest.raises(StoreError, match="cannot be read .*: repeat the command"):
        store.label(id_)
    store.add([query(1)])
    assert store.states([id_]) == {id_: NEW}


def test_processes_that_claim_at_once_get_different_queries(tmp_path: Path) -> None:
    with closing(LabelStore(tmp_path)) as store:
        ids = store.add([query(number) for number in range(300)])
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        parts = pool.starmap(claim_all, [(tmp_path, PHYSICS)] * 3)
    assert sorted(id_ for part in parts for id_ in part) == sorted(ids)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.sqlite").write_text(
        "This is not a database, but some text that is as long as a header of one is."
    )
    with pytest.raises(StoreError, match="cannot be used as a label store: file is not a database"):
        LabelStore(tmp_path)


def journal(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "labels.sqlite")) as database:
        (mode,) = database.execute("PRAGMA journal_mode").fetchone()
        return str(mode)


def test_a_store_for_several_machines_needs_no_memory_that_they_share(tmp_path: Path) -> None:
    LabelStore(tmp_path).close()
    assert journal(tmp_path) == "wal"
    with closing(LabelStore(tmp_path, several_machines=True)) as store:
        ids = store.add([query(number) for number in range(300)])
        assert not (tmp_path / "labels.sqlite-shm").exists()
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            parts = pool.starmap(claim_all, [(tmp_path, PHYSICS)] * 2)
    assert sorted(id_ for part in parts for id_ in part) == sorted(ids)
    LabelStore(tmp_path).close()
    assert journal(tmp_path) == "delete", "it stays so"
