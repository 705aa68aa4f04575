"""Training that was interrupted goes on as if it had not been: 2 + 2 epochs are 4, bit for bit."""

from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from prnn_md.training.module import read_checkpoint

SCHEDULERS = {
    "none": None,
    "cosine": partial(CosineAnnealingLR, T_max=5),
    "plateau": partial(ReduceLROnPlateau, patience=0, threshold=1e3),
}


def flat(tree, prefix=""):
    """Leaves of nested dictionaries and lists by path."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else None
    if items is None:
        return {prefix: tree}
    return {key: leaf for name, branch in items for key, leaf in flat(branch, f"{prefix}/{name}").items()}


def same(one, other) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize(
    ("name", "scheduler"), [("gru", "none"), ("prnn", "cosine"), ("gru", "plateau"), ("noisy", "none")]
)
def test_two_and_two_epochs_are_four(name, scheduler, paths, make_cell, make_module, make_trainer, tmp_path):
    def fit(folder, epochs, **options):
        trainer = make_trainer(
            tmp_path / folder, epochs, EarlyStopping("valid/error", patience=50), gradient_clip_val=1.0
        )
        trainer.fit(make_module(make_cell(name), SCHEDULERS[scheduler]), paths, **options)
        return trainer

    torch.manual_seed(1)
    whole = fit("whole", 4)
    torch.manual_seed(1)
    fit("parts", 2)
    torch.manual_seed(2)  # as in another process
    again = fit("parts", 4, ckpt_path=tmp_path / "parts/last.ckpt", weights_only=True)
    expected, got = (read_checkpoint(tmp_path / folder / "last.ckpt") for folder in ("whole", "parts"))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step"):
        one, other = flat(expected[part]), flat(got[part])
        assert one.keys() == other.keys()
        assert all(same(one[key], other[key]) for key in one), part
    assert whole.callback_metrics == again.callback_metrics
    best, best_again = (read_checkpoint(tmp_path / folder / "best.ckpt") for folder in ("whole", "parts"))
    assert all(torch.equal(tensor, best_again["state_dict"][key]) for key, tensor in best["state_dict"].items())


def test_training_is_the_same_twice(paths, make_cell, make_module, make_trainer, tmp_path):
    weights = []
    for folder in ("one", "two"):
        torch.manual_seed(len(weights))
        make_trainer(tmp_path / folder, 2).fit(make_module(make_cell("gru")), paths)
        weights.append(read_checkpoint(tmp_path / folder / "last.ckpt")["state_dict"])
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())
