"""A repeated command finds the run or the sweep that it is to go on with."""

import json
from pathlib import Path

import pytest

from prnn_md.app.continuing import unfinished_run, unfinished_sweep
from prnn_md.app.ledger import Interrupted, Ledger

CONFIG = {"seed": 3, "seeds": {"data": 1}, "label": "PRNN"}


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def interrupted(folder: Path, **changes: object) -> Path:
    with pytest.raises(Interrupted), Ledger(folder, {**CONFIG, **changes}):
        raise Interrupted("SIGTERM")
    return folder


def test_the_newest_unfinished_run_of_the_same_configuration(tmp_path: Path) -> None:
    assert unfinished_run(CONFIG, []) is None
    day = tmp_path / "outputs" / "2026-01-02"
    interrupted(day / "09-00-00-aaaaaa")
    newest = interrupted(day / "10-00-00-aaaaaa")
    interrupted(day / "11-00-00-aaaaaa", label="GRU")
    with Ledger(day / "12-00-00-aaaaaa", CONFIG):
        pass
    (day / "13-00-00-aaaaaa").mkdir()
    (day / "13-00-00-aaaaaa" / "result.json").write_text("{")
    assert unfinished_run(CONFIG, ["seed=3"]) == newest
    assert unfinished_run(CONFIG, ["hydra.run.dir=here"]) is None


def sweep(folder: Path, words: list[str], states: list[str], total: int) -> Path:
    folder.mkdir(parents=True)
    jobs = [{"number": number, "state": state} for number, state in enumerate(states)]
    (folder / "sweep.json").write_text(json.dumps({"words": words, "total": total, "jobs": jobs}))
    return folder


def test_the_newest_unfinished_sweep_of_the_same_words(tmp_path: Path) -> None:
    day, words = tmp_path / "outputs" / "2026-01-02", ["seed=1,2", "md=j2"]
    assert unfinished_sweep(words) is None
    newest = sweep(day / "10-00-00-aaaaaa-sweep", words, ["finished", "waiting"], 2)
    sweep(day / "11-00-00-aaaaaa-sweep", words, ["finished", "failed"], 2)
    sweep(day / "12-00-00-aaaaaa-sweep", ["seed=1,2"], ["waiting"], 2)
    assert unfinished_sweep([*words, "hydra.launcher.slots=2"]) == newest
    search = sweep(day / "13-00-00-aaaaaa-sweep", words, ["finished"], 5)
    assert unfinished_sweep(words) == search, "jobs are still to be chosen"
    assert unfinished_sweep([*words, "hydra.sweep.dir=here"]) is None
