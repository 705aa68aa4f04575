"""Jobs resume by repetition, and a failed one is named at the end without stopping the others.

The jobs copy files (shutil.copyfile), since worker processes must be able to import what they run.
"""

import shutil
from pathlib import Path

import pytest

from prnn_md.labels.jobs import Job, JobsFailed, run_jobs


def copying(source: Path, output: Path) -> Job:
    return Job(output, shutil.copyfile, (source,))


def test_only_missing_outputs_are_made(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("new")
    finished, missing = tmp_path / "finished", tmp_path / "missing"
    finished.write_text("old")
    run_jobs([copying(source, finished), copying(source, missing)], 1, "copies")
    assert finished.read_text() == "old"
    assert missing.read_text() == "new"


def test_nothing_runs_when_all_is_there(tmp_path: Path) -> None:
    finished = tmp_path / "finished"
    finished.write_text("old")
    run_jobs([copying(tmp_path / "no such source", finished)], 1, "copies")
    assert finished.read_text() == "old"


def test_failures_are_named_after_all_others_ran_and_a_repetition_retries_them(tmp_path: Path) -> None:
    good, late = tmp_path / "good source", tmp_path / "late source"
    good.write_text("good")
    jobs = [copying(late, tmp_path / "second"), copying(good, tmp_path / "first")]
    with pytest.raises(JobsFailed, match=r"1 of 2 simulations failed; .*run again to retry:\nsecond: .*late source"):
        run_jobs(jobs, 1, "copies")
    assert (tmp_path / "first").read_text() == "good"
    late.write_text("late")
    run_jobs(jobs, 1, "copies")
    assert (tmp_path / "second").read_text() == "late"
