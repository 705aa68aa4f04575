"""Strain paths have the asked amplitude, volume change and rate, and the character of their family."""

from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.data.path_families import (
    CANONICAL_DIRECTIONS,
    FAMILIES,
    gaussian_process,
    levels_between,
)
from prnn_md.data.paths import PathOptions, isochoric_path, path_name, sample_paths, scale_to_amplitude
from prnn_md.mechanics import from_mandel, stretch_of, to_mandel, trace

INCREMENTS = 60
IN_ONE_DIRECTION = (
    "proportional_unloading",
    "proportional_random",
    "canonical",
    "canonical_unloading",
    "cyclic",
    "constant_rate",
)
CANONICAL = ("canonical", "canonical_unloading")
RANDOM = tuple(family for family in FAMILIES if family not in CANONICAL)
ROUNDED = 2e-9


def strains(family: str, count: int, seed: int = 4, first: int = 0, **options: Any) -> Tensor:
    return sample_paths(family, count, seed, PathOptions(**options), first)[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("amplitude", "max_trace"), [(0.12, 0.06), (0.05, 0.01), (0.05, 0.0)])
def test_amplitude_and_volume_change_and_start(family: str, amplitude: float, max_trace: float) -> None:
    paths = strains(family, 18, amplitude=amplitude, max_trace=max_trace)
    assert paths.shape == (18, INCREMENTS + 1, 6)
    assert paths.dtype == torch.float64
    assert paths.norm(dim=-1).amax(-1).tolist() == pytest.approx([amplitude] * 18, abs=ROUNDED)
    largest = trace(paths).abs().amax(-1)
    assert (largest <= max_trace + ROUNDED).all()
    assert (largest >= 0.99 * max_trace - ROUNDED).any(), "some direction would change its volume by more"
    assert not paths[:, 0].any()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("amplitude", [1e-6, 0.12, 0.7])
def test_isochoric_paths_keep_the_volume_at_every_point(family: str, amplitude: float) -> None:
    paths = strains(family, 18, amplitude=amplitude, isochoric=True)
    assert (torch.linalg.det(stretch_of(paths)) - 1).abs().max() < 5 * ROUNDED
    assert paths.norm(dim=-1).amax(-1).tolist() == pytest.approx([amplitude] * 18, abs=ROUNDED)
    assert not paths[:, 0].any()


def test_an_isochoric_path_follows_the_deviator_of_its_shape() -> None:
    shape = torch.randn(8, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    path = isochoric_path(shape, 1e-5)
    deviator = shape - trace(shape)[:, None] / 3 * torch.tensor([1, 1, 1, 0, 0, 0])
    torch.testing.assert_close(path, deviator * (1e-5 / deviator.norm(dim=-1).max()), rtol=0, atol=1e-9)
    far = from_mandel(isochoric_path(shape, 0.5))
    commutator = far @ from_mandel(deviator) - from_mandel(deviator) @ far
    assert commutator.abs().max() < 1e-14, "with the principal axes of the deviator"


def test_isochoric_tension_is_that_of_an_incompressible_bar() -> None:
    last = strains("canonical", 1, isochoric=True)[0, -1]
    stretch = 1 + last[0]
    assert last[1].item() == pytest.approx(float(stretch) ** -0.5 - 1, abs=ROUNDED)
    assert last[2].item() == pytest.approx(float(stretch) ** -0.5 - 1, abs=ROUNDED)
    assert not last[3:].any()


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


@pytest.mark.parametrize("isochoric", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_path_depends_on_its_number_only(family: str, isochoric: bool) -> None:
    options = PathOptions(increments=30, isochoric=isochoric, rates=(1.0, 0.1))
    few, many, later = (sample_paths(family, count, 7, options, first) for count, first in ((3, 0), (5, 0), (2, 3)))
    for one, other, rest in zip(few, many, later, strict=True):
        assert torch.equal(one, other[:3])
        assert torch.equal(rest, other[3:])
    assert torch.equal(sample_paths(family, 3, 7, options)[0], few[0])
    assert torch.pdist(many[0].flatten(1)).min() > 1e-3


@pytest.mark.parametrize("family", RANDOM)
def test_another_seed_draws_other_paths(family: str) -> None:
    assert (strains(family, 3, 7) - strains(family, 3, 8)).abs().amax((1, 2)).min() > 1e-3


def test_families_of_one_seed_take_different_directions() -> None:
    families = [family for family in IN_ONE_DIRECTION if family in RANDOM]
    paths = [strains(family, 5, 7) for family in families]
    directions = torch.stack([path[range(5), path.norm(dim=-1).argmax(-1)] / 0.12 for path in paths], dim=1)
    for each in directions:
        alike = (each @ each.T).abs().fill_diagonal_(0)
        assert alike.max() < 0.999


@pytest.mark.parametrize(
    ("family", "point", "expected"),
    [
        ("cyclic", 50, [0.0083688945164, 0.0171239500020, -0.0302242095103, 0.0185389867844, -0.0288589741432]),
        ("constant_rate", 60, [-0.0523127821099, -0.0750410081987, 0.0681562455618, -0.0092152455030, 0.0331145805606]),
        ("random_walk", 60, [0.0485146488706, -0.0430286337684, -0.0654860151022, 0.0122287853732, -0.0219962056925]),
    ],
)
def test_families_draw_what_they_drew(family: str, point: int, expected: list[float]) -> None:
    """The same seed makes data again, so that the places of the families and their random numbers stay."""
    (path,) = strains(family, 1, 3, first=5, increments=200 if family == "cyclic" else 60)
    assert path[point, :5].tolist() == pytest.approx(expected, abs=ROUNDED)


@pytest.mark.parametrize("family", IN_ONE_DIRECTION)
def test_paths_in_one_direction_stay_on_one_line(family: str) -> None:
    spread = torch.linalg.svdvals(strains(family, 10))
    assert (spread[:, 1] < 1e-6 * spread[:, 0]).all()


@pytest.mark.parametrize("family", ["nonproportional", "random_walk"])
def test_other_paths_fill_all_directions(family: str) -> None:
    spread = torch.linalg.svdvals(strains(family, 10))
    assert (spread[:, 5] > 1e-3 * spread[:, 0]).all()


def test_unloading_paths_load_unload_and_load_to_their_largest_strain_in_equal_steps() -> None:
    for path in strains("proportional_unloading", 20):
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
        assert (steps <= steps.median() * (1 + 1e-5)).all()
        assert (steps < steps.median() * (1 - 1e-5)).sum() <= 2, "only steps that hold a turn are shorter"


def test_some_unloading_paths_go_past_zero() -> None:
    paths = strains("proportional_unloading", 20)
    lowest = torch.einsum("pti,pi->pt", paths, paths[:, -1]).amin(-1)
    assert 0 < (lowest < -1e-6).sum() < 20


def test_canonical_directions_are_18_unit_vectors_of_their_names() -> None:
    directions = torch.tensor(list(CANONICAL_DIRECTIONS.values()), dtype=torch.float64)
    assert directions.shape == (18, 6)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(18, dtype=torch.float64))
    assert torch.pdist(directions).min() > 0.5
    places = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}
    for name, direction in CANONICAL_DIRECTIONS.items():
        words = name.split("_")
        tensor = torch.zeros(3, 3, dtype=torch.float64)
        for kind, (row, column) in zip(words[::2], [places[word] for word in words[1::2]], strict=True):
            if kind == "biaxial":
                tensor[row, row] = tensor[column, column] = 1.0
            elif kind == "shear":  # as large as the tension in the Mandel norm
                tensor[row, column] = tensor[column, row] = 0.5**0.5
            else:
                tensor[row, row] = {"tension": 1.0, "compression": -1.0}[kind]
        expected = to_mandel(tensor)
        torch.testing.assert_close(torch.tensor(direction, dtype=torch.float64), expected / expected.norm())


def test_canonical_paths_go_straight_to_the_amplitude_and_perhaps_back() -> None:
    directions = torch.tensor(list(CANONICAL_DIRECTIONS.values()), dtype=torch.float64)
    level = torch.linspace(0, 0.12, 61, dtype=torch.float64)
    there_and_back = torch.cat([level[::2], level[:-1:2].flip(0)])
    for family, expected in (("canonical", level), ("canonical_unloading", there_and_back)):
        paths = strains(family, 18, max_trace=0.2)
        torch.testing.assert_close(paths, expected[:, None] * directions[:, None], rtol=0, atol=ROUNDED)


def test_canonical_paths_have_no_chance_in_them() -> None:
    for family in CANONICAL:
        assert torch.equal(strains(family, 18, 1), strains(family, 18, 2))


def test_any_six_canonical_directions_from_the_first_are_of_all_kinds() -> None:
    kinds = ["_".join(name.split("_")[::2]) for name in CANONICAL_DIRECTIONS]
    assert all(len(set(kinds[first : first + 6])) == 6 for first in (0, 6, 12))


def test_there_are_no_more_than_18_canonical_paths() -> None:
    with pytest.raises(ValueError, match="There are 18 canonical paths"):
        strains("canonical", 19)


def test_strains_are_rounded_so_that_they_are_the_same_on_all_processors() -> None:
    path = strains("nonproportional", 1)
    assert torch.equal(path, path.round(decimals=9))


@pytest.mark.parametrize("increments", [24, 60, 80, 200])
def test_cycles_are_reversed_and_grow_to_the_amplitude(increments: int) -> None:
    seen = set()
    for path in strains("cyclic", 20, increments=increments):
        direction = path[path.norm(dim=-1).argmax()] / 0.12
        level = path @ direction
        level = level * level[1].sign()
        turns = (level.diff().sign().diff() != 0).nonzero().flatten() + 1
        cycles = len(turns) // 2
        seen.add(cycles)
        peaks = torch.arange(1, cycles + 1, dtype=torch.float64) / cycles * 0.12
        torch.testing.assert_close(level[turns], torch.stack([peaks, -peaks], 1).flatten(), rtol=0, atol=ROUNDED)
        assert level[-1].abs() < ROUNDED
        steps = level.diff().abs()
        assert steps.max() < 1.6 * steps.min()
    assert seen == {24: {3}, 60: {3}, 80: {3, 4}, 200: {3, 4, 5}}[increments]


def test_too_few_increments_for_the_cycles_say_how_many_are_needed() -> None:
    with pytest.raises(ValueError, match="10 increments are too few for a path of 7 straight legs: take 24 or more"):
        strains("cyclic", 1, increments=10)


def test_levels_hit_every_turn() -> None:
    level = levels_between([0.0, 1.0, -1.0, 0.5], 10)
    assert level.tolist() == pytest.approx([0, 0.5, 1, 0.6, 0.2, -0.2, -0.6, -1, -0.5, 0, 0.5])


def test_constant_rate_is_one_straight_line() -> None:
    paths = strains("constant_rate", 10)
    torch.testing.assert_close(
        paths, torch.linspace(0, 1, 61, dtype=torch.float64)[:, None] * paths[:, -1:], rtol=0, atol=ROUNDED
    )


def test_a_random_walk_has_equal_steps_whose_direction_persists_for_a_while() -> None:
    walks = strains("random_walk", 200, max_trace=1.0)
    steps = walks.diff(dim=1)
    lengths = steps.norm(dim=-1)
    assert (lengths / lengths[:, :1] - 1).abs().max() < 1e-5
    directions = steps / lengths[..., None]
    alike = [(directions[:, :-gap] * directions[:, gap:]).sum(-1).mean().item() for gap in (1, 3, 30)]
    assert alike[0] == pytest.approx(np.exp(-1 / 3), abs=0.1)  # 0.05 of 60 increments
    assert alike[1] == pytest.approx(np.exp(-1), abs=0.1)
    assert alike[2] == pytest.approx(0, abs=0.05)
    assert directions.mean((0, 1)).abs().max() < 0.05
    assert directions.square().mean((0, 1)).tolist() == pytest.approx([1 / 6] * 6, abs=0.03)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_rates_paths_last_from_zero_to_one(family: str) -> None:
    _, times = sample_paths(family, 3, 1)
    assert times.dtype == torch.float64
    assert torch.equal(times, torch.linspace(0, 1, INCREMENTS + 1, dtype=torch.float64).expand(3, -1))


@pytest.mark.parametrize("isochoric", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_paths_take_the_rates_in_turn_in_equal_steps_of_time(family: str, isochoric: bool) -> None:
    rates = (2.0, 1e-3, 0.5)
    strain, times = sample_paths(family, 4, 1, PathOptions(isochoric=isochoric, rates=rates), first=2)
    assert not times[:, 0].any()
    torch.testing.assert_close(times.diff(), (times[:, -1:] / INCREMENTS).expand(-1, INCREMENTS))
    mean = strain.diff(dim=1).norm(dim=-1).sum(-1) / times[:, -1]
    assert mean.tolist() == pytest.approx([0.5, 2.0, 1e-3, 0.5])


def test_constant_rate_has_its_rate_at_every_step() -> None:
    strain, times = sample_paths("constant_rate", 2, 1, PathOptions(rates=(2.0, 1e-3)))
    rate = strain.diff(dim=1).norm(dim=-1) / times.diff()
    torch.testing.assert_close(
        rate, torch.tensor([[2.0], [1e-3]], dtype=torch.float64).expand(-1, INCREMENTS), rtol=1e-6, atol=0
    )


def test_rates_change_the_times_only() -> None:
    assert torch.equal(strains("cyclic", 3), strains("cyclic", 3, rates=(3.0,)))


def test_gaussian_processes_have_the_covariance_conditioned_on_a_zero_start() -> None:
    increments, samples, length = 10, 40_000, 0.3
    parts = [gaussian_process(increments, 100, np.random.default_rng(seed), length) for seed in range(samples // 100)]
    drawn = np.concatenate(parts, axis=1)
    assert not drawn[0].any()
    for i, j in ((5, 5), (10, 10), (3, 6)):
        t, s = i / increments, j / increments
        kernel = {gap: np.exp(-0.5 * (gap / length) ** 2) for gap in (t - s, t, s)}
        expected = kernel[t - s] - kernel[t] * kernel[s]
        assert (drawn[i] * drawn[j]).mean() == pytest.approx(expected, abs=5 / np.sqrt(samples))


def test_names_are_unique_and_tell_canonical_directions() -> None:
    names = [path_name(family, number) for family in FAMILIES for number in range(18)]
    assert len(set(names)) == len(names)
    assert path_name("cyclic", 3) == "cyclic_3"
    assert path_name("canonical", 10) == "tension_xx_shear_xy"
    assert path_name("canonical_unloading", 10) == "tension_xx_shear_xy_unloading"


def test_an_unknown_family_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="'circular': choose from proportional_unloading, proportional_random, nonpro"):
        sample_paths("circular", 1, 0)


@pytest.mark.parametrize(("count", "seed", "first"), [(0, 1, 0), (1, -1, 0), (1, 1, -1)])
def test_impossible_counts_and_seeds_are_refused(count: int, seed: int, first: int) -> None:
    with pytest.raises(ValueError, match="count must be positive, first and seed not negative"):
        sample_paths("cyclic", count, seed, first=first)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("increments", [0, -3]),
        ("amplitude", [0.0, -0.1, inf, nan]),
        ("max_trace", [-0.1, nan]),
        ("rates", [(0.0,), (1.0, -1.0), (inf,), (nan,)]),
    ],
)
def test_impossible_options_are_refused(option: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"{option}"):
            PathOptions(**{option: value})


def test_an_amplitude_that_turns_the_material_inside_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Path compression_yy is impossible: I \+ E has principal value .* below 1.5"):
        strains("canonical", 18, amplitude=1.5)
    assert strains("canonical", 18, amplitude=1.5, isochoric=True).isfinite().all()
