"""Errors, floors and net errors against hand-made cases and the theory of sampling."""

import math
from typing import Any

import pytest
import torch

from prnn_md import statistics

SCALE = torch.tensor([1.0, 2.0, 4.0, 1.0, 2.0, 4.0], dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mean_and_standard_error_of_known_replicas() -> None:
    mean, error = statistics.mean_and_standard_error(torch.tensor([[1.0, 2.0, 6.0]], dtype=torch.float64), dim=1)
    assert mean.item() == pytest.approx(3.0)
    assert error.item() == pytest.approx(math.sqrt((4 + 1 + 9) / 2 / 3))


def test_one_replica_has_no_standard_error() -> None:
    with pytest.raises(ValueError, match="at least 2 replicas, got 1"):
        statistics.mean_and_standard_error(noise(1, 4))


def test_stress_scale_is_the_spread_over_paths_and_time() -> None:
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(5)[:, None]
    stress = torch.stack([3 + signs * SCALE, 3 + signs * SCALE])
    torch.testing.assert_close(statistics.stress_scale(stress), SCALE)


def test_stress_scale_refuses_a_component_without_spread() -> None:
    stress = noise(2, 3, 6)
    stress[..., 4] = 1.0
    with pytest.raises(ValueError, match="must vary"):
        statistics.stress_scale(stress)


def test_error_counts_deviations_in_units_of_the_scale() -> None:
    stress = noise(2, 7, 6)
    predicted = stress + torch.tensor([1.0, 3.0], dtype=torch.float64)[:, None, None] * SCALE
    squares = statistics.path_square_errors(predicted, stress, SCALE)
    torch.testing.assert_close(squares, torch.tensor([1.0, 9.0], dtype=torch.float64))
    assert statistics.relative_error(predicted, stress, SCALE) == pytest.approx(math.sqrt(5.0))


def test_predicting_zero_for_centred_stress_has_error_one() -> None:
    stress = noise(4, 50, 6)
    stress = stress - stress.mean((0, 1))
    scale = statistics.stress_scale(stress)
    assert statistics.relative_error(torch.zeros_like(stress), stress, scale) == pytest.approx(1.0)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected"):
        statistics.path_square_errors(noise(1, 7, 6), noise(2, 7, 6), SCALE)


def test_net_error_takes_the_labels_noise_off() -> None:
    """A model that is wrong by 0.3 scales has, on noisy labels, a net error of 0.3."""
    truth = noise(40, 61, 6, seed=1)
    replicas = truth[:, None] + 0.5 * SCALE * noise(40, 6, 61, 6, seed=2)
    stress, standard_error = statistics.mean_and_standard_error(replicas, dim=1)
    result = statistics.net_error(truth + 0.3 * SCALE, stress, standard_error, SCALE)
    assert result.floor == pytest.approx(0.5 / math.sqrt(6), rel=0.02)
    assert statistics.noise_floor(standard_error, SCALE) == pytest.approx(result.floor)
    assert result.error == pytest.approx(math.sqrt(0.09 + 0.25 / 6), rel=0.02)
    assert result.net_error == pytest.approx(0.3, abs=0.01)
    assert result.net_low < result.net_error < result.net_high


def test_better_than_the_floor_is_a_negative_net_error() -> None:
    stress = noise(3, 5, 6)
    result = statistics.net_error(stress, stress, 0.2 * SCALE.expand(3, 5, 6), SCALE)
    assert result.error == 0.0
    assert result.net_error == pytest.approx(-0.2)
    assert result.net_low == pytest.approx(-0.2)


def test_net_error_of_a_failed_prediction_is_not_a_number() -> None:
    stress = noise(3, 5, 6)
    predicted = stress.clone()
    predicted[1, 2, 3] = math.nan
    result = statistics.net_error(predicted, stress, torch.ones_like(stress), SCALE)
    assert all(math.isnan(value) for value in (result.error, result.net_error, result.net_low, result.net_high))
    assert math.isfinite(result.floor)


def test_interval_has_the_width_of_the_central_limit() -> None:
    values = noise(400)
    low, high = statistics.bootstrap_interval(values, torch.Generator().manual_seed(3))
    expected = 2 * 1.96 * values.std().item() / 20
    assert high - low == pytest.approx(expected, rel=0.05)


def test_interval_depends_on_the_seed_only() -> None:
    values = noise(10)
    one, again, other = (statistics.bootstrap_interval(values, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (noise(1), {}, "at least 2 values"),
        (noise(3), {"level": 1.0}, "level"),
        (noise(3), {"resamples": 0}, "resamples"),
    ],
)
def test_impossible_intervals_are_refused(values: torch.Tensor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statistics.bootstrap_interval(values, torch.Generator(), **options)
