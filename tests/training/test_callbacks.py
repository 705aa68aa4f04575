"""The checkpoint that knows the untrained state, and the lines of progress."""

import io
import shutil

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from prnn_md.training.callbacks import UNTRAINED, BestCheckpoint, ProgressLines, duration
from prnn_md.training.module import load_weights, read_checkpoint


def test_untrained_state_is_kept_if_training_harms(paths, make_cell, make_module, make_trainer, tmp_path):
    """The stress scale doubles with every step, which no label supports."""
    trainer = make_trainer(tmp_path, 2)
    module = make_module(make_cell("prnn"), learning_rate=3.0)
    start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    before = trainer.validate(module, paths, verbose=False)[0]["valid/error"]
    trainer.fit(module, paths)
    checkpoint = trainer.checkpoint_callback
    assert checkpoint.best_epoch == UNTRAINED and checkpoint.best_score == pytest.approx(before)
    again = make_trainer(tmp_path, 4)
    again.fit(module, paths, ckpt_path=checkpoint.last_model_path, weights_only=True)
    assert again.current_epoch == 4 and again.checkpoint_callback.best_epoch == UNTRAINED
    load_weights(module, checkpoint.best_model_path)
    assert all(torch.equal(tensor, start[name]) for name, tensor in module.state_dict().items())


def test_best_epoch_has_the_least_error(paths, make_cell, make_module, make_trainer, tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    trainer = make_trainer(tmp_path / "checkpoints", 5, logger=logger, log_every_n_steps=1)
    module = make_module(make_cell("gru"), learning_rate=0.05)
    trainer.fit(module, paths)
    lines = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    errors = {int(float(row["epoch"])): float(row["valid/error"]) for row in rows if row["valid/error"]}
    checkpoint = trainer.checkpoint_callback
    assert list(errors) == [UNTRAINED, 0, 1, 2, 3, 4]
    assert checkpoint.best_epoch == min(errors, key=errors.get)
    assert checkpoint.best_score == pytest.approx(min(errors.values()))
    load_weights(module, checkpoint.best_model_path)
    assert trainer.validate(module, paths, verbose=False)[0]["valid/error"] == pytest.approx(min(errors.values()))


def test_last_checkpoint_is_that_of_the_last_epoch(paths, make_cell, make_module, make_trainer, tmp_path):
    make_trainer(tmp_path, 3).fit(make_module(make_cell("prnn"), learning_rate=3.0), paths)
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_restart_without_its_best_checkpoint_is_an_error(paths, make_cell, make_module, make_trainer, tmp_path):
    make_trainer(tmp_path, 1).fit(make_module(make_cell("prnn")), paths)
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy(tmp_path / "last.ckpt", tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"best\.ckpt is missing"):
        make_trainer(tmp_path / "elsewhere", 2).fit(
            make_module(make_cell("prnn")), paths, ckpt_path=moved, weights_only=True
        )


def test_unknown_monitor_is_named(paths, make_cell, make_module, make_trainer, tmp_path):
    trainer = make_trainer(tmp_path, 1)
    trainer.checkpoint_callback.monitor = "valid/eror"
    with pytest.raises(ValueError, match="'valid/eror' is not logged; logged are .*valid/error"):
        trainer.fit(make_module(make_cell("prnn")), paths)


def test_trial_run_leaves_nothing(paths, make_cell, make_module, make_trainer, tmp_path):
    make_trainer(tmp_path, 1, fast_dev_run=True).fit(make_module(make_cell("prnn")), paths)
    assert not list(tmp_path.iterdir())


def test_state_of_the_checkpoint_callback_travels():
    checkpoint, other = BestCheckpoint("a"), BestCheckpoint("b")
    checkpoint.best_score, checkpoint.best_epoch = 0.3, 4
    other.load_state_dict(checkpoint.state_dict())
    assert (other.best_score, other.best_epoch) == (0.3, 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fit_with(lines, paths, make_cell, make_module, make_trainer, folder):
    trainer = make_trainer(folder, 2, lines, enable_progress_bar=True)
    trainer.fit(make_module(make_cell("prnn")), paths)
    return trainer


def test_progress_is_a_line_per_epoch(paths, make_cell, make_module, make_trainer, tmp_path):
    stream = io.StringIO()
    trainer = fit_with(ProgressLines(stream), paths, make_cell, make_module, make_trainer, tmp_path)
    untrained, first, second = stream.getvalue().splitlines()
    assert untrained.startswith("untrained, valid 0.")
    assert first.startswith("epoch 1/2, train 0.") and " left" in first
    error = trainer.callback_metrics["valid/error"].item()
    assert f"valid {error:.4f} (floor 0.1000)" in second and second.endswith(" 0 s left")


def test_long_epochs_report_their_batches(paths, make_cell, make_module, make_trainer, tmp_path):
    stream = io.StringIO()
    fit_with(ProgressLines(stream, interval=0.0), paths, make_cell, make_module, make_trainer, tmp_path)
    assert "epoch 1/2, batch 1/2, " in stream.getvalue() and "\r" not in stream.getvalue()


def test_terminal_is_rewritten_in_place(paths, make_cell, make_module, make_trainer, tmp_path):
    stream = Terminal()
    fit_with(ProgressLines(stream), paths, make_cell, make_module, make_trainer, tmp_path)
    assert "\repoch 2/2, batch 2/2, " in stream.getvalue() and stream.getvalue().count("\n") == 3


def test_progress_can_be_silenced(paths, make_cell, make_module, make_trainer, tmp_path):
    stream = io.StringIO()
    lines = ProgressLines(stream)
    lines.disable()
    fit_with(lines, paths, make_cell, make_module, make_trainer, tmp_path)
    assert not stream.getvalue()


def test_durations_are_for_people():
    assert [duration(s) for s in (7.6, 200.0, 7500.0)] == ["8 s", "3 min 20 s", "2 h 5 min"]
