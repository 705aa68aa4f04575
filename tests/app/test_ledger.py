"""A run folder says how its run ended, and who may go on in it."""

import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from prnn_md.app.ledger import FolderGone, FolderInUse, Interrupted, Ledger, commit_of, interruptible, read_result
from prnn_md.app.processes import is_alive, start_of

CONFIG = {"seed": 3, "seeds": {"data": 1}, "label": "PRNN", "optimizer": {"lr": 0.1}}


def test_a_finished_run_is_recorded(tmp_path: Path) -> None:
    with Ledger(tmp_path / "run", CONFIG, ["seed=3"]) as ledger:
        assert read_result(ledger.folder)["status"] == "running"
        ledger.record(metrics={"test/error": 0.5})
        ledger.record(metrics={"label/floor": 0.1})
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["error"] is None
    assert result["metrics"] == {"test/error": 0.5, "label/floor": 0.1}
    assert result["schema_version"] == 1
    assert result["seeds"] == {"data": 1}
    assert result["versions"]["torch"]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == CONFIG
    assert yaml.safe_load((tmp_path / "run" / "overrides.yaml").read_text()) == ["seed=3"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("a NaN"), "failed"), (KeyboardInterrupt(), "interrupted"), (Interrupted("SIGTERM"), "interrupted")],
)
def test_a_crash_leaves_status_and_error(error: BaseException, status: str, tmp_path: Path) -> None:
    with pytest.raises(type(error)), Ledger(tmp_path, CONFIG):
        raise error
    result = read_result(tmp_path)
    assert result["status"] == status
    assert result["error"] == f"{type(error).__name__}: {error}"
    assert "test_ledger.py" in result["traceback"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_interrupt_and_handlers_come_back(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted), interruptible(), Ledger(tmp_path, CONFIG):
        os.kill(os.getpid(), number)
    assert read_result(tmp_path)["error"] == f"Interrupted: {signal.Signals(number).name}"
    assert signal.getsignal(number) is before


def test_threads_leave_signals_alone() -> None:
    seen = []

    def work() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_an_interrupted_run_is_continued(tmp_path: Path) -> None:
    first = Ledger(tmp_path, CONFIG)
    first.record(metrics={"valid/error": 0.3}, trained=True)
    with pytest.raises(RuntimeError), first:
        raise RuntimeError
    with Ledger(tmp_path, CONFIG) as ledger:
        assert ledger.resumed
        assert ledger.result["trained"]
    result = read_result(tmp_path)
    assert (result["status"], result["error"]) == ("finished", None)
    assert result["metrics"] == {"valid/error": 0.3}


def test_a_finished_run_is_not_continued(tmp_path: Path) -> None:
    with Ledger(tmp_path, CONFIG):
        pass
    with pytest.raises(FolderInUse, match="finished run"):
        Ledger(tmp_path, CONFIG)


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Ledger(tmp_path, CONFIG):
        raise RuntimeError
    with pytest.raises(FolderInUse, match=r"optimizer\.lr is 0\.1 there and 0\.2 here"):
        Ledger(tmp_path, {**CONFIG, "optimizer": {"lr": 0.2}})


def test_a_living_run_is_not_disturbed(tmp_path: Path) -> None:
    with Ledger(tmp_path, CONFIG) as ledger:
        ledger.record(process=os.getppid(), process_start=start_of(os.getppid()))
        with pytest.raises(FolderInUse, match=f"process {os.getppid()}"):
            Ledger(tmp_path, CONFIG)


def test_a_later_process_of_the_same_number_does_not_keep_a_run_alive(tmp_path: Path) -> None:
    """As in containers, where every command may be process 1 of a machine of the same name."""
    with Ledger(tmp_path, CONFIG) as ledger:
        assert is_alive(ledger.result)
        ledger.record(process=os.getppid())
        assert not is_alive(ledger.result)
        assert Ledger(tmp_path, CONFIG).resumed


def test_a_process_of_another_user_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(process: int, number: int) -> None:
        raise PermissionError

    with Ledger(tmp_path, CONFIG) as ledger:
        ledger.record(process=os.getppid(), process_start=start_of(os.getppid()))
        monkeypatch.setattr(os, "kill", forbidden)
        with pytest.raises(FolderInUse, match="still going on"):
            Ledger(tmp_path, CONFIG)


def test_a_deleted_folder_is_noticed_and_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ledger = Ledger(folder, CONFIG)
    shutil.rmtree(folder)
    (folder / "checkpoints").mkdir(parents=True)  # as Lightning would make it again
    with pytest.raises(FolderGone, match=f"{folder} was deleted while its run was going on"):
        ledger.record(trained=True)
    assert not (folder / "result.json").exists()


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with Ledger(tmp_path, CONFIG) as ledger:
        ledger.record(metrics={"a": float("nan"), "b": 1.0}, rows=({"error": -float("inf")},))
    result = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert result == ledger.result
    assert result["metrics"] == {"a": None, "b": 1.0}
    assert result["rows"] == [{"error": None}]


def test_a_checkout_is_changed_by_its_files_but_not_by_results_of_studies(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == (None, None)

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    line, code = tmp_path / "results" / "mine" / "runs.jsonl", tmp_path / "code.py"
    line.parent.mkdir(parents=True)
    line.write_text("1\n")
    code.write_text("1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    line.write_text("1\n2\n")
    commit, changed = commit_of(tmp_path)
    assert len(commit or "") == 40
    assert changed is False
    code.write_text("2\n")
    assert commit_of(tmp_path) == (commit, True)
