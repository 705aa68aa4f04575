"""The closing table names models, errors, paths and the folder."""

import json
from pathlib import Path

import pytest

from prnn_md.app.comparison import describe_data, print_comparison, row, save_comparison, zero_row
from prnn_md.data.datamodule import PathDataModule
from prnn_md.statistics import NetError


def test_table_shows_every_row_in_full(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    name = "PRNN with eight small cells and a long name trained"
    rows = [row(name, 4, NetError(0.2345, 0.1, 0.2121, 0.1999, -0.0301))]
    print_comparison(tmp_path, rows, "On these paths.")
    shown = capsys.readouterr().out
    for part in (name, "0.234", "0.100", "0.212", "0.200 to -0.030", "On these paths.", f"Run folder: {tmp_path}"):
        assert part in shown


def test_rows_are_saved_as_they_are(tmp_path: Path) -> None:
    rows = [row("GRU trained", 12, NetError(0.2, 0.1, 0.17, 0.1, 0.3))]
    save_comparison(tmp_path, rows)
    assert json.loads((tmp_path / "comparison.json").read_text()) == rows


def test_an_error_that_is_not_finite_is_null_in_the_file_and_nan_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    nan = float("nan")
    save_comparison(tmp_path, [row("GRU trained", 12, NetError(nan, 0.1, nan, nan, nan))])
    rows = json.loads((tmp_path / "comparison.json").read_text(), parse_constant=pytest.fail)
    assert rows[0]["error"] is None
    print_comparison(tmp_path, rows, "")
    assert "nan to nan" in capsys.readouterr().out


def test_zero_has_no_training_paths(tiny_dataset: Path) -> None:
    found = zero_row(PathDataModule(str(tiny_dataset)).test_data)
    assert (found["name"], found["n_train"]) == ("zero", 0)
    assert found["net_low"] < found["net_error"] < found["error"]


def test_paths_are_counted_and_named(tiny_dataset: Path) -> None:
    text = describe_data(PathDataModule(str(tiny_dataset), n_train=2, n_valid=1))
    assert "Training paths: 2 (" in text
    assert "Validation paths: 1 (" in text
    assert "Test paths: 3;" in text
