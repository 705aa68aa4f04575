"""Strain paths of users: tensor components in files, Mandel notation inside, errors that name the cell."""

import csv
import math
from pathlib import Path

import pytest
import torch

from prnn_md.data.strain_csv import (
    StrainCsvError,
    StrainPath,
    read_strain_paths,
    write_strain_paths,
    write_stress_paths,
)
from prnn_md.mechanics import from_mandel

HEADER = "E_xx,E_yy,E_zz,E_yz,E_xz,E_xy"
ZERO = "0,0,0,0,0,0"


def file_with(folder: Path, *lines: str) -> Path:
    path = folder / "paths.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_components_are_those_of_the_tensor(tmp_path: Path) -> None:
    path = file_with(tmp_path, HEADER, ZERO, "0.01,0.02,0.03,0.04,0.05,0.06")
    (only,) = read_strain_paths(path)
    expected = torch.tensor([[0.01, 0.06, 0.05], [0.06, 0.02, 0.04], [0.05, 0.04, 0.03]], dtype=torch.float64)
    torch.testing.assert_close(from_mandel(only.strain[1]), expected)
    assert not only.strain[0].any()
    assert only.name == "0"
    assert only.times.tolist() == [0.0, 1.0]


def test_several_paths_with_times_in_any_column_order(tmp_path: Path) -> None:
    header = "time, E_xy,E_xz,E_yz,E_zz,E_yy,E_xx ,path"
    rows = [
        "0,0,0,0,0,0,0,b",
        "2,0,0,0,0,0,0.1,b",
        "",
        "1,0,0,0,0,0,0,a",
        "3,0,0,0,0,0,0.2,a",
        "4,0,0,0,0,0,0.3,a",
    ]
    paths = read_strain_paths(file_with(tmp_path, "\ufeff" + header, *rows))
    assert [path.name for path in paths] == ["b", "a"]
    assert paths[0].times.tolist() == [0.0, 2.0]
    assert paths[1].times.tolist() == [1.0, 3.0, 4.0]
    assert paths[1].strain[:, 0].tolist() == [0.0, 0.2, 0.3]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: missing column E_xx"),
        ([HEADER], "no rows below the header"),
        (["E_xx,E_yy,E_zz,E_yz,E_xz", ZERO], "line 1: missing column E_xy"),
        (["E_xx,E_yy,E_zz,E_yz,E_xz,E_yx", ZERO], "line 1: unknown column 'E_yx'. Did you mean"),
        ([HEADER + ",E_xx", ZERO + ",0"], "line 1: the column 'E_xx' appears twice"),
        ([HEADER, ZERO, "0,0,zero,0,0,0"], "line 3, column E_zz: 'zero' is not a finite number"),
        ([HEADER, ZERO, "0,0,0,nan,0,0"], "line 3, column E_yz: 'nan' is not a finite number"),
        ([HEADER, ZERO, "0,0,0,,0,0"], "line 3, column E_yz: '' is not a finite number"),
        ([HEADER, ZERO, "0,0,0,0,0"], "line 3: 5 cells for 6 columns"),
        ([HEADER, ZERO], "line 2: path '0' has one point only"),
        ([HEADER, "0,0,0,0,0.01,0", ZERO], "line 2, column E_xz: path '0' starts at 0.01, .*a row of zeros"),
        (
            [HEADER, ZERO, "0.1,0,0,0,0,0", "-1.2,0,0,0,0,0"],
            "line 4: path '0', increment 2: I . E has principal value -0.2",
        ),
        (
            ["time," + HEADER, "0," + ZERO, "1," + ZERO, "1," + ZERO],
            "line 4, column time: 1.0 follows 1.0 on path '0'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, lines: list[str], message: str) -> None:
    path = file_with(tmp_path, *lines) if lines else tmp_path / "empty.csv"
    path.touch()
    with pytest.raises(StrainCsvError, match=message) as caught:
        read_strain_paths(path)
    assert str(caught.value).startswith(str(path))


def test_missing_and_binary_files_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    for name in ("gone.csv", "binary.csv"):
        with pytest.raises(StrainCsvError, match=f"{name}: not a readable CSV file"):
            read_strain_paths(tmp_path / name)


def test_written_stresses_are_tensor_components(tmp_path: Path) -> None:
    strain = torch.tensor([[0.0] * 6, [0.1, 0, 0, 0, 0, 0.1 * math.sqrt(2)]], dtype=torch.float64)
    stress = torch.tensor([[0.0] * 6, [1, 2, 3, 4 * math.sqrt(2), 5 * math.sqrt(2), math.nan]], dtype=torch.float64)
    path = StrainPath("loop", torch.tensor([0.0, 0.5], dtype=torch.float64), strain)
    write_stress_paths(tmp_path / "out.csv", [path], [stress])
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["loop", "loop"]
    assert [float(row["time"]) for row in rows] == [0.0, 0.5]
    assert float(rows[1]["E_xy"]) == pytest.approx(0.1)
    assert [float(rows[1][f"T_{c}"]) for c in ("xx", "yy", "zz", "yz", "xz")] == pytest.approx([1, 2, 3, 4, 5])
    assert math.isnan(float(rows[1]["T_xy"]))


def test_a_file_of_predicted_stresses_is_one_of_strain_paths(tmp_path: Path) -> None:
    strain = torch.tensor([[0.0] * 6, [0.1, 0, 0, 0, 0, 0]], dtype=torch.float64)
    path = StrainPath("loop", torch.tensor([0.0, 0.5], dtype=torch.float64), strain)
    write_stress_paths(tmp_path / "out.csv", [path], [torch.full((2, 6), math.nan)], [("cyclic", "test")])
    (again,) = read_strain_paths(tmp_path / "out.csv")
    assert (again.name, again.times.tolist()) == ("loop", [0.0, 0.5])
    assert torch.equal(again.strain, strain)


def test_strains_survive_being_written_and_read(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    steps = 0.02 * torch.randn(4, 6, dtype=torch.float64, generator=generator)
    path = StrainPath("a", torch.arange(5, dtype=torch.float64), torch.cat([steps.new_zeros(1, 6), steps.cumsum(0)]))
    write_strain_paths(tmp_path / "out.csv", [path])
    (again,) = read_strain_paths(tmp_path / "out.csv")
    assert again.name == "a"
    torch.testing.assert_close(again.strain, path.strain, rtol=1e-15, atol=0)
    assert torch.equal(again.times, path.times)


def test_a_stress_of_another_length_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    path = StrainPath("a", torch.arange(2.0), torch.zeros(2, 6, dtype=torch.float64))
    with pytest.raises(ValueError, match="path 'a' have the shapes"):
        write_stress_paths(tmp_path / "out.csv", [path], [torch.zeros(3, 6, dtype=torch.float64)])
    assert not list(tmp_path.iterdir())
