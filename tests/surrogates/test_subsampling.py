"""Training that asks a part of the cells."""

from functools import partial

import pytest
import torch
from torch import Tensor

from prnn_md.materials import J2, Viscoelastic
from prnn_md.md.aqs import AQSCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.surrogates import PRNN, FreeEncoder, HillMandelDecoder, TaylorEncoder
from prnn_md.surrogates.subsampling import CellSampler

FREE, TIED = partial(FreeEncoder, noise=0.1), partial(HillMandelDecoder, noise=0.5)


def paths(count: int, increments: int, size: float) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    steps = torch.randn(count, increments, 6, generator=generator, dtype=torch.float64)
    return size * (steps.cumsum(-2) - steps[..., :1, :]) / increments**0.5


def mixed(share: float) -> PRNN:
    return PRNN(FREE, TIED, {"metal": J2(count=4), "rubber": Viscoelastic(count=3)}, 0, cell_share=share)


def test_each_kind_has_its_share_and_the_mean_of_many_draws_is_one() -> None:
    sampler = CellSampler((4, 3, 1), 0.4, seed=1)
    weights = sampler.draw((2000,))
    assert sampler.asked == (2, 1, 1)
    assert set(weights.unique().tolist()) == {0.0, 1.0, 2.0, 3.0}
    for kind, asked in zip(weights.split((4, 3, 1), -1), sampler.asked, strict=True):
        assert (kind > 0.0).sum(-1).unique().tolist() == [asked]
    assert (weights.mean(0) - 1.0).abs().max() < 4.0 * (2.0 / 2000) ** 0.5


def test_draws_follow_from_seed_and_numbers() -> None:
    one, other = CellSampler((8,), 0.5, seed=1), CellSampler((8,), 0.5, seed=2)
    first, second = one.draw((20,)), one.draw((20,))
    assert not torch.equal(first, second)
    one.reseed(3, 0)
    third = one.draw((20,))
    one.reseed(3, 0)
    assert torch.equal(one.draw((20,)), third)
    assert not torch.equal(other.draw((20,)), first)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        CellSampler((4,), share, seed=0)


def test_in_training_some_cells_stand_for_all() -> None:
    model, strains, times = mixed(0.5), paths(3, 5, 0.04), torch.arange(5.0)
    everything, _ = mixed(1.0).rollout(strains, times)
    torch.testing.assert_close(model.eval().rollout(strains, times)[0], everything)
    model.train().reseed(0, 0)
    stresses, state = model.rollout(strains, times)
    assert not state.failed.any()
    weights = CellSampler((4, 3), 0.5, seed=0)
    weights.reseed(0, 0)
    weighed = weights.draw((3,))
    local = model.encoder(strains).transpose(-3, -2)
    answers = [
        cell.rollout(part, times)[0] for cell, part in zip(model.cells.values(), local.split((4, 3), 1), strict=True)
    ]
    together = (torch.cat(answers, 1) * weighed[..., None, None]).transpose(-3, -2)
    torch.testing.assert_close(stresses, model.decoder(together, model.encoder.matrices()))
    model.reseed(0, 0)
    assert torch.equal(model.rollout(strains, times)[0], stresses)
    stresses.square().sum().backward()
    never = (weighed == 0.0).all(0)
    assert not model.encoder.blocks.grad[never].any()
    assert model.encoder.blocks.grad[~never].abs().amax((-1, -2)).min() > 0.0


def test_a_share_of_answers_that_are_remembered_is_refused() -> None:
    samples = load_library("polymer_80_a")[0][:4]
    cell = AQSCell(samples, polymer_force_field(samples))
    with pytest.raises(ValueError, match="cell_share of 0.5 has no use"):
        PRNN(TaylorEncoder, TIED, {"polymer": cell}, 0, remember=True, cell_share=0.5)
    PRNN(FREE, TIED, {"polymer": cell}, 0, remember=True, cell_share=0.5)


def test_md_cells_that_are_not_asked_do_no_work() -> None:
    samples = load_library("polymer_80_a")[0][:4]
    cell = AQSCell(samples, polymer_force_field(samples))
    model = PRNN(FREE, TIED, {"polymer": cell}, 0, cell_share=0.25).train()
    stresses, state = model.rollout(paths(2, 4, 0.04), torch.zeros(4))
    stood_still = (state.polymer.positions == cell.sample_positions).flatten(2).all(-1)
    assert stood_still.sum(-1).tolist() == [3, 3]
    assert stresses.isfinite().all()
    assert not state.polymer.failed.any()
    assert not state.failed.any()
