"""Runs go by rule, as a whole, and never without being asked for or while they are going on."""

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prnn_md.app.main import main
from prnn_md.app.processes import start_of
from prnn_md.app.records import find_records, read_record
from prnn_md.app.runs.prune_dialogue import carry_out, size
from prnn_md.app.runs.pruning import StillGoingOn, delete, doomed

ALL = {"good", "tries/0", "tries/1", "better", "failed", "lost", "going", "unreadable"}


def present(place: Path) -> set[str]:
    return {str(file.parent.relative_to(place)) for file in place.rglob("result.json") if "compare" not in file.parts}


@pytest.mark.parametrize(
    ("rule", "deleted"),
    [
        (["--status", "failed,lost,interrupted,running"], {"failed", "lost"}),
        (["--where", "optimizer.lr=0.5", "seed=1"], {"tries/0"}),
        (["--where", "status=finished", "--keep-best", "1"], {"good", "tries/0", "tries/1"}),
        (["--status", "finished", "--keep-best", "2", "--by", "test/net_error"], {"good", "better"}),
        (["--keep-best", "100", "--by", "sweep"], {"good", "better", "failed", "lost"}),
        (["--older-than", "30d"], set()),
        (["--older-than", "1h"], {"good"}),
    ],
)
def test_rules_choose_what_goes(rule: list[str], deleted: set[str], place: Path, capsys: pytest.CaptureFixture) -> None:
    ended = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="seconds")
    file = place / "good" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"finished": ended}))
    assert main(["runs", "prune", str(place), *rule, "--yes"]) == 0
    assert present(place) == ALL - deleted
    assert list(place.rglob("*.deleted")) == []
    shown = capsys.readouterr()
    assert f"in all: {len(deleted)} runs" in shown.out if deleted else "There is nothing to delete." in shown.out
    assert ("jobs of sweeps" in shown.out) is any(name.startswith("tries") for name in deleted)
    assert "unreadable: " in shown.err


def test_sizes_are_those_of_the_files(place: Path, capsys: pytest.CaptureFixture) -> None:
    (one,) = doomed([read_record(place / "good")], checkpoints_only=False)
    listed = subprocess.run(["find", place / "good", "-type", "f", "-printf", "%s\n"], capture_output=True, text=True)
    assert one.size == sum(map(int, listed.stdout.split()))
    assert [size(count) for count in (0, 999, 1234, 5.6e6, 7e9, 8e12)] == [
        "0 B",
        "999 B",
        "1.23 kB",
        "5.6 MB",
        "7 GB",
        "8 TB",
    ]


def test_only_checkpoints_go(place: Path, capsys: pytest.CaptureFixture) -> None:
    file = place / "good" / "wandb" / "offline-run-1" / "run-1.wandb"
    file.parent.mkdir(parents=True)
    file.touch()
    assert main(["runs", "prune", str(place), "--checkpoints-only", "--yes"]) == 0
    assert present(place) == ALL
    assert not (place / "good" / "checkpoints").exists()
    assert not (place / "good" / "compare" / "gru" / "checkpoints").exists()
    assert (place / "good" / "predictions.h5").is_file()
    assert all((place / name / "checkpoints").is_dir() for name in ("going", "failed", "lost"))
    shown = capsys.readouterr().out
    assert "the checkpoints of 4 runs" in shown
    assert "1 of them have W&B runs that are not uploaded" in shown
    assert main(["runs", "prune", str(place), "--checkpoints-only", "--status", "finished", "--yes"]) == 0
    assert "There is nothing to delete." in capsys.readouterr().out


def test_without_a_rule_nothing_goes(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "prune", str(place), "--yes"]) == 1
    assert "Say which runs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["runs", "prune", str(place), "--older-than", "3"])
    assert "3 is no age: write 12h, 30d or 8w." in capsys.readouterr().err
    assert present(place) == ALL


def command(place: Path) -> list[str]:
    script = "import sys; from prnn_md.app.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", script, "runs", "prune", str(place), "--status", "failed"]


def test_without_a_terminal_nothing_goes_but_by_yes(place: Path) -> None:
    done = subprocess.run(command(place), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1
    assert str(place / "failed") in done.stdout
    assert "error: Nothing is deleted: there is no terminal to ask on. Add --yes" in done.stderr
    assert present(place) == ALL


@pytest.mark.parametrize(("answer", "deleted"), [("y\n", {"failed"}), ("n\n", set()), ("\n", set())])
def test_on_a_terminal_the_answer_decides(answer: str, deleted: set[str], place: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(command(place), stdin=theirs, capture_output=True, text=True)
    os.close(ours), os.close(theirs)
    assert done.returncode == 0
    assert "Delete all this? [y/N]" in done.stdout
    assert present(place) == ALL - deleted


def test_a_run_that_was_taken_up_again_stays(place: Path, capsys: pytest.CaptureFixture) -> None:
    (one,) = doomed([read_record(place / "failed")], checkpoints_only=False)
    file = place / "failed" / "result.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"status": "running", "process_start": start_of(os.getpid())})
    )
    with pytest.raises(StillGoingOn, match="has been taken up again"):
        delete(one)
    assert (place / "failed" / "predictions.h5").is_file()


def test_an_interrupted_deletion_leaves_no_run_and_is_finished_later(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    (place / "failed").rename(place / ".failed.123.deleted")
    assert "failed" not in {
        record.folder.name for record in find_records([place / name for name in ("good", "tries")])[0]
    }
    (place / "unreadable" / "result.json").unlink()
    assert all(record.status != "failed" for record in find_records([place])[0])
    assert main(["runs", "prune", str(place), "--status", "failed", "--yes"]) == 0
    assert "left by an interrupted deletion" in capsys.readouterr().out
    assert not (place / ".failed.123.deleted").exists()
    assert present(place) == ALL - {"failed", "unreadable"}


def test_what_may_not_be_deleted_is_said_and_the_others_go(place: Path, capsys: pytest.CaptureFixture) -> None:
    found = doomed([read_record(place / name) for name in ("failed", "good")], checkpoints_only=False)
    (place / "failed" / "result.json").unlink()  # by somebody else, in between
    assert carry_out(found, []) == 1
    shown = capsys.readouterr()
    assert "not deleted: " in shown.err
    assert "Deleted: 1 of 2." in shown.out
    assert not (place / "good").exists()
