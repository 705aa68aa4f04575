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
    return [line.split() for line in labeler.log.read_text().splitlines()]


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


def run(store: Path, workers: int, count: int = 120) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SCRIPT), str(store), str(count), str(workers), "0.01"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def children(process: int) -> list[int]:
    """Process ids of the workers of a process."""
    found = subprocess.run(["pgrep", "-P", str(process), "-f", "spawn_main"], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.parametrize("workers", [1, 3])
def test_killed_workers_and_commands_lose_and_repeat_nothing_that_is_finished(tmp_path: Path, workers: int) -> None:
    rng = random.Random(workers)
    store, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (store, whole):
        folder.mkdir()
    labeler = Scaling(whole)
    answer(labeler.queries(120), labeler, StorePlace(whole), SerialExecutor())
    kills = 0
    for turn in range(20):
        process = run(store, workers)
        while turn < 4 and process.poll() is None and not children(process.pid):
            time.sleep(0.02)
        if turn < 4:
            time.sleep(rng.uniform(1.5, 3.0))
            for victim in children(process.pid)[:1] if turn % 2 else [process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
        if process.wait() == 0:
            break
    assert contents(store) == contents(whole)
    assert kills >= 2
    lines = asked(Scaling(store))
    assert {id_ for id_, _ in lines} == set(contents(whole))
    assert all(when == "first" for _, when in lines)
    assert len(lines) <= 120 + kills * workers
    with closing(LabelStore(store)) as opened:
        assert set(opened.states(list(contents(store))).values()) == {DONE}
