"""Tables of other programs become Biot strains and stresses, whatever their columns and measures are."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prnn_md.data.dataset import StressStrainData
from prnn_md.data.exporting import write_csv
from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.data.strain_csv import StrainCsvError
from prnn_md.data.stress_csv import STRAINS, STRESSES, Columns, read_stress_csv
from prnn_md.materials.j2 import J2
from prnn_md.mechanics import cauchy_from_biot, from_mandel, mandel_weights, rotation_from_vector, stretch_of

STRAIN, TIMES = sample_paths("proportional_random", 3, 0, PathOptions(increments=4, rates=(0.1,)))
STRESS, _ = J2(yield_stress=1.0).rollout(STRAIN, TIMES)


def numbers(strain: str, stress: str) -> torch.Tensor:
    """Strain and stress of all points (paths, T+1, columns) in the measures asked for; F has rotations."""
    values = cauchy_from_biot(STRESS, STRAIN) if stress == "cauchy" else STRESS
    columns = {
        "biot": STRAIN / mandel_weights(STRAIN),
        "right_stretch": STRAIN / mandel_weights(STRAIN) + torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64),
    }.get(strain)
    if columns is None:
        vectors = torch.randn(3, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        rotation = rotation_from_vector(vectors)
        columns = (rotation @ stretch_of(STRAIN)).flatten(-2)
        if stress == "cauchy":
            turned = rotation @ from_mandel(values) @ rotation.mT
            return torch.cat([columns, turned[..., (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]], -1)
    return torch.cat([columns, values / mandel_weights(values)], -1)


def write(path: Path, header: list[str], values: torch.Tensor) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "t", *header])
        for number, (rows, times) in enumerate(zip(values.tolist(), TIMES.tolist(), strict=True)):
            writer.writerows([f"p{number}", time, *row] for row, time in zip(rows, times, strict=True))
    return path


def table(folder: Path, strain: str = "biot", stress: str = "biot") -> Path:
    """A table with the house's names of strain and stress, and foreign ones of the rest."""
    return write(folder / "table.csv", [*STRAINS[strain], *STRESSES[stress]], numbers(strain, stress))


def check(data: StressStrainData) -> None:
    torch.testing.assert_close(data.strain, STRAIN, rtol=0, atol=1e-13)
    torch.testing.assert_close(data.stress, STRESS, rtol=0, atol=1e-12)
    torch.testing.assert_close(data.times, TIMES, rtol=1e-14, atol=0)


NAMES = {"path": "id", "time": "t"}


@pytest.mark.parametrize("strain", STRAINS)
@pytest.mark.parametrize("stress", STRESSES)
def test_every_measure_comes_to_biot(strain: str, stress: str, tmp_path: Path) -> None:
    data = read_stress_csv(table(tmp_path, strain, stress), Columns(NAMES, strain, stress), "MPa", "s", "mine")
    check(data)
    assert not data.strain[:, 0].any()
    assert (data.units, data.time_unit, data.family, data.split) == ("MPa", "s", ("mine",) * 3, ("",) * 3)
    assert data.provenance["measures"] == {"strain": strain, "stress": stress, "shear": "tensor"}


def test_columns_may_have_any_names_and_shear_may_be_doubled(tmp_path: Path) -> None:
    values = numbers("biot", "biot")
    values[..., 3:6] *= 2.0
    foreign = {name: f"column {place}" for place, name in enumerate((*STRAINS["biot"], *STRESSES["biot"]))}
    file = write(tmp_path / "table.csv", list(foreign.values()), values)
    check(read_stress_csv(file, Columns({**NAMES, **foreign}, shear="engineering"), "MPa"))


def test_an_exported_table_is_read_back_with_families_and_splits(tmp_path: Path) -> None:
    file = table(tmp_path)
    data = read_stress_csv(file, Columns(NAMES), "MPa")
    data = StressStrainData(**{**vars(data), "family": ("a", "b", "a"), "split": ("train", "valid", "test")})
    write_csv(tmp_path / "out.csv", data, range(3))
    again = read_stress_csv(tmp_path / "out.csv", Columns(), "MPa")
    check(again)
    assert again.family == data.family
    assert again.split == data.split


def test_times_are_even_where_there_are_none(tmp_path: Path) -> None:
    data = read_stress_csv(table(tmp_path), Columns({"path": "id"}), "MPa")
    torch.testing.assert_close(data.times, torch.linspace(0, 1, 5, dtype=torch.float64).expand(3, 5))


Lines = list[list[str]]


def put(line: int, column: str, value: str) -> Callable[[Lines], None]:
    def change(lines: Lines) -> None:
        lines[line - 1][lines[0].index(column)] = value

    return change


def drop(line: int) -> Callable[[Lines], None]:
    return lambda lines: lines.__delitem__(line - 1)


def add_column(name: str, *values: str) -> Callable[[Lines], None]:
    """A column whose cells are the values, of which the last is repeated."""

    def change(lines: Lines) -> None:
        lines[0].append(name)
        for place, line in enumerate(lines[1:]):
            line.append(values[min(place, len(values) - 1)])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put(1, "E_yz", "eps"),
            "line 1: there is no column 'E_yz', which is to hold E_yz; the columns are id, t, E_xx",
        ),
        (put(1, "id", "name"), "line 1: there is no column 'id', which is to hold path"),
        (put(1, "T_xx", "E_xx"), "line 1: the column 'E_xx' appears twice"),
        (put(4, "T_zz", "much"), "line 4, column T_zz: 'much' is not a finite number"),
        (put(9, "E_xy", "nan"), "line 9, column E_xy: 'nan' is not a finite number"),
        (put(9, "t", "0.0"), "line 9, column t: 0.0 follows .* on path 'p1'"),
        (put(7, "E_xx", "0.01"), "line 7: path 'p1' starts at a strain of 0.01, not at zero"),
        (put(10, "E_xx", "-1.5"), "line 10: path 'p1', increment 3: I . E has principal value -0.5"),
        (lambda lines: lines.__delitem__(slice(2, None)), "line 2: path 'p0' has one point only"),
        (drop(9), "line 10: path 'p1' has 4 points, 'p0' has 5"),
        (lambda lines: lines[3].pop(), "line 4: 13 cells for 14 columns"),
        (lambda lines: lines.__delitem__(slice(1, None)), "no rows below the header"),
        (add_column("family", "a", "b"), "line 3, column family: path 'p0' is 'b' here and 'a' before"),
        (
            add_column("split", "exam"),
            "line 2, column split: a split must be one of train, pool, valid, test, got 'exam'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: Callable[[Lines], None], message: str, tmp_path: Path) -> None:
    file = table(tmp_path)
    with file.open(newline="") as opened:
        lines = list(csv.reader(opened))
    change(lines)
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(lines)
    with pytest.raises(StrainCsvError, match=message) as caught:
        read_stress_csv(file, Columns(NAMES), "MPa")
    assert str(caught.value).startswith(str(file))


def test_a_mirrored_body_is_refused(tmp_path: Path) -> None:
    values = numbers("deformation_gradient", "biot")
    values[1, 2, :3] *= -1.0
    file = write(tmp_path / "table.csv", [*STRAINS["deformation_gradient"], *STRESSES["biot"]], values)
    with pytest.raises(StrainCsvError, match="line 9: path 'p1': F has a determinant that is not positive"):
        read_stress_csv(file, Columns(NAMES, "deformation_gradient"), "MPa")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": {"E_yx": "a"}}, "columns: there is no 'E_yx'. Did you mean 'E_.*Use E_xx"),
        ({"names": {"U_xx": "a"}}, "columns: there is no 'U_xx'"),
        ({"strain": "green"}, "strain must be one of biot, right_stretch, deformation_gradient, got 'green'"),
        ({"stress": "kirchhoff"}, "stress must be one of biot, cauchy, got 'kirchhoff'"),
        ({"strain": "right_stretch", "shear": "engineering"}, "shear 'engineering' is for the strain measure biot"),
    ],
)
def test_columns_that_do_not_exist_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Columns(**options)
