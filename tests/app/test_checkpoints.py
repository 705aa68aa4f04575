"""A training may start from the weights of another run, which is named by its folder or by a checkpoint."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prnn_md.app.checking import ConfigError
from prnn_md.app.checkpoints import checkpoint_file
from prnn_md.app.composition import Config
from prnn_md.app.ledger import read_result
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.training_job import run
from prnn_md.training.module import CheckpointError, read_checkpoint


def test_a_run_folder_stands_for_its_best_checkpoint(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished_run.parent)
    best = finished_run / "checkpoints" / "best.ckpt"
    assert checkpoint_file("finished") == checkpoint_file(str(best)) == best
    assert checkpoint_file("finished/checkpoints/last.ckpt") == best.with_name("last.ckpt")
    assert checkpoint_file("finished/compare/gru").parts[-4:-1] == ("compare", "gru", "checkpoints")


@pytest.mark.parametrize(("place", "message"), [("nowhere", "no such file"), (".", "no checkpoints/best.ckpt in it")])
def test_a_place_without_one_is_refused_at_once(
    place: str, message: str, tiny_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"ckpt={place}: there is {message}"):
        checked_config([*tiny_words, f"ckpt={place}"])


@pytest.mark.usefixtures("without_figures")
def test_training_starts_from_the_weights(
    finished_run: Path, tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    """Of the loss the scale stays, and of the other run nothing else comes: no epochs, no state of the optimiser."""
    shutil.copytree(finished_run / "checkpoints", tmp_path / "from" / "checkpoints")
    config = tiny_config(f"ckpt={tmp_path / 'from'}", "training.max_epochs=1")
    result, before = run(config, {}, tmp_path / "run"), read_result(finished_run)
    assert result["metrics"]["untrained/error"] == before["metrics"]["test/error"]
    file = tmp_path / "from" / "checkpoints" / "best.ckpt"
    assert result["files"][str(file)] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["epoch"] == 0


def test_a_checkpoint_of_another_model_is_one_message(
    finished_run: Path, tiny_words: list[str], tmp_path: Path
) -> None:
    shared = [word for word in tiny_words if not word.startswith("md")]
    for words, message in (
        (["md=j2", "md.j2.count=3"], r"encoder\.\w+ is \(2, 3\) there and \(3, 3\) here"),
        (["model=gru"], r"encoder\.\w+ is only there"),
    ):
        config = checked_config([*shared, f"ckpt={finished_run}", *words])
        with pytest.raises(CheckpointError, match=rf"best\.ckpt does not fit this model: .*{message}") as raised:
            run(config, {}, tmp_path / words[-1])
        assert "\n" not in str(raised.value)
        assert read_result(tmp_path / words[-1])["status"] == "failed"


def test_every_compared_model_has_its_own(finished_run: Path, tiny_words: list[str]) -> None:
    words = [f"ckpt={finished_run}", f"compare=['gru', 'gru model.hidden=4 ckpt={finished_run}/compare/gru']"]
    config = checked_config([*tiny_words, *words])
    plain, warm = comparisons(config).values()
    assert "ckpt" not in plain
    assert warm["ckpt"].endswith("compare/gru/checkpoints/best.ckpt")
