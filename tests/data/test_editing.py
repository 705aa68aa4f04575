"""Uses are drawn anew in balance over families, and merged sets hold what their parts held."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prnn_md.data.dataset import StressStrainData, averaged, checksum, read_dataset, without_noise, write_dataset
from prnn_md.data.editing import balanced_order, default_counts, drawn_uses, merged, split_anew
from prnn_md.data.verification import DatasetError
from prnn_md.statistics import stress_scale

FAMILIES = ("a", "a", "b", "c")
COUNTS = {"train": 6, "valid": 3, "test": 3, "pool": 0}


def made_up(paths: int = 16, seed: int = 0, replicas: int = 3) -> StressStrainData:
    generator = torch.Generator().manual_seed(seed)
    strain = 0.01 * torch.randn(paths, 5, 6, dtype=torch.float64, generator=generator)
    strain[:, 0] = 0.0
    answers = torch.randn(paths, replicas, 5, 6, generator=generator)
    times = torch.linspace(0, 1, 5, dtype=torch.float64)
    family = [FAMILIES[path % 4] for path in range(paths)]
    ids = [[f"{seed}-{path}-{replica}" for replica in range(replicas)] for path in range(paths)]
    return averaged("made up", strain, times, answers, family, ["train"] * paths, "MPa", ids, "s", {"seed": seed})


def test_balanced_order_goes_in_turns_and_keeps_the_pools_order() -> None:
    family = ["b", "a", "a", "b", "b", "c"]
    assert balanced_order(range(6), family) == [1, 0, 5, 2, 3, 4]
    assert balanced_order([4, 2], family) == [2, 4]


@pytest.mark.parametrize("seed", [0, 1])
def test_uses_are_balanced_over_families(seed: int) -> None:
    data = made_up()
    new = split_anew(data, "new", COUNTS, seed)
    assert Counter(new.split) == Counter({"train": 6, "valid": 3, "test": 3})
    for use, each in (("train", 2), ("valid", 1), ("test", 1)):
        assert Counter(new.select(use).family) == dict.fromkeys("abc", each)
    assert new.name == "new"
    torch.testing.assert_close(new.stress_scale, stress_scale(new.select("train").stress))
    assert new.provenance["counts"] == COUNTS
    assert new.provenance["from"] == {"name": "made up", "checksum": checksum(data), "provenance": {"seed": 0}}


def test_the_seed_alone_decides_and_more_training_paths_leave_the_others() -> None:
    one, same, other = (drawn_uses(made_up().family, COUNTS, seed) for seed in (1, 1, 2))
    assert one == same != other
    more = drawn_uses(made_up().family, {**COUNTS, "train": 8, "pool": 2}, 1)
    assert [new for new, old in zip(more, one, strict=True) if old] == list(filter(None, one))
    assert Counter(more) == Counter({"train": 8, "valid": 3, "test": 3, "pool": 2})


def test_paths_keep_their_order_and_what_belongs_to_them(tmp_path: Path) -> None:
    data = made_up()
    new = split_anew(data, "new", {"train": 3, "valid": 1, "test": 1}, 0, families=["c", "b"])
    places = [int(ids[0].split("-")[1]) for ids in new.label_ids]
    assert places == sorted(places)
    assert len(places) == 5
    torch.testing.assert_close(new.strain, data.strain[places], rtol=0, atol=0)
    torch.testing.assert_close(new.replicas, data.replicas[places], rtol=0, atol=0)
    assert new.family == tuple(data.family[place] for place in places)
    assert set(new.family) == {"b", "c"}
    write_dataset(tmp_path / "new.h5", new)
    assert read_dataset(tmp_path / "new.h5").split == new.split


@pytest.mark.parametrize(
    ("counts", "families", "message"),
    [
        ({"train": 20, "valid": 1, "test": 1}, None, "20 train, 0 pool, 1 valid, 1 test: that is 22 paths, .* are 16"),
        ({"train": 8, "valid": 1, "test": 0}, ["b", "c"], "that is 9 paths, where there are 8"),
        ({"train": 0, "valid": 0, "test": 0}, None, "that is 0 paths"),
        ({"train": 4, "valid": -1, "test": 1}, None, "fewer than 0 paths of a split: 4 train, 0 pool, -1 valid"),
        ({"train": 1, "valid": 1, "test": 1}, ["a", "d"], "no paths of 'd', but of a, b, c"),
    ],
)
def test_impossible_splits_are_refused(counts: dict[str, int], families: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_anew(made_up(), "new", counts, 0, families)


def test_a_fifth_tests_and_a_fifth_validates_by_default() -> None:
    assert default_counts(100) == {"train": 60, "valid": 20, "test": 20}
    assert default_counts(3) == {"train": 1, "valid": 1, "test": 1}
    with pytest.raises(ValueError, match="2 paths are too few"):
        default_counts(2)


def test_merged_sets_hold_all_paths_with_room_for_all_replicas(tmp_path: Path) -> None:
    first, second = made_up(4, 1, replicas=2), made_up(3, 2, replicas=4)
    exact = made_up(2, 3)
    exact = without_noise("exact", exact.strain, exact.times, exact.stress, exact.family, exact.split, "MPa", "s")
    both = merged([("a.h5", first), ("b.h5", second), ("c.h5", exact)], "both")
    write_dataset(tmp_path / "both.h5", both)
    data = read_dataset(tmp_path / "both.h5")
    assert data.name == "both"
    assert data.replica_count.tolist() == [2] * 4 + [4] * 3 + [0] * 2
    assert data.replicas.shape == (9, 4, 5, 6)
    torch.testing.assert_close(data.replicas[:4, :2], first.replicas, rtol=0, atol=0)
    torch.testing.assert_close(data.replicas[4:7], second.replicas, rtol=0, atol=0)
    torch.testing.assert_close(data.stress, torch.cat([first.stress, second.stress, exact.stress]), rtol=0, atol=0)
    assert data.label_ids == (*((*ids, "", "") for ids in first.label_ids), *second.label_ids, *(("",) * 4,) * 2)
    assert data.family == first.family + second.family + exact.family
    torch.testing.assert_close(data.stress_scale, stress_scale(data.stress))
    assert [part["provenance"] for part in data.provenance["parts"]] == [{"seed": 1}, {"seed": 2}, {}]
    assert data.provenance["parts"][0]["checksum"] == checksum(first)


def test_the_scale_is_that_of_train_where_there_is_any() -> None:
    first, second = made_up(4, 1), made_up(3, 2)
    test = replace(second, split=("test",) * 3)
    both = merged([("a.h5", first), ("b.h5", test)], "both")
    torch.testing.assert_close(both.stress_scale, stress_scale(first.stress))
    none = merged([("b.h5", test)], "none")
    torch.testing.assert_close(none.stress_scale, stress_scale(second.stress))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": "epsilon/sigma^3"}, "unit of stress of a.h5 is 'MPa', that of b.h5 is 'epsilon/sigma^3'"),
        ({"time_unit": ""}, "unit of time of a.h5 is 's', that of b.h5 is ''"),
        ({"stress_measure": "cauchy"}, "stress measure of a.h5 is 'biot', that of b.h5 is 'cauchy'"),
    ],
)
def test_sets_that_do_not_go_together_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(message)):
        merged([("a.h5", made_up()), ("b.h5", replace(made_up(seed=1), **change))], "both")


def test_sets_of_other_increments_are_refused() -> None:
    data = made_up(seed=1)
    shorter = replace(data, **{name: getattr(data, name)[:, :4] for name in ("strain", "stress", "times")})
    with pytest.raises(DatasetError, match="a.h5 has paths of 4 increments, b.h5 of 3"):
        merged([("a.h5", made_up()), ("b.h5", shorter)], "both")


@pytest.mark.parametrize(("use", "message"), [("train", "paths 1 and 4 are"), ("test", "train and test overlap")])
def test_a_path_that_is_in_two_sets_is_refused(use: str, message: str) -> None:
    first = made_up(3)
    second = replace(first.select([2, 1]), split=("valid", use))
    first = replace(first, split=("train", "train", "pool"))
    fresh = made_up(2, seed=1)
    second = replace(second, strain=torch.stack([fresh.strain[0], second.strain[1]]))
    with pytest.raises(DatasetError, match=f"{message}.*through the files: a.h5 from 0, b.h5 from 3"):
        merged([("a.h5", first), ("b.h5", second)], "both")
