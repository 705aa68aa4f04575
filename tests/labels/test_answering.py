"""Queries are answered by workers that may be killed at any instant, with the process that started them too."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
import torch
from scaling import Scaling

from prnn_md.labels.answering import LabelsFailed, answer
from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.executors.serial import SerialExecutor
from prnn_md.labels.store import DONE, LabelStore
from prnn_md.labels.work import StorePlace

SCRIPT = Path(__file__).with_name("scaling.py")


def executor_of(workers: int) -> Executor:
    return PoolExecutor(workers) if workers else SerialExecutor()


def asked(labeler: Scaling) -> list[list[str]]:
    """What the labeler wrote down: an id, and whether its label was finished before, in each line."""
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
    assert sorted(asked(labeler)) == sorted([id_, "first"] for id_ in ids)
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


def run(store: Path, executor: str, workers: int) -> subprocess.Popen[bytes]:
    """A command that has 120 labels made, with this folder in the path of its workers."""
    command = [sys.executable, "-c", "import scaling; scaling.main()", str(store), "120", "0.02", executor, str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)


def workers_of(process: int) -> list[int]:
    """Process ids below a process that belong to workers of the pool, or of Parsl."""
    found = []
    for child in map(int, subprocess.run(["pgrep", "-P", str(process)], capture_output=True).stdout.split()):
        with suppress(OSError):
            command = Path(f"/proc/{child}/cmdline").read_text()
            found += [child] if "spawn_main" in command or "process_worker_pool" in command else []
        found += workers_of(child)
    return found


def wait_for_answers(process: subprocess.Popen[bytes], labeler: Scaling) -> None:
    """Until the labeler has been asked by the workers of this process."""
    before = len(asked(labeler))
    while process.poll() is None and len(asked(labeler)) == before:
        time.sleep(0.02)


@pytest.mark.parametrize(("executor", "workers"), [("pool", 1), ("pool", 3), ("parsl", 2)])
def test_killed_workers_and_commands_lose_and_repeat_nothing_that_is_finished(
    tmp_path: Path, executor: str, workers: int
) -> None:
    rng = random.Random(workers)
    store, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (store, whole):
        folder.mkdir()
    labeler = Scaling(whole)
    answer(labeler.queries(120), labeler, StorePlace(whole), SerialExecutor())
    kills = 0
    for turn in range(8):
        process = run(store, executor, workers)
        if turn < 4:
            wait_for_answers(process, Scaling(store))
            time.sleep(rng.uniform(0.0, 0.3))
            victims = workers_of(process.pid)[-1:] if turn % 2 == 0 else [process.pid]
            for victim in victims:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
        if process.wait() == 0:
            break
    assert contents(store) == contents(whole)
    assert kills >= 1
    lines = asked(Scaling(store))
    assert {id_ for id_, _ in lines} == set(contents(whole))
    assert all(when == "first" for _, when in lines)
    assert len(lines) <= 120 + kills * workers
    with closing(LabelStore(store)) as opened:
        assert set(opened.states(list(contents(store))).values()) == {DONE}
