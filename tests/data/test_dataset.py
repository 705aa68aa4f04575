"""Datasets survive writing and reading, and what is wrong in a file is named with its place."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from prnn_md.data import dataset
from prnn_md.data.dataset import (
    ARRAYS,
    DatasetFile,
    StressStrainData,
    averaged,
    read_dataset,
    resolve,
    scale_of,
    without_noise,
    write_dataset,
)
from prnn_md.data.verification import DatasetError
from prnn_md.statistics import stress_scale


def made_up(paths: int = 6, points: int = 5, replicas: int = 3) -> StressStrainData:
    generator = torch.Generator().manual_seed(0)
    strain = 0.01 * torch.randn(paths, points, 6, dtype=torch.float64, generator=generator)
    strain[:, 0] = 0.0
    answers = torch.randn(paths, replicas, points, 6, generator=generator)
    times = torch.linspace(0, 1, points, dtype=torch.float64)
    family = [("loop", "größer")[index % 2] for index in range(paths)]
    split = [("train", "valid", "test")[index // 2 % 3] for index in range(paths)]
    ids = [[f"{path}-{replica}" for replica in range(replicas)] for path in range(paths)]
    provenance = {"seed": 0, "versions": {"torch": "2"}}
    return averaged("made up", strain, times, answers, family, split, "epsilon/sigma^3", ids, "", provenance)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "made_up.h5"
    write_dataset(path, made_up())
    return path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(written, tmp_path / "copied.h5"))


def test_reading_gives_back_what_was_written(written: Path) -> None:
    before, after = made_up(), read_dataset(written)
    for name in (*ARRAYS, "stress_scale"):
        torch.testing.assert_close(getattr(after, name), getattr(before, name), rtol=0, atol=0)
    for name in ("name", "family", "split", "units", "time_unit", "stress_measure", "label_ids", "provenance"):
        assert getattr(after, name) == getattr(before, name)
    assert len(after) == 6


def test_paths_are_read_when_they_are_asked_for(written: Path) -> None:
    whole = made_up()
    file = DatasetFile(written)
    assert (len(file), file.split, file.family) == (6, whole.split, whole.family)
    some = file.read([4, 1, 4])
    for name in ARRAYS:
        torch.testing.assert_close(getattr(some, name), getattr(whole, name)[[4, 1, 4]], rtol=0, atol=0)
    assert some.label_ids == tuple(whole.label_ids[index] for index in (4, 1, 4))


def test_a_file_of_several_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch, written: Path) -> None:
    monkeypatch.setattr(dataset, "CHUNK", 4)
    torch.testing.assert_close(read_dataset(written).strain, made_up().strain, rtol=0, atol=0)


def test_paths_may_have_fewer_replicas_than_others_or_none(tmp_path: Path) -> None:
    data = made_up()
    replicas = data.replicas.clone()
    replicas[1, 2] = torch.nan
    fewer = averaged("few", data.strain, data.times, replicas, data.family, data.split, data.units)
    assert fewer.replica_count.tolist() == [3, 2, 3, 3, 3, 3]
    torch.testing.assert_close(fewer.stress[1], data.replicas[1, :2].double().mean(0))
    exact = replace(
        data,
        replicas=data.replicas[:, :0],
        replica_count=torch.zeros(6, dtype=torch.int64),
        standard_error=torch.zeros_like(data.stress),
        label_ids=((),) * 6,
    )
    for name, written in (("fewer.h5", fewer), ("exact.h5", exact)):
        write_dataset(tmp_path / name, written)
        again = read_dataset(tmp_path / name)
        torch.testing.assert_close(again.replicas, written.replicas, rtol=0, atol=0, equal_nan=True)
        assert again.label_ids == written.label_ids


@pytest.mark.parametrize("paths", [6, 100])
def test_sets_without_replicas_are_read_in_parts(paths: int, tmp_path: Path) -> None:
    data = made_up(paths)
    whole = without_noise("exact", data.strain, data.times, data.stress, data.family, data.split, "MPa", "s")
    write_dataset(tmp_path / "exact.h5", whole)
    assert read_dataset(tmp_path / "exact.h5").replicas.shape == (paths, 0, 5, 6)
    some = [*range(0, paths, 2), 1]
    file = DatasetFile(tmp_path / "exact.h5")
    part = file.read(some)
    torch.testing.assert_close(part.stress, data.stress[some], rtol=0, atol=0)
    assert part.label_ids == ((),) * len(some)
    assert not part.standard_error.any()
    torch.testing.assert_close(whole.stress_scale, data.stress_scale)


def test_the_scale_is_that_of_train_or_of_all_where_there_is_none() -> None:
    data = made_up()
    torch.testing.assert_close(scale_of(data.stress, data.split), stress_scale(data.stress[:2]))
    torch.testing.assert_close(scale_of(data.stress, ("test",) * 6), stress_scale(data.stress))


def test_replicas_that_are_not_there_must_be_the_last(tmp_path: Path) -> None:
    data = made_up()
    for hole in ((1, 0), (1, 2, 3)):
        replicas = data.replicas.clone()
        replicas[hole] = torch.nan
        with pytest.raises(ValueError, match=r"Path 1: its \d replicas must come first and have no NaN"):
            averaged("holes", data.strain, data.times, replicas, data.family, data.split, data.units)


def test_file_has_the_documented_layout(written: Path) -> None:
    with h5py.File(written) as file:
        assert {name: file[name].shape for name in file} == {
            "strain": (6, 5, 6),
            "stress": (6, 5, 6),
            "standard_error": (6, 5, 6),
            "replicas": (6, 3, 5, 6),
            "replica_count": (6,),
            "label_ids": (6, 3),
            "times": (6, 5),
            "family": (6,),
            "split": (6,),
            "stress_scale": (6,),
        }
        assert file["strain"].dtype == np.float64
        assert file["replicas"].dtype == np.float32
        assert file["replicas"].compression == "gzip"
        assert file.attrs["schema_version"] == 2
        assert file.attrs["components"] == "xx,yy,zz,yz,xz,xy"
        assert len(file.attrs["checksum"]) == 64


def test_writing_twice_gives_the_same_checksum_and_leaves_nothing_behind(written: Path, tmp_path: Path) -> None:
    for name in ("one.h5", "one.h5"):
        write_dataset(tmp_path / name, made_up())
    assert [path.name for path in tmp_path.iterdir()] == ["one.h5"]
    with h5py.File(tmp_path / "one.h5") as new, h5py.File(written) as old:
        assert new.attrs["checksum"] == old.attrs["checksum"]


def test_failing_while_writing_keeps_the_old_file(copied: Path) -> None:
    before = copied.read_bytes()
    with pytest.raises(TypeError):
        write_dataset(copied, replace(made_up(), provenance={"not json": object()}))
    assert copied.read_bytes() == before
    assert [path.name for path in copied.parent.iterdir()] == ["copied.h5"]


def test_select_by_split_and_by_indices() -> None:
    data = made_up()
    valid = data.select("valid")
    torch.testing.assert_close(valid.strain, data.strain[2:4])
    assert valid.split == ("valid", "valid")
    swapped = data.select([5, 0])
    torch.testing.assert_close(swapped.replicas, data.replicas[[5, 0]])
    assert swapped.family == (data.family[5], data.family[0])
    assert swapped.stress_scale is data.stress_scale
    assert len(data.select([])) == 0
    with pytest.raises(ValueError, match="split must be one of train, pool, valid, test, got 'tran'"):
        data.select("tran")


def change(name: str, index: tuple[int, ...], value: float) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        file[name][index] = value

    return apply


def twice(first: int, second: int) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        for name in ("strain", "times"):
            file[name][second] = file[name][first]

    return apply


def drop(name: str) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file[name]

    return apply


def put(name: str, value: object) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return apply


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("stress", (4, 2, 1), np.nan), "/stress, path 4, increment 2: nan is not a finite number"),
        (
            change("replicas", (3, 1, 2, 0), np.inf),
            "/replicas, path 3: replica 1 of 3 has no finite number at increment 2",
        ),
        (change("replicas", (3, 2), np.nan), "/replicas, path 3: replica 2 of 3 is missing"),
        (change("replica_count", (3,), 2), "/replicas, path 3: there is a replica 2, of 2 from 0 on"),
        (change("replica_count", (3,), 1), "/replica_count, path 3: .* one says nothing of its error; got 1"),
        (change("replicas", (3, 1, 2, 0), 9.0), "/stress, path 3, increment 2: it is not that of the 3 replicas"),
        (change("times", (1, 2), np.nan), "/times, path 1, increment 2: nan"),
        (change("times", (4, 3), 0.5), "/times, path 4: they must increase, but not at increment 3"),
        (twice(0, 1), "/strain: paths 0 and 1 are the same"),
        (twice(0, 5), "/strain: train and test overlap, paths 0 and 5 are the same"),
        (change("label_ids", (2, 1), "other"), "checksum does not match"),
        (attribute("units", "GPa"), "the unit of stress must be 'epsilon/sigma.3', 'MPa', got 'GPa'"),
        (attribute("units", "MPa"), "checksum does not match"),
        (attribute("time_unit", "h"), "the unit of time must be '', 'tau', 'fs', 's', got 'h'"),
        (change("strain", (1, 0, 5), 1e-9), "/strain, path 1, increment 0: it must be at zero strain"),
        (change("strain", (2, 3, 1), -1.1), "/strain, path 2, increment 3: I . E has principal value -0.* <= 0"),
        (
            change("standard_error", (5, 1, 0), -1.0),
            "/standard_error, path 5, increment 1: it must not be negative",
        ),
        (change("stress_scale", (4,), 0.0), "/stress_scale must be positive, which it is not for xz"),
        (change("strain", (4, 2, 1), 0.25), "checksum does not match"),
        (put("split", ["train"] * 5 + ["exam"]), "/split must hold train, pool, valid, test, got 'exam'"),
        (put("split", ["train"] * 5), "/split has 5 entries for 6 paths"),
        (put("family", ["loop"] * 6), "checksum does not match"),
        (put("family", [1.0] * 6), "not a readable HDF5 dataset"),
        (
            put("stress", np.zeros((6, 4, 6))),
            r"/stress has the shape \(6, 4, 6\), where /strain asks for \(6, 5, 6\)",
        ),
        (
            put("strain", np.zeros((6, 5, 3))),
            r"/strain must be \(paths, T\+1, 6\) with T > 0, got \(6, 5, 3\)",
        ),
        (put("replicas", np.zeros((6, 1, 5, 6))), "/label_ids, path 0: 3 of them for 1 replicas"),
        (put("times", "noon"), "not a readable HDF5 dataset"),
        (drop("standard_error"), "missing: /standard_error"),
        (attribute("checksum", None), "missing: attribute checksum"),
        (attribute("provenance", "{"), "not a readable HDF5 dataset"),
        (attribute("stress_measure", "cauchy"), "stress measure must be 'biot', got 'cauchy'"),
        (attribute("components", "xx,yy,zz,xy,yz,xz"), "components must be 'xx,yy,zz,yz,xz,xy'"),
        (attribute("notation", "voigt"), "the notation must be 'mandel', got 'voigt'"),
        (attribute("strain_measure", "green_lagrange"), "the strain measure must be 'biot', got 'green_lagrange'"),
        (attribute("provenance", '{"seed": 1}'), "checksum does not match"),
        (attribute("schema_version", 1), "schema version is 1; this prnn_md reads version 2"),
        (attribute("schema_version", None), "schema version is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(copied: Path, damage: Callable[[h5py.File], None], message: str) -> None:
    with h5py.File(copied, "r+") as file:
        damage(file)
    with pytest.raises(DatasetError, match=message) as caught:
        read_dataset(copied)
    assert str(caught.value).startswith(f"{copied}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("size", [0, 40, 3000, 9000])
def test_a_truncated_file_is_one_clear_error(copied: Path, size: int) -> None:
    copied.write_bytes(copied.read_bytes()[:size])
    with pytest.raises(DatasetError, match=re.escape(str(copied)) + ".*truncated or corrupt"):
        read_dataset(copied)


def test_an_overwritten_piece_is_found(copied: Path) -> None:
    content = bytearray(copied.read_bytes())
    with h5py.File(copied) as file:
        offset = file["strain"].id.get_offset()
    content[offset + 8 * 6 * (5 + 2)] ^= 1  # the last bit of path 1, increment 2
    copied.write_bytes(content)
    with pytest.raises(DatasetError, match="checksum"):
        read_dataset(copied)


def test_data_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    data = made_up()
    data.stress[3, 4, 0] = torch.nan
    with pytest.raises(DatasetError, match=r"bad\.h5: not written: /stress, path 3, increment 4"):
        write_dataset(tmp_path / "bad.h5", data)
    assert not list(tmp_path.iterdir())


def test_names_resolve_to_shipped_sets(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SETS", written.parent)
    assert dataset.shipped_names() == ["made_up"]
    assert resolve("made_up") == written
    assert resolve(str(written)) == written
    with pytest.raises(DatasetError, match=r"no dataset 'madeup'\. Did you mean 'made_up'\?.*shipped name: made_up\."):
        read_dataset("madeup")


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset '.*gone\.h5'.*Give the path of an HDF5 file"):
        read_dataset(tmp_path / "gone.h5")
