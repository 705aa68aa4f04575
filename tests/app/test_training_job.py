"""The main job end to end on tiny data: what it leaves behind, and how it goes on after a stop."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from prnn_md.app import model_run, training_job
from prnn_md.app.composition import Config
from prnn_md.app.ledger import FolderInUse, Interrupted, Ledger, read_result
from prnn_md.app.metrics_log import read_metrics
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.predictions import Predictions
from prnn_md.app.training_job import run, show_finished
from prnn_md.cell import State
from prnn_md.data.dataset import read_dataset
from prnn_md.materials import J2
from prnn_md.statistics import net_error, noise_floor

FILES = {"config.yaml", "overrides.yaml", "metrics.csv", "result.json", "predictions.h5", "figures", "checkpoints"}


def test_the_run_folder_holds_everything(finished_run: Path) -> None:
    assert {file.name for file in finished_run.iterdir()} == FILES | {"compare", "comparison.json"}
    assert {file.name for file in (finished_run / "compare" / "gru").iterdir()} == FILES - {"figures"}
    assert {file.name for file in (finished_run / "checkpoints").iterdir()} >= {"best.ckpt", "last.ckpt"}
    assert {file.stem for file in (finished_run / "figures").iterdir()} >= {"parity", "loss", "localisation"}


def test_result_says_what_was_done(finished_run: Path, tiny_dataset: Path) -> None:
    result, data = read_result(finished_run), read_dataset(tiny_dataset)
    assert (result["status"], result["error"]) == ("finished", None)
    assert (result["n_train"], result["n_valid"], result["n_test"]) == (4, 3, 3)
    assert set(result["paths"]["train"]) <= set(data.indices("train"))
    assert sorted(result["paths"]["valid"]) == data.indices("valid")
    assert result["paths"]["test"] == data.indices("test")
    assert set(result["seeds"]) == {"data", "model", "cells"}
    assert result["files"] == {str(tiny_dataset): hashlib.sha256(tiny_dataset.read_bytes()).hexdigest()}
    assert result["epochs"] == 2
    assert result["best_epoch"] in (-1, 0, 1)
    assert set(result["wall_s"]) == {"untrained", "further_tests", "training", "test", "drawing"}
    metrics = result["metrics"]
    assert all(math.isfinite(value) for value in metrics.values())
    test = data.select("test")
    assert metrics["label/floor"] == pytest.approx(noise_floor(test.standard_error, data.stress_scale))
    square = metrics["test/error"] ** 2 - metrics["label/floor"] ** 2
    assert metrics["test/net_error"] == pytest.approx(math.copysign(abs(square) ** 0.5, square))
    assert metrics["test/net_low"] <= metrics["test/net_error"] <= metrics["test/net_high"]


def test_metrics_are_those_of_the_predictions(finished_run: Path) -> None:
    found = Predictions.load(finished_run / "predictions.h5")
    metrics = read_result(finished_run)["metrics"]
    for stress, name in ((found.trained, "test"), (found.untrained, "untrained")):
        judged = net_error(stress, found.stress, found.standard_error, found.stress_scale)
        assert metrics[f"{name}/error"] == pytest.approx(judged.error)
        assert metrics[f"{name}/net_high"] == pytest.approx(judged.net_high)


def test_best_validation_error_is_the_least_of_the_curve(finished_run: Path) -> None:
    result, curve = read_result(finished_run), read_metrics(finished_run)["valid/error"]
    assert [epoch for epoch, _ in curve] == [-1, 0, 1]
    assert (result["best_epoch"], result["metrics"]["valid/error"]) == pytest.approx(min(curve, key=lambda p: p[1]))


def test_comparison_has_a_row_for_every_model(finished_run: Path, tiny_dataset: Path) -> None:
    rows = json.loads((finished_run / "comparison.json").read_text())
    assert [row["name"] for row in rows] == ["PRNN untrained", "PRNN trained", "GRU trained", "zero"]
    assert [row["n_train"] for row in rows] == [0, 4, 4, 0]
    assert all(set(row) == {"name", "n_train", "error", "floor", "net_error", "net_low", "net_high"} for row in rows)
    test = read_dataset(tiny_dataset).select("test")
    zero = (test.stress / test.stress_scale).square().mean().sqrt().item()
    assert rows[-1]["error"] == pytest.approx(zero)
    assert len({row["floor"] for row in rows}) == 1


def test_the_configuration_is_resolved_and_builds_again(finished_run: Path) -> None:
    text = (finished_run / "config.yaml").read_text()
    assert "${" not in text
    assert yaml.safe_load(text)["seeds"] == read_result(finished_run)["seeds"]
    compared = yaml.safe_load((finished_run / "compare" / "gru" / "config.yaml").read_text())
    assert compared["dataset"] == yaml.safe_load(text)["dataset"]
    assert compared["model"]["hidden"] == 4


def test_a_finished_run_is_shown_again_and_not_continued(finished_run: Path, capsys: pytest.CaptureFixture) -> None:
    config = yaml.safe_load((finished_run / "config.yaml").read_text())
    with pytest.raises(FolderInUse, match="finished run"):
        run(config, {}, finished_run)
    with pytest.raises(
        FolderInUse, match=r"finished run of another configuration: optimizer\.lr is .* there and 9 here"
    ):
        show_finished({**config, "optimizer": {**config["optimizer"], "lr": 9}}, finished_run)
    assert show_finished(config, finished_run)["status"] == "finished"
    shown = capsys.readouterr().out
    assert "GRU trained" in shown
    assert "Validation paths: 3" in shown
    assert str(finished_run) in shown


def test_a_broken_dataset_is_recorded(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF")
    with pytest.raises(ValueError, match="bad.h5"):
        run(tiny_config(f"dataset.path={tmp_path / 'bad.h5'}"), {}, tmp_path / "run")
    result = read_result(tmp_path / "run")
    assert result["status"] == "failed"
    assert "bad.h5" in result["error"]


@pytest.mark.usefixtures("without_figures")
def test_an_interrupted_run_continues_as_if_it_had_not_been(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped once after the first epoch and once in the compared model, it ends with the same numbers."""
    config = yaml.safe_load((finished_run / "config.yaml").read_text())
    others = {"gru": yaml.safe_load((finished_run / "compare" / "gru" / "config.yaml").read_text())}
    folder = tmp_path / "run"
    _stop_after_an_epoch(config, others, folder, monkeypatch)
    assert read_result(folder)["status"] == "interrupted"
    with monkeypatch.context() as patch:
        patch.setattr(training_job, "_compared", lambda *_: _raise(RuntimeError("no more")))
        with pytest.raises(RuntimeError, match="no more"):
            run(config, others, folder)
    assert read_result(folder)["status"] == "failed"
    with monkeypatch.context() as patch:
        patch.setattr(model_run, "predicted_stress", _unless_gru(model_run.predicted_stress))
        result = run(config, others, folder)
    before = read_result(finished_run)
    assert result["metrics"] == pytest.approx(before["metrics"], rel=1e-9)
    assert read_metrics(folder) == read_metrics(finished_run)
    ours, theirs = (Predictions.load(place / "predictions.h5") for place in (folder, finished_run))
    torch.testing.assert_close(ours.trained, theirs.trained, rtol=0, atol=0)
    comparison = json.loads((folder / "comparison.json").read_text())
    assert comparison == json.loads((finished_run / "comparison.json").read_text())


def _stop_after_an_epoch(
    config: Config, others: dict[str, Config], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = []

    def count_and_stop(module: model_run.SurrogateModule) -> None:
        epochs.append(module.current_epoch)
        if module.current_epoch == 1:
            raise Interrupted("SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(model_run.SurrogateModule, "on_train_epoch_start", count_and_stop)
        with pytest.raises(Interrupted):
            run(config, others, folder)
    assert epochs == [0, 1]


def _unless_gru(compute: Callable) -> Callable:
    """Refuses to evaluate the main model again."""
    return lambda cell, data, chunk, what, *place: (
        compute(cell, data, chunk, what, *place) if what.startswith("GRU") else pytest.fail(f"again: {what}")
    )


def _raise(error: Exception) -> None:
    raise error


def test_a_compared_model_of_another_configuration_is_not_taken_over(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    config = yaml.safe_load((finished_run / "config.yaml").read_text())
    other = yaml.safe_load((finished_run / "compare" / "gru" / "config.yaml").read_text())
    other["model"]["hidden"] = 5
    monkeypatch.setattr(training_job, "train_and_judge", lambda *_: [])
    with pytest.raises(FolderInUse, match=r"model\.hidden is 4 there and 5 here"):
        run(config, {"gru": other}, tmp_path / "run")


class Failing(J2):
    """Fails, with NaN, on every path on which a component of the strain exceeds the limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def rollout(self, strains, times, state=None):
        stresses, _ = super().rollout(strains, times, state)
        failed = strains.abs().amax((-1, -2)) > self.limit
        return torch.where(failed[..., None, None], torch.nan, stresses), State(failed)


def _mark_untrained_as_best(config: Config, data: object, ledger: Ledger, *_: object) -> None:
    ledger.record(best_epoch=-1)


@pytest.mark.parametrize("limit", [0.03, -1.0])
def test_failed_paths_are_nan_in_the_file_and_zero_in_the_error(
    limit: float, tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some paths fail or, untrained and trained, all of the test; the figures are drawn either way."""
    monkeypatch.setattr(model_run, "_fit", _mark_untrained_as_best)
    monkeypatch.setattr("prnn_md.app.building.build_cell", lambda _: Failing(limit))
    result = run(tiny_config(), {}, tmp_path / "run")
    found = Predictions.load(tmp_path / "run" / "predictions.h5")
    expected = found.strain.abs().amax((-1, -2)) > limit
    assert 0 < expected.sum() <= 3
    assert torch.equal(found.failed, expected)
    assert torch.equal(found.trained.isnan().all(-1).all(-1), expected)
    assert found.trained[~expected].isfinite().all()
    assert result["metrics"]["test/failed"] == expected.sum()
    answered = found.trained.nan_to_num()
    judged = net_error(answered, found.stress, found.standard_error, found.stress_scale)
    assert result["metrics"]["test/error"] == pytest.approx(judged.error)
    assert (tmp_path / "run" / "figures" / "parity.png").is_file()


@pytest.mark.usefixtures("without_figures")
def test_a_physical_model_beside_is_shown_untrained_too(tiny_words: list[str], tmp_path: Path) -> None:
    words = [word for word in tiny_words if not word.startswith(("md", "compare"))]
    other = "prnn md=j2 md.j2.count=2 training.max_epochs=1"
    config = checked_config([*words, "model=gru", "model.hidden=4", f"compare=['{other}']"])
    run(config, comparisons(config), tmp_path)
    names = [row["name"] for row in json.loads((tmp_path / "comparison.json").read_text())]
    assert names == ["GRU untrained", "GRU trained", "PRNN untrained", "PRNN trained", "zero"]


@pytest.mark.usefixtures("without_figures")
def test_a_compared_model_learns_as_it_does_alone(tiny_words: list[str], tmp_path: Path) -> None:
    """Also where it meets the paths of the run in its own way."""
    words = [word for word in tiny_words if not word.startswith(("md", "compare"))]
    gru = ["training.max_epochs=2", "model.hidden=4", "dataset.symmetry=isotropic", "dataset.batch_size=1"]
    config = checked_config([*words, "model=gru", "model.hidden=2", f"compare=['gru {' '.join(gru)}']"])
    run(config, comparisons(config), tmp_path / "beside")
    run(checked_config([*words, "model=gru", *gru, "compare=[]"]), {}, tmp_path / "alone")
    beside, alone = (read_result(tmp_path / place) for place in ("beside/compare/gru", "alone"))
    assert beside
    assert alone
    assert beside["metrics"] == alone["metrics"]
