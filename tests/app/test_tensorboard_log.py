"""Event files hold the curves, the final metrics, the figures, the configuration and the closing table."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from prnn_md.app.composition import Config
from prnn_md.app.figures import loss_curves
from prnn_md.app.ledger import read_result
from prnn_md.app.metrics_log import read_metrics
from prnn_md.app.tensorboard_log import TensorBoardMissing
from prnn_md.app.training_job import run


def draw_loss(folder: Path, predictions: object, curves: dict, localisation: object) -> dict[str, Path]:
    folder.mkdir()
    loss_curves(curves).savefig(folder / "loss.png")
    return {"loss": folder / "loss.png"}


def test_a_run_is_read_back(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.model_run.draw_all", draw_loss)
    config = tiny_config("logger=tensorboard")
    run(config, {}, tmp_path / "run")
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    scalars = {name: [(event.step, event.value) for event in found.Scalars(name)] for name in found.Tags()["scalars"]}
    for name, curve in read_metrics(tmp_path / "run").items():
        assert scalars.pop(name) == [(epoch, pytest.approx(value, rel=1e-6)) for epoch, value in curve]
    metrics = read_result(tmp_path / "run")["metrics"]
    assert {name: values[0][1] for name, values in scalars.items()} == pytest.approx(
        {f"final/{name}": value for name, value in metrics.items()}, rel=1e-6
    )
    assert found.Tags()["images"] == ["figures/loss"]
    texts = {name: found.Tensors(name)[0].tensor_proto.string_val[0].decode() for name in found.Tags()["tensors"]}
    assert yaml.safe_load(texts["config/text_summary"].strip("`").removeprefix("yaml")) == config
    assert "| PRNN trained | 4 | " in texts["comparison/text_summary"]


def test_a_missing_package_is_named_with_the_way_to_it(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as Python notes that there is no such package
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(TensorBoardMissing, match=r"pip install 'prnn_md\[tensorboard\]', or choose logger=csv"):
        run(tiny_config("logger=tensorboard"), {}, tmp_path / "run")
    assert read_result(tmp_path / "run")["status"] == "failed"
