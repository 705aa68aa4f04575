"""`prnn-md dataset` through the real command: what it says, writes and refuses."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from prnn_md.app.main import main
from prnn_md.data.dataset import checksum, read_dataset, write_dataset
from prnn_md.data.strain_csv import read_strain_paths
from prnn_md.statistics import noise_floor


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tiny(tiny_dataset: Path) -> str:
    shutil.copy(tiny_dataset, "tiny.h5")
    return "tiny.h5"


def test_info_says_what_there_is(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = read_dataset(tiny)
    assert main(["dataset", "info", tiny]) == 0
    shown = capsys.readouterr().out
    lines = {line[:14].strip(): line[14:] for line in shown.splitlines()}
    assert lines["name"] == "tiny"
    assert lines["paths"] == "12 of 5 increments"
    assert lines["amplitude"].startswith("|E| up to 0.1200 (0.12 by path), |tr E| up to 0.0")
    assert lines["replicas"] == "3 for each path"
    assert lines["units"] == "epsilon/sigma^3, Biot stress"
    assert lines["times"] == "they have no unit, and only say what comes first"
    assert lines["stress scale"].startswith(f"xx {data.stress_scale[0]:.4g}, yy ")
    assert lines["checksum"] == checksum(data)
    table = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if re.search(r" \d+$", line)}
    assert table == {**{name: ["2", "0", "1", "1", "4"] for name in data.family}, "all": ["6", "0", "3", "3", "12"]}
    floors = [noise_floor(data.select(use).standard_error, data.stress_scale) for use in ("train", "valid", "test")]
    expected = f"{floors[0]:.3f} - {floors[1]:.3f} {floors[2]:.3f} relative to the stress scale"
    assert expected in re.sub(" +", " ", shown)
    assert "it does not say" in shown


def test_info_of_a_set_with_rates_and_ragged_replicas(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = read_dataset(tiny)
    replicas, count = data.replicas.clone(), data.replica_count.clone()
    replicas[:, :], count[:] = torch.nan, 0
    length = data.strain.diff(dim=1).norm(dim=-1).sum(-1)
    duration = 10.0 * length
    duration[0] = 5.0 * length[0]
    timed = replace(
        data,
        replicas=replicas,
        replica_count=count,
        standard_error=torch.zeros_like(data.stress),
        times=data.times * duration[:, None],
        time_unit="fs",
        provenance={"made_by": "hand", "recipe": {"numbers": list(range(100))}},
    )
    write_dataset("timed.h5", timed)
    assert main(["dataset", "info", "timed.h5"]) == 0
    shown = capsys.readouterr().out
    assert "at mean strain rates of 0.1 to 0.2 per fs" in shown
    assert "replicas      none: the stresses are taken to be exact" in shown
    assert re.search(r"standard error +- +- +- +- ", shown)
    assert "  made_by     hand\n" in shown
    (recipe,) = (line for line in shown.splitlines() if "numbers" in line)
    assert recipe.endswith(" ...")
    assert len(recipe) <= 102
    assert main(["dataset", "info", "timed.h5", "--provenance"]) == 0
    assert json.loads(capsys.readouterr().out) == timed.provenance


def test_shipped_sets_are_known_by_name_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "verify", "polymer"]) == 0
    assert re.search(r"polymer\.h5 is whole: 471 paths, checksum 7dfeb5ddf6", capsys.readouterr().out)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        offset = file["strain"].id.get_offset()
    content[offset + 8 * 6 * 8] ^= 1
    path.write_bytes(content)


def inside(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def put_nan(file: h5py.File) -> None:
    file["stress"][4, 2, 1] = np.nan


def put_a_wrong_unit(file: h5py.File) -> None:
    file.attrs["units"] = "GPa"


def drop_a_replica(file: h5py.File) -> None:
    file["replicas"][3, 2] = np.nan


def repeat_a_path(second: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        for name in ("strain", "times"):
            file[name][second] = file[name][0]

    return change


DAMAGE = {
    "truncated": (truncate, "not a readable HDF5 dataset (truncated or corrupt?)"),
    "bit": (flip_a_bit, "the checksum does not match the contents"),
    "nan": (inside(put_nan), "/stress, path 4, increment 2: nan is not a finite number"),
    "unit": (inside(put_a_wrong_unit), "the unit of stress must be 'epsilon/sigma^3', 'MPa', got 'GPa'"),
    "replica": (inside(drop_a_replica), "/replicas, path 3: replica 2 of 3 is missing"),
    "duplicate": (inside(repeat_a_path(1)), "/strain: paths 0 and 1 are the same"),
    "overlap": (inside(repeat_a_path(3)), "/strain: train and test overlap, paths 0 and 3 are the same"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_verify_names_what_is_wrong(kind: str, tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    damage, message = DAMAGE[kind]
    damage(Path(tiny))
    assert main(["dataset", "verify", tiny]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: tiny.h5: {message}")
    assert shown.err.count("\n") == 1


def test_split_draws_uses_and_says_what_is_left_out(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--train", "3", "--valid", "3", "--test", "3", "--pool", "1", "--seed", "4"]
    assert main(["dataset", "split", tiny, "--output", "sets/new.h5", *words]) == 0
    shown = capsys.readouterr().out
    assert shown == "sets/new.h5: 10 paths (3 train, 1 pool, 3 valid, 3 test); 2 are left out\n"
    data = read_dataset("sets/new.h5")
    assert data.name == "new"
    assert len(set(data.select("test").family)) == 3
    assert data.provenance["seed"] == 4
    kept = data.family[0]
    words = ["--train", "2", "--valid", "1", "--test", "1", "--families", kept, "--name", "mine"]
    assert main(["dataset", "split", tiny, "--output", "one.h5", *words]) == 0
    assert capsys.readouterr().out == "one.h5: 4 paths (2 train, 1 valid, 1 test); 8 are left out\n"
    data = read_dataset("one.h5")
    assert (data.name, set(data.family)) == ("mine", {kept})


def test_parts_can_be_merged_again(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole = read_dataset(tiny)
    for number, rows in enumerate((range(8), range(8, 12))):
        write_dataset(f"{number}.h5", whole.select(list(rows)))
    assert main(["dataset", "merge", "0.h5", "1.h5", "--output", "both.h5", "--name", "tiny"]) == 0
    assert capsys.readouterr().out == "both.h5: 12 paths (6 train, 3 valid, 3 test)\n"
    both = read_dataset("both.h5")
    torch.testing.assert_close(both.stress_scale, whole.stress_scale)
    assert checksum(replace(both, stress_scale=whole.stress_scale, provenance=whole.provenance)) == checksum(whole)
    assert main(["dataset", "merge", "both.h5", "1.h5", "--output", "twice.h5"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: /strain: paths 8 and 12 are the same.")
    assert not Path("twice.h5").exists()


def test_an_exported_table_goes_to_predict(tiny: str, finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "export", tiny, "--output", "test.csv", "--split", "test"]) == 0
    assert capsys.readouterr().out == "test.csv: 3 paths\n"
    data = read_dataset(tiny).select("test")
    paths = read_strain_paths("test.csv")
    assert [path.name for path in paths] == [f"{family}_{4 * i + 3}" for i, family in enumerate(data.family)]
    assert main(["predict", f"run={finished_run}", "strain=test.csv"]) == 0
    assert Path("test_stress.csv").is_file()


def test_an_exported_archive_holds_the_paths_of_all_splits(tiny: str) -> None:
    assert main(["dataset", "export", tiny, "--output", "all.npz"]) == 0
    with np.load("all.npz") as file:
        np.testing.assert_array_equal(file["stress"], read_dataset(tiny).stress.numpy())


def test_replicas_are_counted_and_drawn(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "replicas", tiny, "--output", "own.png", "--target", "0.01", "--resamples", "50"]) == 0
    shown = capsys.readouterr()
    data = read_dataset(tiny)
    floor = noise_floor(data.standard_error, data.stress_scale)
    lines = shown.out.splitlines()
    assert lines[0].startswith("tiny: 12 of 12 paths, which have 3 replicas")
    assert lines[3].split()[:2] == ["3", f"{floor:.4f}"]
    needed = int(np.ceil(3 * (floor / 0.01) ** 2))
    assert lines[4] == f"standard error of 0.01: {needed} replicas, extrapolated from 3 by R^-1/2"
    assert lines[5] == "own.png"
    assert shown.err == ""
    assert Path("own.png").stat().st_size > 10_000


def test_published_text_becomes_a_dataset(
    write_prnn_text: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, stress, _ = write_prnn_text(Path("made.data"), 10)
    assert main(["dataset", "import", "prnn_text", "made.data", "--output", "made.h5"]) == 0
    assert capsys.readouterr().out == "made.h5: 10 paths (6 train, 2 valid, 2 test)\n"
    data = read_dataset("made.h5")
    torch.testing.assert_close(data.stress, stress, rtol=0, atol=1e-5)
    assert (data.name, data.units, data.time_unit) == ("made", "MPa", "s")
    assert data.provenance["from"]["provenance"]["file"] == "made.data"
    words = ["--family", "composite", "--name", "mine", "--train", "4", "--test", "3", "--seed", "2"]
    assert main(["dataset", "import", "prnn_text", "made.data", "--output", "mine.h5", *words]) == 0
    assert capsys.readouterr().out == "mine.h5: 7 paths (4 train, 3 test); 3 are left out\n"
    data = read_dataset("mine.h5")
    assert (data.name, set(data.family)) == ("mine", {"composite"})


def test_an_exported_table_comes_back(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "export", tiny, "--output", "tiny.csv"]) == 0
    words = ["dataset", "import", "csv", "tiny.csv", "--units", "epsilon/sigma^3"]
    assert main([*words, "--output", "again.h5"]) == 0
    before, after = read_dataset(tiny), read_dataset("again.h5")
    assert (after.split, after.family) == (before.split, before.family)
    torch.testing.assert_close(after.stress, before.stress, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(after.stress_scale, before.stress_scale)
    assert main([*words, "--output", "drawn.h5", "--train", "9", "--valid", "2", "--test", "1"]) == 0
    assert capsys.readouterr().out.endswith("drawn.h5: 12 paths (9 train, 2 valid, 1 test)\n")


def test_columns_of_a_table_are_named(tiny: str) -> None:
    assert main(["dataset", "export", tiny, "--output", "tiny.csv"]) == 0
    text = Path("tiny.csv").read_text().replace("E_xy", "gamma").replace("T_xx", "sig11").replace("split", "use")
    Path("tiny.csv").write_text(text)
    words = ["import", "csv", "tiny.csv", "--units", "MPa", "--time-unit", "s", "--output", "out.h5"]
    measures = ["--shear", "engineering", "--stress", "biot", "--strain", "biot"]
    assert main(["dataset", *words, *measures, "--columns", "E_xy=gamma, T_xx=sig11"]) == 0
    before, after = read_dataset(tiny), read_dataset("out.h5")
    torch.testing.assert_close(after.strain[..., 5], 0.5 * before.strain[..., 5])
    torch.testing.assert_close(after.stress, before.stress)
    assert [after.split.count(use) for use in ("train", "valid", "test")] == [8, 2, 2]
    with pytest.raises(SystemExit):
        main(["dataset", *words, "--columns", "E_xy"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["info", "tini.h5"], "There is no dataset 'tini.h5'."),
        (["split", "tiny.h5", "--output", "x.h5", "--train", "9", "--valid", "9", "--test", "9"], "that is 27 paths"),
        (["import", "prnn_text", "tiny.h5", "--output", "x.h5"], "tiny.h5: not a readable text file"),
        (["import", "csv", "gone.csv", "--units", "MPa", "--output", "x.h5"], "gone.csv: not a readable CSV file"),
        (["export", "tiny.h5", "--output", "x.txt"], "x.txt: its name must end in .csv or .npz"),
        (["export", "tiny.h5", "--output", "x.csv", "--split", "pool"], "tiny.h5 has no pool paths"),
        (["replicas", "tiny.h5", "--output", "x.png", "--target", "0"], "target must be positive, got 0.0"),
        (["replicas", "tiny.h5", "--output", "x.png", "--resamples", "0"], "resamples be positive, got 0.95 and 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_file(
    words: list[str], message: str, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", *words]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["tiny.h5"]


@pytest.mark.parametrize(
    ("output", "message"), [("tiny.h5", "tiny.h5 is there already"), ("new.csv", "new.csv: its name must end in .h5")]
)
def test_a_dataset_never_takes_the_place_of_another_file(
    output: str, message: str, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["dataset", "merge", tiny, "--output", output])
    assert exit.value.code == 2
    assert message in capsys.readouterr().err
