"""Offline W&B runs hold the configuration, the curves, the final metrics and the figures."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prnn_md.app import wandb_log
from prnn_md.app.composition import Config
from prnn_md.app.figures import parity
from prnn_md.app.ledger import read_result
from prnn_md.app.metrics_log import read_metrics
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.predictions import Predictions
from prnn_md.app.records import read_record
from prnn_md.app.training_job import run


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def draw_parity(folder: Path, predictions: Predictions, *others: object) -> dict[str, Path]:
    folder.mkdir()
    parity(predictions).savefig(folder / "parity.png")
    return {"parity": folder / "parity.png"}


def records(folder: Path) -> list[dict]:
    """What an offline run holds, by W&B's own reader."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in shown.splitlines()]


KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def logged_run(tiny_words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job of a sweep that was logged offline, where there was a key, with a GRU beside it."""
    folder = tmp_path_factory.mktemp("runs") / "tries" / "0"
    folder.parent.mkdir()
    (folder.parent / "sweep.json").write_text("{}")
    gru = "compare=['gru training.max_epochs=1 model.hidden=4']"
    config = checked_config([*tiny_words, "logger=wandb", "logger.tags=[mine]", gru])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_API_KEY", KEY)
        patch.setenv("WANDB_MODE", "offline")
        patch.setattr("prnn_md.app.model_run.draw_all", draw_parity)
        run(config, comparisons(config), folder)
    return folder


@pytest.fixture(scope="module")
def logged(logged_run: Path) -> list[dict]:
    return records(logged_run)


def content(found: list[dict], kind: str) -> list[dict]:
    return [record[kind] for record in found if record["type"] == kind]


def summary(found: list[dict]) -> dict:
    return {key: value for record in content(found, "summary") for key, value in record["update"].items()}


def test_an_offline_run_has_the_configuration_and_is_filed(logged_run: Path, logged: list[dict]) -> None:
    start = content(logged, "run")[0]
    assert start["run_id"] == read_result(logged_run)["wandb_id"]
    assert (start["run_group"], start["job_type"]) == ("tries", "train")
    assert set(start["tags"]) == {"mine", "prnn", "j2", "tiny"}
    logged_config = {key: value for key, value in start["config"]["update"].items() if key != "_wandb"}
    assert logged_config == read_record(logged_run).config
    assert logged[-1]["exit"]["exit_code"] == 0


def test_its_curves_are_those_of_the_run_folder(logged_run: Path, logged: list[dict]) -> None:
    history = [record["item"] for record in content(logged, "history")]
    curves = read_metrics(logged_run)
    assert {"valid/error", "train/error"} <= set(curves)
    for name, curve in curves.items():
        assert [(item["epoch"], item[name]) for item in history if name in item] == curve


def test_its_final_metrics_are_those_of_the_ledger(logged_run: Path, logged: list[dict]) -> None:
    final, metrics = summary(logged), read_result(logged_run)["metrics"]
    assert {name: final[name] for name in metrics} == metrics


def test_it_has_figures_the_closing_table_and_the_checkpoint(logged_run: Path, logged: list[dict]) -> None:
    assert any(key.startswith("figures/parity") for key in summary(logged))
    (table,) = logged_run.glob("wandb/offline-run-*/files/media/table/comparison*.json")
    rows = json.loads((logged_run / "comparison.json").read_text())
    shown = json.loads(table.read_text())
    assert [dict(zip(shown["columns"], row, strict=True)) for row in shown["data"]] == rows
    (model,) = [record for record in content(logged, "artifact") if record["type"] == "model"]
    (file,) = model["manifest"]["contents"]
    assert file["local_path"] == str(logged_run / "checkpoints" / "best.ckpt")
    digest = hashlib.md5((logged_run / "checkpoints" / "best.ckpt").read_bytes()).digest()
    assert base64.b64decode(file["digest"]) == digest


def test_a_compared_model_is_filed_beside_it(logged_run: Path) -> None:
    found = records(logged_run / "compare" / "gru")
    start = content(found, "run")[0]
    assert (start["run_group"], start["job_type"]) == ("tries", "compare")
    assert set(start["tags"]) == {"mine", "gru", "tiny"}
    assert summary(found)["test/error"] == read_result(logged_run / "compare" / "gru")["metrics"]["test/error"]


def test_no_file_of_the_run_holds_the_key(logged_run: Path) -> None:
    files = [file for file in logged_run.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []


def test_a_crash_finishes_the_run_as_failed(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.model_run.build_module", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tiny_config("logger=wandb"), {}, tmp_path / "run")
    assert records(tmp_path / "run")[-1]["exit"]["exit_code"] == 1
    assert read_result(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    ("environment", "netrc", "expected"),
    [
        ({}, "", "offline"),
        ({"WANDB_API_KEY": "abc"}, "", "online"),
        ({}, "machine api.wandb.ai login user password abc", "online"),
        ({}, "machine example.org login user password abc", "offline"),
        ({"WANDB_BASE_URL": "https://example.org"}, "machine example.org login user password abc", "online"),
        ({"WANDB_API_KEY": "abc", "WANDB_MODE": "offline"}, "", "offline"),
        ({"WANDB_MODE": "disabled"}, "", "disabled"),
        ({"WANDB_MODE": "dryrun"}, "", "offline"),
    ],
)
def test_online_only_with_a_key(
    environment: dict, netrc: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "netrc").write_text(netrc)
    assert wandb_log.mode() == expected


def test_a_service_that_does_not_answer_makes_the_run_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    modes = []

    def init(**options: object) -> "FakeRun":
        modes.append(options["mode"])
        if options["mode"] == "online":
            raise wandb_log.wandb.errors.CommError("no route")
        return FakeRun()

    monkeypatch.setenv("WANDB_API_KEY", "abc")
    monkeypatch.setattr(wandb_log.wandb, "init", init)
    (log,) = wandb_log.wandb_log(tmp_path, {"label": "GRU"}, "abc")
    assert modes == ["online", "offline"]
    assert log.run.id == "fake"
    assert "no route" in capsys.readouterr().err


class FakeRun:
    id = "fake"

    def define_metric(self, *names: str, **options: object) -> None:
        pass


def test_a_run_alone_is_the_group_of_what_it_is_compared_with() -> None:
    assert wandb_log._group(Path("outputs/day/12-00-00-abc")) == "12-00-00-abc"
    assert wandb_log._group(Path("outputs/day/12-00-00-abc/compare/gru")) == "12-00-00-abc"
