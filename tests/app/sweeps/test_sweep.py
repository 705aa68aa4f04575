"""Sweeps run side by side, say what came of every job, and go on where they were; jobs are real processes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import quick
from quick import QuickWorkers, search

from prnn_md.app.checking import ConfigError
from prnn_md.app.ledger import Interrupted, read_result
from prnn_md.app.records import read_sweep
from prnn_md.app.sweeps.running import run_sweep
from prnn_md.app.sweeps.sweep import JOURNAL


def states(folder: Path) -> list[str]:
    return [job["state"] for job in read_sweep(folder)["jobs"]]


def finished(folder: Path) -> list[int]:
    """The numbers of the jobs that have run to their end, each as often as it did."""
    file = folder / "finished.txt"
    return sorted(map(int, file.read_text().split())) if file.exists() else []


def test_a_grid_runs_every_job_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = [[f"seed={seed}", f"error={error}"] for error in (0.5, 0.25) for seed in (1, 2)]
    assert run_sweep(tmp_path, ["seed=1,2", "error=0.5,0.25"], planned, QuickWorkers(2))
    assert finished(tmp_path) == [0, 1, 2, 3]
    sweep = read_sweep(tmp_path)
    assert (sweep["sweeper"], sweep["total"], sweep["words"]) == ("grid", 4, ["seed=1,2", "error=0.5,0.25"])
    assert [job["objective"] for job in sweep["jobs"]] == [0.5, 0.5, 0.25, 0.25]
    assert sweep["jobs"][3]["values"] == {"seed": "2", "error": "0.25"}
    shown = capsys.readouterr().out
    assert "Best: job 2, seed=1 error=0.25" in shown
    assert "+0.2500 +- 0.0000" in shown, "differences seed by seed"
    assert run_sweep(tmp_path, [], planned, QuickWorkers(2))
    assert finished(tmp_path) == [0, 1, 2, 3]


def test_jobs_run_side_by_side(tmp_path: Path) -> None:
    start = time.monotonic()
    run_sweep(tmp_path, [], [[f"seed={seed}"] for seed in range(4)], QuickWorkers(4, seconds=3.0))
    assert time.monotonic() - start < 4 * 3.0


def test_a_failed_job_is_listed_and_the_others_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = [["fail=0"], ["fail=1"], ["fail=2"]]
    assert not run_sweep(tmp_path, [], planned, QuickWorkers())
    assert states(tmp_path) == ["finished", "failed", "finished"]
    shown = capsys.readouterr().out
    assert "Job 1 failed (fail=1)" in shown
    assert "  ValueError: this one was to fail" in shown
    assert not run_sweep(tmp_path, [], planned, QuickWorkers())
    assert (tmp_path / "1" / "job.log").read_text().count("process ") == 2, "it was tried again"
    assert finished(tmp_path) == [0, 2]


def test_other_jobs_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    run_sweep(tmp_path, [], [["seed=1"]], QuickWorkers())
    with pytest.raises(ConfigError, match=r"sweep of other jobs \(1 .* 2 that are new\):\n- seed=1\n\+ seed=2"):
        run_sweep(tmp_path, [], [["seed=2"], ["seed=3"]], QuickWorkers())
    assert finished(tmp_path) == [0]


def test_a_deleted_run_is_made_again(tmp_path: Path) -> None:
    planned = [["seed=1"], ["seed=2"]]
    run_sweep(tmp_path, [], planned, QuickWorkers())
    shutil.rmtree(tmp_path / "1")
    assert run_sweep(tmp_path, [], planned, QuickWorkers())
    assert finished(tmp_path) == [0, 1, 1]


def test_a_run_that_is_deleted_while_it_goes_on_has_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def delete() -> None:
        wait_for(tmp_path / "0" / "metrics.csv")
        shutil.rmtree(tmp_path / "0")

    deleter = threading.Thread(target=delete)
    deleter.start()
    planned = [["seed=1"], ["seed=2"]]
    assert not run_sweep(tmp_path, [], planned, QuickWorkers(2, seconds=4.0))
    deleter.join()
    assert states(tmp_path) == ["failed", "finished"]
    assert "Job 0 failed" in capsys.readouterr().out
    assert run_sweep(tmp_path, [], planned, QuickWorkers(2))
    assert finished(tmp_path) == [0, 1]


def test_a_search_asks_for_so_many_jobs_and_more_later(tmp_path: Path) -> None:
    assert search(tmp_path, 3, QuickWorkers(2))
    before = read_sweep(tmp_path)["jobs"]
    assert search(tmp_path, 5, QuickWorkers(2))
    sweep = read_sweep(tmp_path)
    assert sweep["jobs"][:3] == before
    assert finished(tmp_path) == [0, 1, 2, 3, 4]
    assert sweep["space"] == {"words": "", "error": "0.1 to 0.9", "kind": "a, b"}
    chosen = [float(job["values"]["error"]) for job in sweep["jobs"]]
    assert len(set(chosen)) == 5
    assert [job["objective"] for job in sweep["jobs"]] == chosen


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_a_search_is_the_same_in_one_go_and_in_two(sampler: str, tmp_path: Path) -> None:
    for folder, parts in ((tmp_path / "one", (4,)), (tmp_path / "two", (2, 4))):
        for jobs in parts:
            assert search(folder, jobs, QuickWorkers(seconds=0.0), sampler)
    one, two = (read_sweep(tmp_path / name)["jobs"] for name in ("one", "two"))
    assert one == two


def test_hopeless_jobs_of_a_search_are_stopped(tmp_path: Path) -> None:
    assert search(tmp_path, 12, QuickWorkers(2, seconds=1.5), "random", "median")
    assert set(states(tmp_path)) == {"finished", "pruned"}
    pruned = [job["number"] for job in read_sweep(tmp_path)["jobs"] if job["state"] == "pruned"]
    assert all(read_result(tmp_path / str(number))["status"] == "interrupted" for number in pruned)
    assert sorted([*finished(tmp_path), *pruned]) == list(range(12))
    before = states(tmp_path)
    assert search(tmp_path, 13, QuickWorkers(2, seconds=0.0), "random", "median"), "what was stopped stays so"
    assert states(tmp_path)[:12] == before


def test_a_search_in_another_space_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search(tmp_path, 1, QuickWorkers())
    parameter = quick.Parameter("error", low=0.1, high=0.5)
    monkeypatch.setattr(quick, "SPACE", quick.Space((), (parameter, quick.SPACE.parameters[1])))
    with pytest.raises(ConfigError, match=r"another space:\n  error: 0.1 to 0.9 there, 0.1 to 0.5 here\n"):
        search(tmp_path, 2, QuickWorkers())


def test_a_corrupt_journal_is_named_and_runs_are_left_alone(tmp_path: Path) -> None:
    search(tmp_path, 1, QuickWorkers())
    text = (tmp_path / JOURNAL).read_text()
    (tmp_path / JOURNAL).write_text(text[:40] + "\x00" + text[60:])
    with pytest.raises(ConfigError, match=rf"{JOURNAL} cannot be read .* restore it, or choose another"):
        search(tmp_path, 2, QuickWorkers())
    assert read_result(tmp_path / "0")["status"] == "finished"


def test_a_search_does_not_take_the_jobs_of_a_grid_for_its_own(tmp_path: Path) -> None:
    run_sweep(tmp_path, [], [["error=0.2"]], QuickWorkers())
    with pytest.raises(ConfigError, match="holds a sweep by hydra/sweeper=grid: choose another hydra.sweep.dir"):
        search(tmp_path, 1, QuickWorkers())
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(ConfigError, match="holds runs, but no sweep.json: choose another"):
        search(tmp_path, 1, QuickWorkers())
    with pytest.raises(ConfigError, match="holds runs, but no sweep.json: choose another"):
        run_sweep(tmp_path, [], [["error=0.3"]], QuickWorkers())


def test_a_search_whose_journal_is_gone_is_refused(tmp_path: Path) -> None:
    search(tmp_path, 1, QuickWorkers())
    (tmp_path / JOURNAL).unlink()
    with pytest.raises(ConfigError, match=f"a search without its {JOURNAL}: restore it"):
        search(tmp_path, 2, QuickWorkers())


def test_a_journal_with_a_torn_end_goes_on(tmp_path: Path) -> None:
    """As a kill, or a disk that was full, leaves it."""
    search(tmp_path, 2, QuickWorkers(seconds=0.0))
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(b'{"op_code": 5, "worker_id"')
    assert search(tmp_path, 3, QuickWorkers(seconds=0.0))
    assert search(tmp_path, 4, QuickWorkers(seconds=0.0))
    assert states(tmp_path) == ["finished"] * 4


def test_a_trial_that_was_killed_before_it_had_its_values_gets_them(tmp_path: Path) -> None:
    search(tmp_path / "whole", 2, QuickWorkers(seconds=0.0))
    lines = (tmp_path / "whole" / JOURNAL).read_text().splitlines(keepends=True)
    chosen = [number for number, line in enumerate(lines) if json.loads(line).get("param_name") == "error"]
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / JOURNAL).write_text("".join(lines[: chosen[0]]))
    assert search(tmp_path / "killed", 2, QuickWorkers(seconds=0.0))
    whole, killed = (read_sweep(tmp_path / name)["jobs"] for name in ("whole", "killed"))
    assert killed == whole


def test_two_processes_do_not_work_at_one_sweep(tmp_path: Path) -> None:
    other = subprocess.Popen(command("grid", tmp_path, 30.0, 1, 1))
    wait_for(tmp_path / "0" / "result.json")
    with pytest.raises(ConfigError, match="still going on"):
        run_sweep(tmp_path, [], [["seed=0", "error=0.1"]], QuickWorkers())
    other.terminate()
    assert other.wait() == 130
    assert states(tmp_path) == ["interrupted"]


def command(what: str, folder: Path, seconds: float, slots: int, jobs: int) -> list[str]:
    return [sys.executable, quick.__file__, what, str(folder), str(seconds), str(slots), str(jobs)]


def wait_for(file: Path, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)


def jobs_of(folder: Path) -> list[int]:
    """The processes of jobs in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            if "job" in words and any(word.startswith(f"{folder}/") for word in words):
                found.append(int(process.name))
    return found


def test_an_interrupted_sweep_leaves_no_process_and_says_so(tmp_path: Path) -> None:
    def stop() -> None:
        for name in ("0", "1"):
            wait_for(tmp_path / name / "result.json")
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Interrupted):
        run_sweep(tmp_path, [], [["seed=1"], ["seed=2"], ["seed=3"]], QuickWorkers(2, seconds=60.0))
    stopper.join()
    assert states(tmp_path) == ["interrupted", "interrupted", "waiting"]
    assert [read_result(tmp_path / name)["status"] for name in ("0", "1")] == ["interrupted", "interrupted"]
    assert jobs_of(tmp_path) == []


@pytest.mark.parametrize("what", ["grid", "search"])
def test_killed_sweeps_run_every_job_to_its_end_once(what: str, tmp_path: Path) -> None:
    """SIGKILL of the parent, of a job, and of all, at random instants; then the same command again."""
    rng, count = random.Random(3), 8
    for turn in range(12):
        process = subprocess.Popen(command(what, tmp_path, 0.4, 2, count), start_new_session=True)
        if turn < 5:
            wait_for(tmp_path / str(min(turn, count - 1)) / "result.json")
            time.sleep(rng.uniform(0.0, 0.5))
            jobs = jobs_of(tmp_path)
            for victim in ([process.pid], jobs[:1], [process.pid, *jobs])[turn % 3]:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
        if process.wait() == 0:
            break
    assert finished(tmp_path) == list(range(count))
    assert states(tmp_path) == ["finished"] * count
    assert len(list(tmp_path.glob("[0-9]*"))) == count
    assert jobs_of(tmp_path) == []


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_disk_that_takes_no_more_is_named_and_nothing_finished_is_lost(what: str, small_disk: Path) -> None:
    folder = small_disk / "sweep"
    run = command("search", folder, 0.2, 1, 4)
    assert subprocess.run([*run[:-1], "2"]).returncode == 0
    before = read_sweep(folder)
    if what == "full":
        with suppress(OSError), (small_disk / "ballast").open("wb") as file:
            while True:
                file.write(b"0" * 4096)
                file.flush()
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = subprocess.run(run, capture_output=True, text=True)
    assert refused.returncode in (1, 2)
    assert "Traceback" not in refused.stderr
    assert f"error: {folder}: [Errno {28 if what == 'full' else 30}]" in refused.stderr
    assert "What is finished is kept" in refused.stderr
    subprocess.run(["mount", "-o", "remount,rw,size=6m", str(small_disk)], check=True)
    assert subprocess.run(run).returncode == 0
    assert finished(folder) == [0, 1, 2, 3]
    assert read_sweep(folder)["jobs"][:2] == before["jobs"]
