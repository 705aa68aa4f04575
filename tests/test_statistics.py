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


def test_a_single_path_has_errors_without_an_interval() -> None:
    stress = torch.zeros(1, 5, 6, dtype=torch.float64)
    result = statistics.net_error(stress + 0.5 * SCALE, stress, 0.3 * SCALE.expand(1, 5, 6), SCALE)
    assert (result.error, result.floor, result.net_error) == pytest.approx((0.5, 0.3, 0.4))
    assert math.isnan(result.net_low)
    assert math.isnan(result.net_high)


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


def test_student_t_half_width_is_that_of_the_textbook() -> None:
    replicas = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    expected = 4.302652729911275 * math.sqrt(7.0 / 3.0)  # t_0.975 with 2 degrees of freedom, times s / sqrt(3)
    assert statistics.student_t_half_width(replicas).item() == pytest.approx(expected, rel=1e-9)
    assert statistics.student_t_half_width(noise(8, 3, 2)).shape == (3, 2)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_student_t_intervals_cover_the_mean_and_bootstrap_ones_of_few_replicas_do_not(count: int) -> None:
    replicas = noise(count, 20_000, seed=4)
    off = replicas.mean(0).abs()
    covered = (off < statistics.student_t_half_width(replicas)).double().mean().item()
    assert covered == pytest.approx(0.95, abs=0.006)
    generator = torch.Generator().manual_seed(0)
    bootstrap = statistics.bootstrap_half_width(replicas[:, :2000], generator, 500)
    assert (off[:2000] < bootstrap).double().mean() < 0.9


def test_bootstrap_half_width_of_many_replicas_is_that_of_the_normal_distribution() -> None:
    replicas = 3.0 * noise(400, 5, seed=2)
    found = statistics.bootstrap_half_width(replicas, torch.Generator().manual_seed(1), 4000)
    torch.testing.assert_close(found, statistics.student_t_half_width(replicas), rtol=0.05, atol=0)


def test_bootstrap_half_width_is_that_of_the_interval() -> None:
    values = noise(7, seed=5)
    low, high = statistics.bootstrap_interval(values, torch.Generator().manual_seed(3), 999)
    found = statistics.bootstrap_half_width(values, torch.Generator().manual_seed(3), 999)
    assert found.item() == pytest.approx(0.5 * (high - low), rel=1e-12)


def test_errors_of_normal_replicas_fall_as_theory_says() -> None:
    """Of deviation 0.6 scales: standard error 0.6 / sqrt(R), mean half-width t c4 0.6 / sqrt(R)."""
    replicas = 0.6 * SCALE * noise(40, 6, 21, 6, seed=1)
    rows = statistics.replica_errors(replicas, SCALE, torch.Generator().manual_seed(0), resamples=200)
    assert [row.replicas for row in rows] == [2, 3, 4, 5, 6]
    for row in rows:
        count, error = row.replicas, 0.6 / math.sqrt(row.replicas)
        assert row.standard_error == pytest.approx(error, rel=0.02)
        t = {2: 12.7062, 3: 4.3027, 4: 3.1824, 5: 2.7764, 6: 2.5706}[count]
        c4 = math.sqrt(2 / (count - 1)) * math.gamma(count / 2) / math.gamma((count - 1) / 2)
        assert row.student_t == pytest.approx(t * c4 * error, rel=0.05)
        assert row.bootstrap < row.student_t
    floor = statistics.noise_floor(statistics.mean_and_standard_error(replicas, dim=1)[1], SCALE)
    assert rows[-1].standard_error == pytest.approx(floor, rel=1e-12)


def test_errors_depend_on_the_seed_only() -> None:
    replicas = noise(4, 3, 5, 6)
    one, again, other = (
        statistics.replica_errors(replicas, SCALE, torch.Generator().manual_seed(seed), 100, 50) for seed in (1, 1, 2)
    )
    assert one == again != other


def test_replicas_that_reach_a_target_are_found_or_extrapolated() -> None:
    counts, errors = (2, 3, 4), (0.4, 0.3, 0.2)
    assert statistics.replicas_needed(counts, errors, 0.5) == (2, False)
    assert statistics.replicas_needed(counts, errors, 0.3) == (3, False)
    assert statistics.replicas_needed(counts, errors, 0.1) == (16, True)
    assert statistics.replicas_needed(counts, errors, 0.15) == (8, True)
    for target in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="target must be positive"):
            statistics.replicas_needed(counts, errors, target)


def test_impossible_half_widths_are_refused() -> None:
    generator = torch.Generator()
    for half_width in (statistics.student_t_half_width, lambda x: statistics.bootstrap_half_width(x, generator)):
        with pytest.raises(ValueError, match="at least 2 replicas, got 1"):
            half_width(noise(1, 3))
    with pytest.raises(ValueError, match="level"):
        statistics.student_t_half_width(noise(3), level=1.0)
    with pytest.raises(ValueError, match="resamples"):
        statistics.bootstrap_half_width(noise(3), generator, resamples=0)
