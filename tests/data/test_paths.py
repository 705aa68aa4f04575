"""Strain paths have the asked amplitude and volume change, and the character of their family."""

import numpy as np
import pytest
import torch

from prnn_md.data.paths import FAMILIES, gaussian_process, sample_paths, scale_to_amplitude

INCREMENTS = 60
PROPORTIONAL = ("proportional_unloading", "proportional_random")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("amplitude", "max_trace"), [(0.12, 0.06), (0.05, 0.01)])
def test_amplitude_and_volume_change_and_start(family: str, amplitude: float, max_trace: float) -> None:
    paths = sample_paths(family, 30, INCREMENTS, 4, amplitude, max_trace)
    assert paths.shape == (30, INCREMENTS + 1, 6)
    assert paths.dtype == torch.float64
    assert paths.norm(dim=-1).amax(-1).tolist() == pytest.approx([amplitude] * 30, rel=1e-12)
    largest = paths[..., :3].sum(-1).abs().amax(-1)
    assert (largest <= max_trace + 1e-12).all()
    assert (largest > 0.99 * max_trace).any(), "some random direction would change its volume by more"
    assert not paths[:, 0].any()


def test_a_path_of_small_volume_change_is_only_scaled() -> None:
    path = np.linspace(0, 1, 5)[:, None] * np.array([1.0, -0.6, -0.4, 0.2, 0.1, 0.3])
    scaled = scale_to_amplitude(path, 0.12, 0.06)
    np.testing.assert_allclose(scaled, path * (0.12 / np.linalg.norm(path[-1])), rtol=1e-12)


def test_a_larger_volume_change_is_cut_to_the_bound_and_no_further() -> None:
    path = np.linspace(0, 1, 5)[:, None] * np.array([1.0, 1.0, 0.5, 0.2, 0.1, 0.3])
    scaled = scale_to_amplitude(path, 0.12, 0.06)
    assert scaled[-1, :3].sum() == pytest.approx(0.06, abs=1e-9)
    deviator, wanted = (p[-1, :3] - p[-1, :3].mean() for p in (scaled, path))
    np.testing.assert_allclose(deviator / scaled[-1, 5], wanted / path[-1, 5], rtol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_path_depends_on_its_number_and_the_seed_only(family: str) -> None:
    few, many = (sample_paths(family, count, 20, 7) for count in (3, 5))
    assert torch.equal(few, many[:3])
    assert torch.equal(sample_paths(family, 3, 20, 7), few)
    assert (sample_paths(family, 3, 20, 8) - few).abs().amax() > 1e-3
    assert torch.pdist(many.flatten(1)).min() > 1e-3


def test_families_of_one_seed_take_different_directions() -> None:
    first, second = (sample_paths(family, 5, 20, 7) for family in PROPORTIONAL)
    directions = [paths[range(5), paths.norm(dim=-1).argmax(-1)] / 0.12 for paths in (first, second)]
    assert (directions[0] * directions[1]).sum(-1).abs().max() < 0.999


@pytest.mark.parametrize("family", PROPORTIONAL)
def test_proportional_paths_stay_on_one_line(family: str) -> None:
    spread = torch.linalg.svdvals(sample_paths(family, 10, INCREMENTS, 1))
    assert (spread[:, 1] < 1e-12 * spread[:, 0]).all()


def test_nonproportional_paths_fill_all_directions() -> None:
    spread = torch.linalg.svdvals(sample_paths("nonproportional", 10, INCREMENTS, 1))
    assert (spread[:, 5] > 1e-3 * spread[:, 0]).all()


def test_unloading_paths_load_unload_and_load_to_their_largest_strain_in_equal_steps() -> None:
    for path in sample_paths("proportional_unloading", 20, INCREMENTS, 2):
        level = path @ path[-1] / path[-1].norm()
        assert level.argmax() == INCREMENTS
        signs = level.diff().sign()
        turns = (signs.diff() != 0).nonzero().flatten()
        assert signs[0] == 1
        assert len(turns) == 2
        peak, valley = level[: turns[1] + 2].max(), level[turns[0] + 1 :].min()
        assert 0.45 * 0.12 < peak <= 0.12
        assert valley < 0.6 * peak
        steps = level.diff().abs()
        assert (steps <= steps.median() * (1 + 1e-9)).all()
        assert (steps < steps.median() * (1 - 1e-9)).sum() <= 2, "only steps that hold a turn are shorter"


def test_some_unloading_paths_go_past_zero() -> None:
    paths = sample_paths("proportional_unloading", 20, INCREMENTS, 2)
    lowest = torch.einsum("pti,pi->pt", paths, paths[:, -1]).amin(-1)
    assert 0 < (lowest < -1e-6).sum() < 20


def test_gaussian_processes_have_the_covariance_conditioned_on_a_zero_start() -> None:
    increments, samples, length = 10, 40_000, 0.3
    drawn = gaussian_process(increments, samples, np.random.default_rng(0), length)
    assert not drawn[0].any()
    for i, j in ((5, 5), (10, 10), (3, 6)):
        t, s = i / increments, j / increments
        kernel = {gap: np.exp(-0.5 * (gap / length) ** 2) for gap in (t - s, t, s)}
        expected = kernel[t - s] - kernel[t] * kernel[s]
        assert (drawn[i] * drawn[j]).mean() == pytest.approx(expected, abs=5 / np.sqrt(samples))


def test_an_unknown_family_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="'circular': choose from proportional_unloading, proportional_random, nonpro"):
        sample_paths("circular", 1, 10, 0)
