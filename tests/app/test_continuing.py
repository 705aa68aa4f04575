"""A repeated command finds the run or the sweep that it is to go on with."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from prnn_md.app.continuing import unfinished_run, unfinished_sweep
from prnn_md.app.ledger import Interrupted, Ledger
from prnn_md.app.sweeps.plan import Parameter, Space

CONFIG = {"seed": 3, "seeds": {"data": 1}, "label": "PRNN"}


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def interrupted(folder: Path, **changes: object) -> Path:
    with pytest.raises(Interrupted), Ledger(folder, {**CONFIG, **changes}):
        raise Interrupted("SIGTERM")
    return folder


def test_the_newest_unfinished_run_of_the_same_configuration(tmp_path: Path) -> None:
    assert unfinished_run(CONFIG) is None
    day = tmp_path / "outputs" / "2026-01-02"
    interrupted(day / "09-00-00-aaaaaa")
    newest = interrupted(day / "10-00-00-aaaaaa")
    interrupted(day / "11-00-00-aaaaaa", label="GRU")
    with Ledger(day / "12-00-00-aaaaaa", CONFIG):
        pass
    (day / "13-00-00-aaaaaa").mkdir()
    (day / "13-00-00-aaaaaa" / "result.json").write_text("{")
    assert unfinished_run(CONFIG) == newest


def test_a_single_run_does_not_take_over_a_job_of_a_sweep(tmp_path: Path) -> None:
    interrupted(tmp_path / "outputs" / "study" / "0")
    write_sweep(tmp_path / "outputs" / "study", [["seed=3"]], ["interrupted"])
    assert unfinished_run(CONFIG) is None


def write_sweep(folder: Path, words: list[list[str]], states: list[str], **about: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [{"number": n, "words": w, "state": state} for n, (w, state) in enumerate(zip(words, states, strict=True))]
    (folder / "sweep.json").write_text(json.dumps({"schema_version": 1, "sweeper": "grid", "jobs": jobs, **about}))
    return folder


def test_the_newest_sweep_with_the_same_jobs_of_which_some_are_left(tmp_path: Path) -> None:
    day, words = tmp_path / "outputs" / "2026-01-02", [["seed=1"], ["seed=2"]]
    assert unfinished_sweep(words) is None
    write_sweep(day / "09-00-00-aaaaaa-sweep", words, ["finished", "waiting"])
    time.sleep(0.01)
    newest = write_sweep(day / "10-00-00-aaaaaa-sweep", words, ["finished", "failed"])
    write_sweep(day / "11-00-00-aaaaaa-sweep", words, ["finished", "finished"])
    write_sweep(day / "12-00-00-aaaaaa-sweep", [["seed=1"]], ["waiting"])
    write_sweep(day / "13-00-00-aaaaaa-sweep", words, ["finished", "waiting"], sweeper="optuna", space={})
    (day / "14-00-00-aaaaaa-sweep").mkdir()
    (day / "14-00-00-aaaaaa-sweep" / "sweep.json").write_text("{}")
    assert unfinished_sweep(words) == newest


def test_a_search_goes_on_where_more_jobs_are_asked_for(tmp_path: Path) -> None:
    space = Space(("md=j2",), (Parameter("optimizer.lr", low=0.1, high=0.2),), total=2)
    about = {"sweeper": "optuna", "space": space.described}
    folder = write_sweep(tmp_path / "outputs" / "a" / "b", [["x=1"], ["x=2"]], ["finished", "failed"], **about)
    assert unfinished_sweep(space) is None
    assert unfinished_sweep(replace(space, total=3)) == folder
    assert unfinished_sweep(replace(space, words=("md=elastic",), total=3)) is None
