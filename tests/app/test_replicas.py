"""The number of replicas that labels need: what is said, warned of and drawn."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prnn_md.app.replicas import figure, replicas
from prnn_md.data.dataset import StressStrainData, averaged, read_dataset, without_noise, write_dataset
from prnn_md.statistics import ReplicaError

ROWS = [ReplicaError(2, 0.4, 2.0, 0.3), ReplicaError(3, 0.3, 0.9, 0.35), ReplicaError(4, 0.2, 0.5, 0.3)]


def ragged(tiny_dataset: Path) -> StressStrainData:
    """The tiny set with two replicas of the first five paths only, and a set of others."""
    data = read_dataset(tiny_dataset)
    answers = data.replicas.clone()
    answers[:5, 2] = torch.nan
    return averaged("ragged", data.strain, data.times, answers, data.family, data.split, data.units)


def test_paths_with_the_most_replicas_count_and_few_are_warned_of(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "ragged.h5", ragged(tiny_dataset))
    replicas(str(tmp_path / "ragged.h5"), tmp_path / "out.png", 50, 0, 10.0, True)
    shown = capsys.readouterr()
    assert shown.out.startswith("ragged: 7 of 12 paths, which have 3 replicas")
    assert "95 % half-width (Student-t) of 10: 2 replicas, of those that are there; take at least 3\n" in shown.out
    assert shown.err.startswith("warning: 5 of 12 paths have fewer than 3 replicas")


def test_exact_stresses_have_no_replicas(tiny_dataset: Path, tmp_path: Path) -> None:
    data = read_dataset(tiny_dataset)
    exact = without_noise("exact", data.strain, data.times, data.stress, data.family, data.split, data.units)
    write_dataset(tmp_path / "exact.h5", exact)
    with pytest.raises(ValueError, match="exact.h5: it has no replicas"):
        replicas(str(tmp_path / "exact.h5"), tmp_path / "out.png", 50, 0, 0.1, False)
    assert not (tmp_path / "out.png").exists()


def test_noise_of_a_known_size_gives_the_known_number(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replicas that scatter by 0.5 scales need 25 for a standard error of 0.1."""
    data = read_dataset(tiny_dataset)
    noise = torch.randn(12, 40, 6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    answers = data.stress[:, None] + 0.5 * data.stress_scale * noise
    noisy = averaged("noisy", data.strain, data.times, answers, data.family, data.split, data.units)
    write_dataset(tmp_path / "noisy.h5", replace(noisy, stress_scale=data.stress_scale))
    replicas(str(tmp_path / "noisy.h5"), tmp_path / "out.png", 20, 0, 0.1, False)
    assert "standard error of 0.1: 25 replicas, of those that are there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "needed", "reached"), [("standard_error", 3, 0.3), ("standard_error", 16, 0.1), ("student_t", 100, 0.1)]
)
def test_the_figure_shows_curves_line_and_target(what: str, needed: int, reached: float) -> None:
    (axes,) = figure("set", ROWS, what, reached, needed).axes
    lines = axes.lines
    assert [list(lines[i].get_ydata()) for i in range(3)] == [[2.0, 0.9, 0.5], [0.3, 0.35, 0.3], [0.4, 0.3, 0.2]]
    assert [list(line.get_xdata()) for line in lines[:3]] == [[2, 3, 4]] * 3
    for line, last in ((lines[3], 0.2), (lines[4], 0.5)):
        for x, y in zip(*line.get_data(), strict=True):
            assert y == pytest.approx(last * (4 / x) ** 0.5)
        assert line.get_xdata()[-1] == max(needed, 4)
    assert lines[5].get_ydata()[0] == reached
    assert (lines[6].get_xdata()[0], lines[6].get_ydata()[0]) == (needed, pytest.approx(reached))
