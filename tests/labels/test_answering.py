"""Queries are answered by workers that may be killed at any instant, with the process that started them too."""

import os
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
import torch
from scaling import Scaling

from prnn_md.labels.answering import LabelsFailed, answer
from prnn_md.labels.executors.executor import Executor, WorkersLost
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.executors.serial import SerialExecutor
from prnn_md.labels.store import DONE, LabelStore, StoreError
from prnn_md.labels.work import StorePlace

SCRIPT = Path(__file__).with_name("scaling.py")


def executor_of(workers: int) -> Executor:
    return PoolExecutor(workers) if workers else SerialExecutor()


def asked(labeler: Scaling) -> list[list[str]]:
    """The lines that the labeler wrote."""
    return [line.split() for line in labeler.log.read_text().splitlines()] if labeler.log.exists() else []


def contents(store: Path) -> dict[str, bytes]:
    """All files of labels by name."""
    return {file.name: file.read_bytes() for file in (store / "files").glob("*/*")}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_all_queries_are_answered_once(tmp_path: Path, workers: int) -> None:
    labeler, place = Scaling(tmp_path), StorePlace(tmp_path)
    queries = labeler.queries(30)
    ids = answer(queries, labeler, place, executor_of(workers))
    assert ids == [query.id for query in queries]
    with closing(place.open()) as store:
        for number, id_ in enumerate(ids):
            assert torch.equal(store.label(id_).outputs["stress"], torch.full((2, 6), 2.0 * number))
        assert all(0.0 <= cost < 1.0 for cost in store.costs(ids).values())
    assert sorted(line[:2] for line in asked(labeler)) == sorted([id_, "first"] for id_ in ids)
    assert answer(queries, labeler, place, executor_of(workers)) == ids
    assert len(asked(labeler)) == 30


def test_what_fails_is_named_and_the_rest_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labeler, place = Scaling(tmp_path), StorePlace(tmp_path, max_tries=2)
    queries = labeler.queries(3)
    bad = type(queries[0])(queries[0].labeler, {"strain": torch.full((2, 6), -1.0)})
    with pytest.raises(LabelsFailed, match=rf"1 of 4 labels failed; .*:\n{bad.id}: ValueError: this strain cannot"):
        answer([*queries, bad], labeler, place, SerialExecutor())
    assert len(contents(tmp_path)) == 3
    said = capsys.readouterr().err
    assert said.count("this strain cannot be scaled") == 2
    assert said.count("(it is tried again)") == 1


def test_a_longer_answer_keeps_its_lease(tmp_path: Path) -> None:
    labeler, place = Scaling(tmp_path, seconds=1.5), StorePlace(tmp_path, lease=0.4)
    answer(labeler.queries(1), labeler, place, PoolExecutor(2))
    assert len(asked(labeler)) == 1


def run(
    store: Path, executor: str, workers: int, before: str = "", stderr: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """A command that has 120 labels made, with this folder in the path of its workers; `before` is for the shell."""
    words = [sys.executable, "-c", "import scaling; scaling.main()", str(store), "120", "0.02", executor, str(workers)]
    environment = {**os.environ, "PYTHONPATH": f"{SCRIPT.parent}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(
        ["bash", "-c", f"{before} exec {shlex.join(words)}"], stderr=stderr, env=environment, cwd=store
    )


def started_for(store: Path) -> list[int]:
    """All processes of commands that work at a store: they have its folder as theirs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == store:
                found.append(int(process.name))
    return found


def check_ended(store: Path, seconds: float) -> None:
    """All these processes end within some time."""
    until = time.monotonic() + seconds
    while started_for(store) and time.monotonic() < until:
        time.sleep(0.1)
    assert started_for(store) == []


def kill(process: int) -> int:
    """Kill a process; 1 if it was there."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
        return 1
    return 0


def wait_for_answers(process: subprocess.Popen[bytes], labeler: Scaling) -> None:
    """Until the labeler has been asked by the workers of this process."""
    before = len(asked(labeler))
    while process.poll() is None and len(asked(labeler)) == before:
        time.sleep(0.02)


def check_killed(store: Path, whole: Path, kills: int, workers: int) -> None:
    """The labels are those of a run in which nobody was killed, and none was made again once it was finished."""
    labeler = Scaling(whole)
    answer(labeler.queries(120), labeler, StorePlace(whole), SerialExecutor())
    assert contents(store) == contents(whole)
    lines = asked(Scaling(store))
    assert {id_ for id_, _, _ in lines} == set(contents(whole))
    assert all(when == "first" for _, when, _ in lines)
    assert len(lines) <= 120 + kills * workers
    with closing(LabelStore(store)) as opened:
        assert set(opened.states(list(contents(store))).values()) == {DONE}


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.acceptance), 3])
def test_killed_workers_and_commands_lose_and_repeat_nothing_that_is_finished(tmp_path: Path, workers: int) -> None:
    rng, kills, store = random.Random(workers), 0, tmp_path / "killed"
    store.mkdir()
    for turn in range(8):
        process = run(store, "pool", workers)
        if turn < 4:
            wait_for_answers(process, Scaling(store))
            time.sleep(rng.uniform(0.0, 0.3))
            kills += kill(int(asked(Scaling(store))[-1][2]) if turn % 2 == 0 else process.pid)
        if process.wait() == 0:
            break
    assert kills >= 1
    check_killed(store, tmp_path / "whole", kills, workers)


def test_killed_workers_and_commands_of_parsl_leave_nothing_behind(tmp_path: Path) -> None:
    kills, store = 0, tmp_path / "killed"
    store.mkdir()
    process = run(store, "parsl", 2)
    wait_for_answers(process, Scaling(store))
    kills += kill(int(asked(Scaling(store))[-1][2]))
    time.sleep(0.2)
    kills += kill(process.pid)
    process.wait()
    assert len(started_for(store)) > 2, "the interchange and workers notice it later"
    assert run(store, "parsl", 2).wait() == 0
    check_ended(store, 20.0)
    assert kills == 2
    check_killed(store, tmp_path / "whole", kills, 2)


@pytest.mark.acceptance
def test_parsl_that_has_lost_its_interchange_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = run(tmp_path, "parsl", 1, stderr=subprocess.PIPE)
    wait_for_answers(process, Scaling(tmp_path))
    names = {number: Path(f"/proc/{number}/cmdline").read_text() for number in started_for(tmp_path)}
    (interchange,) = [number for number, name in names.items() if "interchange" in name]
    kill(interchange)
    _, said = process.communicate()
    assert process.returncode == 1
    assert "The process that connects this one with the workers has ended; repeat" in said.decode()
    check_ended(tmp_path, 5.0)


def integrity(store: Path) -> str:
    """What SQLite says of a store."""
    with closing(sqlite3.connect(store / "labels.sqlite")) as database:
        (found,) = database.execute("PRAGMA integrity_check").fetchone()
        return str(found)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_is_named_and_once_there_is_space_the_rest_is_done(
    tmp_path: Path, small_disk: Path, workers: int
) -> None:
    store = small_disk / "labels"
    labeler, place = Scaling(store, copies=1000, log_folder=tmp_path), StorePlace(store)
    queries = labeler.queries(100)
    said = rf"^{store}: .*(No space left|disk is full).* is kept: make space, or mend it, and repeat the command\.$"
    with pytest.raises((StoreError, WorkersLost), match=said):
        answer(queries, labeler, place, executor_of(workers))
    kept = contents(store)
    assert 10 < len(kept) < 100
    assert set(kept) <= {query.id for query in queries}
    assert integrity(store) == "ok"
    subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    answer(queries, labeler, place, executor_of(workers))
    assert len(contents(store)) == 100
    assert contents(store).items() >= kept.items()
    assert all(when == "first" for _, when, _ in asked(labeler))


def test_a_database_that_may_not_grow_is_named_and_goes_on_when_it_may(tmp_path: Path) -> None:
    limited = run(tmp_path, "pool", 1, before="ulimit -f 200;", stderr=subprocess.PIPE)
    _, said = limited.communicate()
    assert limited.returncode == 1
    lines = said.decode().splitlines()
    assert lines[-1].endswith("is kept: make space, or mend it, and repeat the command.")
    assert f"{tmp_path}: disk I/O error" in lines[-1]
    assert len(contents(tmp_path)) < 120
    assert integrity(tmp_path) == "ok"
    assert run(tmp_path, "pool", 1).wait() == 0
    assert len(contents(tmp_path)) == 120
    assert all(when == "first" for _, when, _ in asked(Scaling(tmp_path)))
