"""The table of runs: which are in it, in what order, and with which columns."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prnn_md.app.main import main
from prnn_md.app.records import read_record
from prnn_md.app.runs.conditions import parsed
from prnn_md.app.runs.values import value


def names(words: list[str], capsys: pytest.CaptureFixture) -> list[str]:
    """The last part of the folders that a listing finds."""
    assert main(["runs", *words, "--json", "-"]) == 0
    return [Path(row["folder"]).name for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([], ["good", "0", "better", "1", "failed", "lost", "going"]),
        (["status=finished"], ["good", "0", "better", "1"]),
        (["status=failed,lost"], ["failed", "lost"]),
        (["status!=finished,failed"], ["lost", "going"]),
        (["test/net_error<0.15"], ["0"]),
        (["test/net_error<=0.3", "status=finished", "test/net_error>=0.2"], ["good", "1"]),
        (["optimizer.lr=5e-1"], ["0", "1"]),
        (["optimizer.lr=0.5", "seed=2"], ["1"]),
        (["md.j2.yield_stress>1.5"], ["better"]),
        (["error=null", "sweep=tr*s"], ["0", "1"]),
        (["error=*boom"], ["failed"]),
        (["sweep=null", "error=null", "status!=running,lost"], ["good", "better"]),
        (["started>2026-01-05"], ["failed", "lost", "going"]),
        (["folder=*/better"], ["better"]),
        (["model=PRNN", "md=j2", "dataset=tiny", "n_train=4", "label=prnn", "seed=1"], ["0"]),
        (["encoder.rotations=true", "seed=1"], ["0"]),
        (["encoder.rotations=false"], []),
        (["compare=gru*", "seed=1"], ["0"]),
        (["logger._target_==prnn_md.app.metrics_log.csv_only", "versions.torch=2*", "seed=1"], ["0"]),
    ],
)
def test_conditions_choose(conditions: list[str], found: list[str], place: Path, capsys: pytest.CaptureFixture) -> None:
    assert names([str(place), *["--where"] * bool(conditions), *conditions], capsys) == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--where", "test/net_eror<1"],
            "test/net_eror: none of the runs has such a key.\nDid you mean test/net_error",
        ),
        (["--sort", "lr"], "lr: none of the runs has such a key.\nDid you mean optimizer.lr"),
        (["--columns", "label,sed"], "sed: none of the runs has such a key.\nDid you mean seed"),
        (["--where", "finished"], "'finished' is no condition: write status=finished"),
        (["--where", "seed<many"], "seed<many: seed is a number."),
        (["--where", "compare<3"], "compare<3: compare is a list, which has no order."),
        (["elsewhere"], "There is no folder elsewhere."),
    ],
)
def test_a_wrong_word_is_explained(words: list[str], message: str, place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", str(place), *words]) == 1
    assert f"error: {message}" in capsys.readouterr().err


def test_runs_are_sorted_and_those_without_a_value_come_last(place: Path, capsys: pytest.CaptureFixture) -> None:
    chosen = [str(place), "--where", "status=finished,failed", "--sort"]
    assert names([*chosen, "md.j2.yield_stress"], capsys)[-1] == "better"
    assert names([*chosen, "test/net_error"], capsys)[:2] == ["0", "1"]
    assert names([*chosen, "seed", "--descending"], capsys)[:2] == ["1", "0"]
    assert names([*chosen, "sweep"], capsys) == names([*chosen, "sweep", "--descending"], capsys)
    assert names([*chosen, "sweep"], capsys) == ["0", "1", "good", "better", "failed"]
    assert names([*chosen, "error", "--descending"], capsys)[0] == "failed"


def test_the_table_groups_sweeps_and_says_above_what_all_share(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", str(place)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == f"7 runs in {place}"
    assert lines[1].startswith("All: label PRNN, md j2, dataset tiny, n_train 4, floor ")
    first = [line.split("│")[1].rstrip() for line in lines if line.startswith("│")]
    assert first == [" good", " tries", "   0", "   1", " better", " failed", " lost", " going"]
    assert "label" not in lines[3]
    job = next(line for line in lines if line.startswith("│   0"))
    result = read_record(place / "tries" / "0").metrics
    assert f"0.100 ({result['test/net_low']:.3f} to {result['test/net_high']:.3f})" in job
    assert "2026-01-02 10:00" in job
    assert shown.err.startswith(f"unreadable: {place / 'unreadable' / 'result.json'} cannot be read: ")


def test_a_narrow_terminal_has_fewer_columns_but_whole_names(place: Path) -> None:
    script = f"COLUMNS=70 NO_COLOR=1 '{sys.executable}' -c 'from prnn_md.app.main import main; main()' runs '{place}'"
    done = subprocess.run(["script", "-qec", script, "/dev/null"], capture_output=True, text=True)
    assert "Too narrow for started, time, valid error: name what you want with --columns." in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith(("│ good", "│   0", "│ going"))]
    assert len(rows) == 3
    assert max(map(len, rows)) <= 70
    assert "0.300 (" in rows[0]


def test_sorted_tables_name_the_whole_folder(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", str(place / "tries"), str(place / "good"), "--sort", "test/net_error"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("│")[1].strip() for line in lines if line.startswith("│")] == ["tries/0", "tries/1", "good"]


def test_columns_are_chosen_and_added(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", str(place), "--columns", "seed,optimizer.lr", "--csv", "-"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert set(rows[0]) == {"folder", "seed", "optimizer.lr"}
    assert rows[1] == {"folder": str(place / "tries" / "0"), "seed": "1", "optimizer.lr": "0.5"}
    assert main(["runs", str(place), "--columns", "+optimizer.lr", "--json", str(place / "runs.json")]) == 0
    row = json.loads((place / "runs.json").read_text())[1]
    assert (row["label"], row["test/net_error"], row["optimizer.lr"]) == ("PRNN", 0.1, 0.5)


def test_a_place_may_be_a_run_and_compared_models_are_listed_if_asked(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    assert names([str(place / "good")], capsys) == ["good"]
    assert names([str(place / "good"), "--compared"], capsys) == ["good", "gru"]
    assert names([str(place), "--compared", "--where", "model=gru", "sweep=tries"], capsys) == ["gru", "gru"]


def test_keys_are_listed_and_have_values(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "keys", str(place)]) == 0
    keys = capsys.readouterr().out.split()
    assert {"status", "test/net_error", "optimizer.lr", "wall_s.training", "versions.torch", "best_epoch"} <= set(keys)
    assert not any(key.startswith(("paths", "files", "traceback")) for key in keys)
    record = read_record(place / "failed")
    assert [value(record, key) for key in ("status", "error", "versions.torch")] == [
        "failed",
        "ZeroDivisionError: boom",
        record.result["versions"]["torch"],
    ]


def test_a_configuration_that_cannot_be_read_is_named(place: Path, capsys: pytest.CaptureFixture) -> None:
    (place / "better" / "config.yaml").write_text("seed: [")
    assert main(["runs", str(place), "--json", "-"]) == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) == 6
    assert f"unreadable: {place / 'better' / 'config.yaml'} cannot be read" in shown.err


def test_no_runs_are_said_not_to_be_there(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().err == f"No runs in {tmp_path}.\n"


def test_outputs_is_the_default_place(
    place: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.parent)
    assert len(names(["list"], capsys)) == len(names([], capsys)) == 7


def test_signs_are_told_apart() -> None:
    found = [(one.key, one.sign, one.text) for one in parsed(["a=1", "b != x=y", "c<=2", "d >3", "e==4", "f="])]
    assert found == [
        ("a", "=", "1"),
        ("b", "!=", "x=y"),
        ("c", "<=", "2"),
        ("d", ">", "3"),
        ("e", "=", "4"),
        ("f", "=", ""),
    ]


def test_a_thousand_runs_are_listed_soon_and_nothing_heavy_is_imported(
    place: Path, pace: float, tmp_path: Path
) -> None:
    for number in range(1000):
        folder = tmp_path / "many" / str(number)
        folder.mkdir(parents=True)
        for name in ("result.json", "config.yaml"):
            os.link(place / "good" / name, folder / name)
    script = (
        "import sys, time; from prnn_md.app.main import main; main(['runs', sys.argv[1]]); "
        "heavy = {'torch', 'lightning', 'hydra', 'wandb', 'numpy', 'matplotlib'} & set(sys.modules); "
        "print(time.process_time(), heavy)"
    )
    shown = subprocess.run([sys.executable, "-c", script, tmp_path / "many"], capture_output=True, text=True).stdout
    seconds, heavy = shown.splitlines()[-1].split(" ", 1)
    assert shown.startswith("1000 runs in")
    assert heavy == "set()"
    assert float(seconds) < 6.0 * pace


def test_a_reader_that_has_seen_enough_is_no_error(place: Path) -> None:
    script = f"'{sys.executable}' -c 'from prnn_md.app.main import main; main()' runs keys '{place}' | head -1"
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert shown.stdout == "best_epoch\n"
    assert "roken" not in shown.stderr
