"""Recurrent baselines against torch's own GRU and LSTM, and the promises about dropout and seeds."""

import copy

import pytest
import torch
from torch import Tensor, nn

from prnn_md.cell import Cell, time_steps
from prnn_md.surrogates import RecurrentBaseline

KINDS = ["gru", "lstm"]


def baseline(kind="gru", dropout=0.0, seed=1, layers=2) -> RecurrentBaseline:
    return RecurrentBaseline(kind, hidden=5, layers=layers, dropout=dropout, seed=seed)


def paths(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


TIMES = torch.linspace(0, 1, 8, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_rollout_is_that_of_torch(kind):
    cell, strains = baseline(kind), paths(4, 8)
    cell.set_scales(strains, torch.arange(1.0, 7.0), TIMES)
    peer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](7, 5, 2, batch_first=True, dtype=torch.float64)
    for layer in range(2):
        for name, tensors in {
            "weight_ih": cell.input_weights,
            "weight_hh": cell.hidden_weights,
            "bias_ih": cell.input_biases,
            "bias_hh": cell.hidden_biases,
        }.items():
            getattr(peer, f"{name}_l{layer}").data.copy_(tensors[layer])
    steps = time_steps(TIMES).expand(4, 8).unsqueeze(-1) * 7
    hidden, _ = peer(torch.cat([strains / strains.square().mean((0, 1)).sqrt(), steps], dim=-1))
    expected = (hidden @ cell.readout_weight.T + cell.readout_bias) * torch.arange(1.0, 7.0)
    assert torch.allclose(cell.rollout(strains, TIMES)[0], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("own_times", [False, True])
def test_stepping_equals_rollout(kind, dropout, own_times):
    cell, strains = baseline(kind, dropout), paths(3, 2, 8)
    times = TIMES * torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0)) if own_times else TIMES
    state = cell.initial_state((3, 2))
    fused, fused_end = cell.rollout(strains, times, state)
    stepped, end = Cell.rollout(cell, strains, times, state)
    assert torch.allclose(fused, stepped, rtol=1e-12, atol=1e-14)
    assert torch.allclose(fused_end.hidden, end.hidden, rtol=1e-12, atol=1e-14)


def test_tangent_is_the_derivative_of_the_stress():
    cell, strains = baseline().eval(), paths(3, 8)
    _, state = cell.rollout(strains, TIMES)
    _, tangent, _ = cell.stress_and_tangent(strains[:, 0], 0.1, state)
    step = 1e-6 * torch.eye(6, dtype=torch.float64)
    moved = [cell(strains[:, 0] + s, 0.1, state)[0] - cell(strains[:, 0] - s, 0.1, state)[0] for s in step]
    assert torch.allclose(tangent, torch.stack(moved, dim=-1) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_masks_stay_along_a_path(kind):
    cell = baseline(kind, dropout=0.5)
    start = cell.initial_state((4,))
    _, end = cell.rollout(paths(4, 8), TIMES, start)
    assert torch.equal(start.masks, end.masks)
    assert set(start.masks.unique().tolist()) == {0.0, 2.0}
    assert len(start.masks.unique(dim=0)) == 4


def test_dropped_inputs_and_outputs_have_no_influence():
    """With one layer, a dropped strain component never matters, and a dropped unit is not read out."""
    cell, strains = baseline(dropout=0.5, layers=1), paths(1, 8)
    state = cell.initial_state((1,))
    dropped = int((state.masks[0, :6] == 0).nonzero()[0])
    changed = strains.clone()
    changed[..., dropped] += 1.0
    assert torch.equal(cell.rollout(strains, TIMES, state)[0], cell.rollout(changed, TIMES, state)[0])
    before = cell.rollout(strains, TIMES, state)[0]
    unit = int((state.masks[0, -5:] == 0).nonzero()[0])
    cell.readout_weight.data[:, unit] += 1.0
    assert torch.equal(before, cell.rollout(strains, TIMES, state)[0])


def test_dropout_is_off_in_evaluation_and_keeps_the_mean():
    cell = baseline(dropout=0.25)
    masks = cell.initial_state((2000,)).masks
    assert torch.allclose(masks.mean(0), torch.ones(masks.shape[-1], dtype=torch.float64), atol=0.08)
    assert not hasattr(cell.eval().initial_state((2,)), "masks")


def test_masks_can_be_drawn_again():
    cell = baseline(dropout=0.5)
    cell.reseed(3, 1)
    first, second = (cell.initial_state((4,)).masks for _ in range(2))
    other = copy.deepcopy(cell)
    other.reseed(3, 2)
    cell.reseed(3, 1)
    assert torch.equal(first, cell.initial_state((4,)).masks)
    assert not torch.equal(first, second) and not torch.equal(first, other.initial_state((4,)).masks)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_the_parameters_and_nothing_else_does(kind):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = baseline(kind, dropout=0.3).rollout(paths(2, 8), TIMES)[0]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert torch.equal(first, baseline(kind, dropout=0.3).rollout(paths(2, 8), TIMES)[0])
    assert not torch.allclose(first, baseline(kind, dropout=0.3, seed=2).rollout(paths(2, 8), TIMES)[0])


def test_scales_come_from_the_training_paths():
    cell, strains = baseline(), paths(3, 8)
    strains[..., 4] = 0.0
    cell.set_scales(strains, torch.full((6,), 3.0), 2 * TIMES)
    assert cell.strain_scale[4] > 0 and cell.time_scale == pytest.approx(2 / 7)
    assert torch.allclose(cell.strain_scale[0], strains[..., 0].square().mean().sqrt())
    with pytest.raises(ValueError, match="zero"):
        cell.set_scales(torch.zeros(3, 8, 6), torch.ones(6))


@pytest.mark.parametrize(
    "wrong", [{"kind": "rnn"}, {"hidden": 0}, {"layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}], ids=str
)
def test_wrong_arguments_are_named(wrong):
    arguments = {"kind": "gru", "hidden": 4, "layers": 1, "dropout": 0.0, "seed": 0} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RecurrentBaseline(**arguments)
