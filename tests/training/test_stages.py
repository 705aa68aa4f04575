"""Staged fitting: which parameters learn when, from which weights, and after an interruption."""

from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau

from prnn_md.materials import J2
from prnn_md.surrogates import PRNN, FreeEncoder, IsotropicDecoder, TaylorEncoder
from prnn_md.training.module import read_checkpoint
from prnn_md.training.stages import StagedFitting

STAGES = [["decoder.kinds"]]
SLOW = partial(ReduceLROnPlateau, patience=0, factor=0.5)


def plastic(encoder=TaylorEncoder, **options) -> PRNN:
    metals = {"soft": J2(count=2, yield_stress=0.5), "hard": J2(count=3, yield_stress=2.0)}
    return PRNN(encoder, partial(IsotropicDecoder, **options), metals, seed=0)


class Diary(Callback):
    """The stage, the learning rate and the weights at the start of each epoch."""

    def __init__(self) -> None:
        self.pages = []

    def on_train_epoch_start(self, trainer, pl_module):
        stages = next(each for each in trainer.callbacks if isinstance(each, StagedFitting))
        weights = {name: each.detach().clone() for name, each in pl_module.cell.decoder.named_parameters()}
        best = trainer.checkpoint_callback.best_epoch
        self.pages.append((stages.stage, trainer.optimizers[0].param_groups[0]["lr"], weights, best))


def test_parameters_learn_stage_by_stage_from_the_best_weights(paths, make_module, make_trainer, tmp_path):
    diary, cell = Diary(), plastic()
    trainer = make_trainer(tmp_path, 500, StagedFitting(STAGES, patience=3), diary)
    trainer.fit(make_module(cell, SLOW, learning_rate=0.05), paths)
    stages = [stage for stage, *_ in diary.pages]
    begin = stages.index(1)
    assert stages == sorted(stages) and 3 < begin < len(stages) < 500
    first, second = diary.pages[:begin], diary.pages[begin:]
    assert all(not weights["cells"].any() for _, _, weights, _ in first)
    assert first[1][2]["kinds"].any()
    assert second[1][2]["cells"].any() and not torch.equal(second[1][2]["kinds"], second[0][2]["kinds"])
    rates = [rate for _, rate, _, _ in diary.pages]
    assert rates[begin - 1] < rates[0] == rates[begin], "the scheduler begins anew"
    _, _, weights, best = second[0]
    assert begin == best + 4, "the stage ended three epochs after its best"
    assert torch.equal(weights["kinds"], diary.pages[best + 1][2]["kinds"]), "the next one starts from that"
    assert len(stages) == max(trainer.checkpoint_callback.best_epoch, begin - 1) + 4
    assert all(weights.requires_grad for weights in cell.decoder.parameters())


def test_a_creeping_error_does_not_keep_the_next_stage_waiting(paths, make_module, make_trainer, tmp_path):
    diary = Diary()
    trainer = make_trainer(tmp_path, 50, StagedFitting(STAGES, patience=3), diary)
    trainer.fit(make_module(plastic(), learning_rate=1e-5), paths)
    assert [stage for stage, *_ in diary.pages] == [0, 0, 0, 1, 1, 1]
    assert trainer.checkpoint_callback.best_epoch == 5, "the error fell in each epoch, by next to nothing"
    assert trainer.callback_metrics["stage"] == 1


def test_what_is_not_learnt_stays_so(paths, make_module, make_trainer, tmp_path):
    cell = plastic(learn_cells=False)
    make_trainer(tmp_path, 30, StagedFitting([["decoder.kinds"]], patience=1)).fit(make_module(cell), paths)
    assert cell.decoder.kinds.any() and not cell.decoder.cells.any()
    assert not cell.decoder.cells.requires_grad


@pytest.mark.parametrize("interrupted", [1, 5, 7, 10, 12])
def test_an_interrupted_training_goes_on_in_its_stage(interrupted, paths, make_module, make_trainer, tmp_path):
    """Within each of three stages, and between them."""
    stages, slow = [["encoder"], ["decoder"]], partial(ReduceLROnPlateau, patience=1, factor=0.5)

    def fit(folder, epochs, **options):
        diary = Diary()
        trainer = make_trainer(tmp_path / folder, epochs, StagedFitting(stages, patience=1), diary)
        trainer.fit(make_module(plastic(FreeEncoder), slow, learning_rate=0.01), paths, **options)
        return [stage for stage, *_ in diary.pages], trainer.checkpoint_callback.best_epoch

    whole, best = fit("whole", 18)
    assert whole[best] == 2, "the last stage is not in vain"
    begun, _ = fit("parts", interrupted)
    rest, _ = fit("parts", 18, ckpt_path=tmp_path / "parts/last.ckpt", weights_only=True)
    assert begun + rest == whole
    for file in ("last.ckpt", "best.ckpt"):
        one, other = (read_checkpoint(tmp_path / folder / file) for folder in ("whole", "parts"))
        assert one["epoch"] == other["epoch"]
        assert all(torch.equal(tensor, other["state_dict"][name]) for name, tensor in one["state_dict"].items())


def test_a_name_without_a_parameter_is_an_error(paths, make_module, make_trainer, tmp_path):
    with pytest.raises(ValueError, match="no trainable parameter begins with 'decoder.kind_s'; there are"):
        make_trainer(tmp_path, 1, StagedFitting([["decoder.kind_s"]], 1)).fit(make_module(plastic()), paths)
