"""`prnn-md paths` draws and describes families of strain paths, and writes them for `prnn-md predict`."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from prnn_md.app.main import main
from prnn_md.app.paths import preview, summary
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.paths import PathOptions, path_name, sample_paths
from prnn_md.data.strain_csv import read_strain_paths
from prnn_md.mechanics import mandel_weights, stretch_of


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_families_are_drawn_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", "--count", "3"]) == 0
    *lines, output = capsys.readouterr().out.splitlines()
    assert output == "paths.png"
    for line, (name, family) in zip(lines, FAMILIES.items(), strict=True):
        assert line.split()[:3] == [name, "3", "paths,"]
        assert "|E| up to 0.1200, |tr E| up to 0.0" in line
        assert line.endswith(f"duration 1: {family.description}")
    image = matplotlib.image.imread("paths.png")[..., :3]
    for row in np.array_split((image < 0.9).any(-1), len(FAMILIES)):
        assert 0.01 < row.mean() < 0.3
    assert [path.name for path in Path().iterdir()] == ["paths.png"]


def test_options_reach_the_paths_and_the_file_holds_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = "paths canonical cyclic --count 18 --increments 30 --amplitude 0.05 --seed 9 --isochoric --rates 2 0.5"
    assert main([*words.split(), "--output", "some.png", "--csv", "some.csv"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[2:] == ["some.png", "some.csv"]
    assert "18 paths, |E| up to 0.0500" in shown[0]
    assert "duration 0.025 to 0.1" in shown[0]
    written = read_strain_paths("some.csv")
    options = PathOptions(30, 0.05, isochoric=True, rates=(2.0, 0.5))
    assert [path.name for path in written] == [
        path_name(name, i) for name in ("canonical", "cyclic") for i in range(18)
    ]
    for start, family in ((0, "canonical"), (18, "cyclic")):
        strain, times = sample_paths(family, 18, 9, options)
        for path, expected, time in zip(written[start : start + 18], strain, times, strict=True):
            torch.testing.assert_close(path.strain, expected, rtol=0, atol=1e-16)
            assert torch.equal(path.times, time)
            assert (torch.linalg.det(stretch_of(path.strain)) - 1).abs().max() < 1e-8


def test_predict_takes_the_file(finished_run: Path) -> None:
    assert main(["paths", "canonical", "cyclic", "--count", "2", "--increments", "24", "--csv", "own.csv"]) == 0
    assert main(["predict", f"run={finished_run}", "strain=own.csv"]) == 0
    names = [line.split(",")[0] for line in Path("own_stress.csv").read_text().splitlines()]
    assert list(dict.fromkeys(names)) == ["path", "tension_xx", "compression_yy", "cyclic_0", "cyclic_1"]


def test_less_volume_change_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", "canonical", "--max-trace", "0.0123"]) == 0
    assert "|tr E| up to 0.0123" in capsys.readouterr().out


def test_the_figure_shows_the_components_of_the_first_and_the_last_path_and_all_paths() -> None:
    drawn = {name: sample_paths(name, 4, 1, PathOptions(rates=(1.0, 0.1))) for name in ("cyclic", "random_walk")}
    panels = preview(drawn, 0.12).axes
    for (first, last, plane), (strain, times) in zip((panels[:3], panels[3:]), drawn.values(), strict=True):
        for axes, number in ((first, 0), (last, 3)):
            tensor = 100 * strain[number] / mandel_weights(strain)
            for component in range(6):
                x, y = axes.lines[component].get_data()
                np.testing.assert_allclose(x, times[number])
                np.testing.assert_allclose(y, tensor[:, component])
        lines = [line for line in plane.lines if len(line.get_xdata()) > 1]
        axis = torch.tensor([2, -1, -1, 0, 0, 0], dtype=torch.float64) / 6**0.5
        for line, path in zip(lines, strain, strict=True):
            np.testing.assert_allclose(line.get_xdata(), 100 * path @ axis)
            np.testing.assert_allclose(line.get_ydata(), 100 * path[:, 5])
        assert [line.get_color() for line in lines] == ["#000000", "0.7", "0.7", "#000000"]


def test_a_single_path_is_drawn_once() -> None:
    paths = sample_paths("cyclic", 1, 1)
    assert "cyclic                  1 path, |E|" in summary("cyclic", paths)
    panels = preview({"cyclic": paths}, 0.12).axes
    assert [axes.get_visible() for axes in panels] == [True, False, True]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["circular"], "Unknown path family 'circular': choose from"),
        (["canonical", "--count", "40"], "There are 18 canonical paths"),
        (["cyclic", "--increments", "8"], "take 24 or more"),
        (["cyclic", "--rates", "0"], "rates, in strain per unit of time, must be positive, got 0.0"),
        (["canonical", "--amplitude", "1.5"], "Choose an amplitude below 1.5"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_file(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["paths", *words, "--csv", "paths.csv"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(Path().iterdir())
