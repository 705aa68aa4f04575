"""The loss and metrics of training against their definitions, failures, and weights in files."""

from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from prnn_md.materials import J2, Elastic
from prnn_md.md.polymer import polymer_cells
from prnn_md.surrogates import PRNN, AmplifiedRotationEncoder, HillMandelDecoder
from prnn_md.training.module import (
    CheckpointError,
    PathFailure,
    SurrogateModule,
    TrainingError,
    load_weights,
    read_checkpoint,
)


def sizes(batch) -> torch.Tensor:
    return batch["strain"].norm(dim=-1).amax(-1)


@pytest.mark.parametrize("name", ["prnn", "gru"])
def test_training_reduces_the_error(name, paths, make_cell, make_module, make_trainer, tmp_path):
    module, trainer = make_module(make_cell(name), learning_rate=0.03), make_trainer(tmp_path, 15)
    trainer.fit(module, paths)
    checkpoint = trainer.checkpoint_callback
    assert checkpoint.best_epoch > 5
    before = trainer.test(make_module(make_cell(name)), paths, verbose=False)[0]["test/error"]
    load_weights(module, checkpoint.best_model_path)
    assert trainer.test(module, paths, verbose=False)[0]["test/error"] < 0.9 * before


def test_metrics_follow_their_definitions(paths, make_cell, make_module, make_trainer, tmp_path):
    scale = torch.tensor([0.5, 1.0, 2.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    cell = make_cell("prnn")
    trainer = make_trainer(tmp_path, 1)
    logged = trainer.test(make_module(cell, scale=scale), paths, verbose=False)[0]
    batch = paths.batch([9, 10, 11])
    with torch.no_grad():
        misfit = cell.rollout(batch["strain"], batch["times"])[0] - batch["stress"]
    error = (misfit / scale).square().mean().sqrt().item()
    floor = 0.08 * (1 / scale).square().mean().sqrt().item()
    assert logged["test/error"] == pytest.approx(error)
    assert logged["test/floor"] == pytest.approx(floor)
    assert logged["test/net_error"] == pytest.approx((error**2 - floor**2) ** 0.5)
    assert logged["test/failed"] == 0


def test_loss_is_the_square_of_the_logged_error(paths, make_cell, make_module, make_trainer, tmp_path):
    trainer = make_trainer(tmp_path, 1)
    module = make_module(make_cell("prnn"), learning_rate=1e-12)
    trainer.fit(module, paths)
    batch = paths.batch(list(range(6)))
    assert module.training_step(batch, 0).item() ** 0.5 == pytest.approx(trainer.callback_metrics["train/error"].item())
    names = {
        f"{split}/{metric}" for split in ("train", "valid") for metric in ("error", "floor", "net_error", "failed")
    }
    assert set(trainer.callback_metrics) == names


def test_paths_weigh_by_what_model_and_label_err_together(paths, make_cell, make_module):
    batch = paths.batch([0, 1, 2])
    batch["standard_error"][1] *= 3.0  # floors of 0.1, 0.3 and 0.1 of the scale
    module, weighted = make_module(make_cell("prnn")), make_module(make_cell("prnn"), model_error=0.1)
    squares = torch.stack([module.training_step(paths.batch([row]), 0) for row in range(3)])
    weights = torch.tensor([1 / 2, 1 / 10, 1 / 2], dtype=torch.float64)
    assert weighted.training_step(batch, 0).item() == pytest.approx((weights * squares).mean().item())
    assert module.training_step(batch, 0).item() == pytest.approx(squares.mean().item())


def test_failed_paths_are_left_out_and_counted(paths, fragile_prnn, make_module, make_trainer, tmp_path):
    batch = paths.batch(list(range(6)))
    limit = sizes(batch).sort().values[3:5].mean().item()
    kept = [row for row in range(6) if sizes(batch)[row] <= limit]
    module, alone = (make_module(fragile_prnn(limit), learning_rate=1e-9) for _ in range(2))
    for each, rows in ((module, batch), (alone, paths.batch(kept))):
        each.training_step(rows, 0).backward()
    for with_failures, without in zip(module.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(with_failures.grad, without.grad, rtol=1e-10, atol=1e-14)
    trainer = make_trainer(tmp_path, 2)
    trainer.fit(module, paths)
    assert trainer.callback_metrics["train/failed"] == 2
    assert trainer.callback_metrics["train/error"].isfinite()


def test_failing_counts_as_zero_stress_in_tests(paths, fragile_prnn, make_module, make_trainer, tmp_path):
    logged = make_trainer(tmp_path, 1).test(make_module(fragile_prnn(0.0)), paths, verbose=False)[0]
    expected = (paths.stress[9:] / 0.8).square().mean().sqrt().item()
    assert logged["test/failed"] == 3 and logged["test/error"] == pytest.approx(expected)


def test_failure_of_all_paths_is_an_error(paths, fragile_prnn, make_module, make_trainer, tmp_path):
    with pytest.raises(TrainingError, match="Epoch 0, batch 0: all 4 paths failed"):
        make_trainer(tmp_path, 1).fit(make_module(fragile_prnn(0.0)), paths)


def test_infinite_loss_and_gradient_are_errors(paths, make_cell, make_module, make_trainer, tmp_path):
    module = make_module(make_cell("prnn"))
    paths.stress[:6] = torch.inf
    with pytest.raises(TrainingError, match="Epoch 0, batch 0: the loss is inf"):
        make_trainer(tmp_path, 1).fit(module, paths)
    module.cell.encoder.log_amplifications.grad = torch.full((2,), torch.nan, dtype=torch.float64)
    with pytest.raises(TrainingError, match="gradient of cell.encoder.log_amplifications"):
        module.on_before_optimizer_step(None)


def test_nothing_to_train_is_an_error(paths, make_module, make_trainer, tmp_path):
    with pytest.raises(ValueError, match="Elastic has no trainable parameters"):
        make_trainer(tmp_path, 1).fit(make_module(Elastic()), paths)


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (partial(StepLR, step_size=1, gamma=0.5), 0.02 / 8),
        (partial(ReduceLROnPlateau, patience=0, threshold=1e3), 2e-5),
    ],
    ids=["step", "plateau"],
)
def test_scheduler_steps_once_per_epoch(scheduler, expected, paths, make_cell, make_module, make_trainer, tmp_path):
    """Nothing ever passes the threshold, so that the plateau's rate falls tenfold in every epoch."""
    module = make_module(make_cell("prnn"), scheduler)
    make_trainer(tmp_path, 3).fit(module, paths)
    assert module.optimizers().param_groups[0]["lr"] == pytest.approx(expected)


def test_weights_travel_by_file(paths, make_cell, make_module, make_trainer, tmp_path):
    module = make_module(make_cell("prnn"))
    make_trainer(tmp_path, 2).fit(module, paths)
    fresh = make_module(make_cell("prnn"))
    load_weights(fresh, tmp_path / "last.ckpt")
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name])
    with pytest.raises(CheckpointError, match="does not fit"):
        load_weights(make_module(make_cell("gru")), tmp_path / "last.ckpt")


def test_other_versions_and_damaged_files_are_refused(paths, make_cell, make_module, make_trainer, tmp_path):
    make_trainer(tmp_path, 1).fit(make_module(make_cell("prnn")), paths)
    good = tmp_path / "last.ckpt"
    contents = read_checkpoint(good)
    torch.save(contents | {"prnn_md_schema_version": 99}, tmp_path / "newer.ckpt")
    contents.pop("prnn_md_schema_version")
    torch.save(contents, tmp_path / "foreign.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(good.read_bytes()[:1000])
    torch.save([1], tmp_path / "list.ckpt")
    wrong = {
        "newer": "version 99",
        "foreign": "no schema",
        "cut": "truncated",
        "list": "list",
        "none": "There is no",
    }
    for name, message in wrong.items():
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(tmp_path / f"{name}.ckpt")
    with pytest.raises(CheckpointError, match="version 99"):
        make_trainer(tmp_path, 2).fit(
            make_module(make_cell("prnn")), paths, ckpt_path=tmp_path / "newer.ckpt", weights_only=True
        )


@pytest.mark.parametrize(("size", "reason"), [(0.9, "a bond broke"), (-0.5, "the box became narrower")])
def test_a_path_that_an_md_cell_cannot_follow_is_named(size, reason, paths):
    cell = PRNN(AmplifiedRotationEncoder, HillMandelDecoder, {"polymer": polymer_cells("a", 160, 1)}, seed=0)
    module = SurrogateModule(cell, torch.optim.Adam, None, torch.ones(6, dtype=torch.float64), "glass.h5")
    batch = paths.batch([8, 3])
    batch["strain"] = torch.zeros(2, 12, 6, dtype=torch.float64)
    batch["strain"][1, 4, 0] = size
    for step in (module.training_step, module.validation_step, module.test_step):
        with pytest.raises(PathFailure, match=f"^glass.h5, path 3, increment 4: MD cell 0: {reason}.*[^.]\\.$"):
            step(batch, 0)


class Dropping(J2):
    """Counts three dropped gradients whenever it is rolled out with gradients, as MD cells count theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped_gradients = 5

    def rollout(self, strains, times, state=None):
        self.dropped_gradients += 3 * strains.requires_grad
        return super().rollout(strains, times, state)


def test_dropped_gradients_are_counted_by_epoch(paths, make_module, make_trainer, tmp_path):
    cell = PRNN(AmplifiedRotationEncoder, HillMandelDecoder, {"a": Dropping(), "b": Dropping()}, seed=0)
    trainer = make_trainer(tmp_path, 2)
    trainer.fit(make_module(cell), paths)
    assert trainer.callback_metrics["train/dropped_gradients"] == 2 * 2 * 3
