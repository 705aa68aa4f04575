"""Offline W&B runs hold the configuration, the curves, the final metrics and the figures."""

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
from prnn_md.app.predictions import Predictions
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
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in shown.splitlines()]


def test_a_run_is_logged_offline_and_finished(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.model_run.draw_all", draw_parity)
    config = tiny_config("logger=wandb", "logger.tags=[tiny]")
    result = run(config, {}, tmp_path / "run")
    found = records(tmp_path / "run")
    start = next(record["run"] for record in found if record["type"] == "run")
    assert start["run_id"] == result["wandb_id"] == read_result(tmp_path / "run")["wandb_id"]
    assert start["run_group"] == "run"
    assert start["config"]["update"]["model"] == config["model"]
    curve = [record["history"]["item"] for record in found if record["type"] == "history"]
    valid = [(item["epoch"], item["valid/error"]) for item in curve if "valid/error" in item]
    assert [epoch for epoch, _ in valid] == [-1, 0, 1]
    assert min(value for _, value in valid) == pytest.approx(result["metrics"]["valid/error"])
    summary: dict = {}
    for record in found:
        if record["type"] == "summary":
            summary |= record["summary"]["update"]
    assert summary["test/error"] == pytest.approx(result["metrics"]["test/error"])
    assert any(key.startswith("figures/parity") for key in summary)
    assert found[-1]["exit"]["exit_code"] == 0


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
    assert log.run_id == "fake"
    assert "no route" in capsys.readouterr().err


class FakeRun:
    id = "fake"

    def define_metric(self, *names: str, **options: object) -> None:
        pass


def test_compared_models_share_the_group_of_the_run() -> None:
    assert wandb_log._group(Path("outputs/day/12-00-00-abc")) == "12-00-00-abc"
    assert wandb_log._group(Path("outputs/day/12-00-00-abc/compare/gru")) == "12-00-00-abc"
