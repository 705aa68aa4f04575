"""Run folders are found and read, and what cannot be read is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prnn_md.app.ledger import Ledger
from prnn_md.app.records import RecordError, find_records, read_record, read_sweep

CONFIG = {"seed": 3, "seeds": {"data": 1}, "label": "PRNN"}


def finished(folder: Path) -> Path:
    with Ledger(folder, CONFIG) as ledger:
        ledger.record(metrics={"test/error": 0.5})
    return folder


def rewrite(folder: Path, **entries: object) -> None:
    file = folder / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


def test_runs_are_found_in_the_order_of_their_start(tmp_path: Path) -> None:
    folders = [finished(tmp_path / "b"), finished(tmp_path / "sweep" / "0"), finished(tmp_path / "a")]
    for number, folder in enumerate(folders):
        rewrite(folder, started=f"2026-01-0{number + 1}")
    finished(folders[0] / "compare" / "gru")
    assert [record.folder for record in find_records([tmp_path])[0]] == folders
    assert [record.folder for record in find_records([tmp_path / "a", tmp_path])[0]] == folders
    both = find_records([tmp_path], compared=True)[0]
    assert [record.folder.name for record in both] == ["b", "0", "a", "gru"]
    assert [record.compared_in for record in both] == [None, None, None, folders[0]]
    assert both[0].config == CONFIG
    assert both[0].metrics == {"test/error": 0.5}


def test_a_run_whose_process_is_gone_is_lost(tmp_path: Path) -> None:
    assert read_record(finished(tmp_path)).status == "finished"
    rewrite(tmp_path, status="running")
    assert read_record(tmp_path).status == "running"
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    rewrite(tmp_path, process=int(gone.stdout))
    assert read_record(tmp_path).status == "lost"
    rewrite(tmp_path, host="elsewhere")
    assert read_record(tmp_path).status == "running"


def test_a_job_of_a_sweep_knows_its_sweep(tmp_path: Path) -> None:
    alone, job = finished(tmp_path / "alone"), finished(tmp_path / "sweep" / "0")
    content = {"schema_version": 1, "words": ["seed=1,2"]}
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(content))
    assert read_record(alone).sweep is None
    assert read_record(job).sweep == tmp_path / "sweep"
    assert read_record(finished(job / "compare" / "gru")).sweep == tmp_path / "sweep"
    assert read_sweep(tmp_path / "sweep") == content


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=f"There is no folder {tmp_path / 'missing'}"):
        find_records([tmp_path / "missing"])[0]
    with pytest.raises(RecordError, match=r"result\.json cannot be read: .*No such file"):
        read_record(tmp_path)
    rewrite(finished(tmp_path), schema_version=99)
    with pytest.raises(RecordError, match=r"result\.json has the schema version 99, .* reads 1: use the version"):
        read_record(tmp_path)
    (tmp_path / "result.json").write_text("{")
    (error,) = find_records([tmp_path])[1]
    assert "result.json cannot be read" in str(error)


def test_a_sweep_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text('{"schema_version": 99, "jobs": []}')
    with pytest.raises(RecordError, match=r"sweep\.json has the schema version 99"):
        read_sweep(tmp_path)


@pytest.mark.parametrize("entries", [{"host": None}, {"process": "many"}, {"metrics": []}, {"started": 3}])
def test_a_result_that_lacks_what_every_run_tells_is_refused(entries: dict, tmp_path: Path) -> None:
    rewrite(finished(tmp_path), **entries)
    with pytest.raises(RecordError, match=rf"result\.json does not tell {next(iter(entries))}\."):
        read_record(tmp_path)
    (tmp_path / "result.json").write_text("[1, 2]")
    with pytest.raises(RecordError, match=r"result\.json has the schema version None"):
        read_record(tmp_path)


def test_what_cannot_be_read_does_not_hide_the_rest(tmp_path: Path) -> None:
    good, bad = finished(tmp_path / "good"), finished(tmp_path / "bad")
    (bad / "result.json").write_text("")
    records, (error,) = find_records([tmp_path])
    assert [record.folder for record in records] == [good]
    assert str(bad) in str(error)
    (good / "config.yaml").write_text("- seed\n")
    with pytest.raises(RecordError, match=r"config\.yaml holds no configuration"):
        read_record(good).config  # noqa: B018


def test_what_is_being_deleted_is_no_run(tmp_path: Path) -> None:
    finished(tmp_path / ".run.123.deleted")
    assert find_records([tmp_path])[0] == []
