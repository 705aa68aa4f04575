"""The feed-forward baseline: no stress at rest, memory by its own stress, and scales."""

import pytest
import torch

from prnn_md.surrogates import FeedForward

SCALE = torch.linspace(0.5, 1.5, 6, dtype=torch.float64)
TIMES = torch.linspace(0, 1, 9, dtype=torch.float64)


def strains(paths: int) -> torch.Tensor:
    steps = 0.01 * torch.randn(paths, 9, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return steps.cumsum(1) - steps[:, :1]


def network() -> FeedForward:
    cell = FeedForward(width=8, layers=2, seed=1)
    cell.set_scales(strains(4), SCALE, TIMES)
    return cell


def test_rest_has_no_stress_and_stress_goes_on_from_the_one_before() -> None:
    cell = network()
    stresses, state = cell.rollout(strains(4), TIMES)
    assert not stresses[:, 0].any()
    assert torch.equal(state.stress, stresses[:, -1])
    _, halfway = cell.rollout(strains(4)[:, :5], TIMES[:5])
    rest, _ = cell(strains(4)[:, 5], TIMES[5] - TIMES[4], halfway)
    torch.testing.assert_close(rest, stresses[:, 5])
    fresh, _ = cell(strains(4)[:, 5], TIMES[5] - TIMES[4], cell.initial_state((4,)))
    assert not torch.allclose(fresh, stresses[:, 5]), "it remembers"


def test_it_works_in_units_of_its_scales() -> None:
    cell, larger = network(), network()
    larger.set_scales(10 * strains(4), 3 * SCALE, TIMES)
    torch.testing.assert_close(
        larger.rollout(10 * strains(4), TIMES)[0], 3 * cell.rollout(strains(4), TIMES)[0], rtol=1e-12, atol=1e-14
    )


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="width and layers must be at least 1, got 8 and 0"):
        FeedForward(width=8, layers=0, seed=1)
    with pytest.raises(ValueError, match="zero everywhere"):
        network().set_scales(torch.zeros(2, 3, 6), SCALE)
