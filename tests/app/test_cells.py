"""`prnn-md cells` builds, describes and draws a small library."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from prnn_md.app.cells import main, tension_curves
from prnn_md.labels.libraries import sample_seeds
from prnn_md.md.aqs import AQSCell
from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.library import load_library
from prnn_md.md.polymer import FORCE_FIELD, polymer_force_field, quench_polymer
from prnn_md.md.quench import QuenchProtocol

QUICK = ["--beads", "40", "--count", "2", "--seed", "6", "--melt-time", "1", "--quench-time", "1"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "small.h5"
    assert main(["build", str(path), *QUICK]) == 0
    return path


def test_the_library_holds_what_was_asked_for(library: Path) -> None:
    samples, provenance = load_library(library)
    assert samples.positions.shape == (2, 40, 3)
    assert len(samples.bonds) == 38
    assert (samples.box[0] - samples.box[1]).abs().max() > 1e-3
    assert [path.name for path in library.parent.iterdir()] == ["small.h5"]
    assert (provenance["beads"], provenance["seed"]) == (40, 6)
    assert provenance["protocol"]["melt_time"] == provenance["protocol"]["quench_time"] == 1.0
    assert provenance["force_field"] == FORCE_FIELD.read_text()


def test_its_cells_are_at_rest_and_free_of_stress(library: Path) -> None:
    samples, _ = load_library(library)
    force_field, zero = polymer_force_field(samples), torch.zeros(2, 6, dtype=torch.float64)
    neighbours = force_field.neighbours(samples.positions, samples.box)
    at_rest = (samples.positions, samples.box, samples.types, neighbours)
    assert forces(force_field, *at_rest).abs().max() < 1e-6
    assert biot_stress(force_field, zero, *at_rest).abs().max() < 1e-6


def test_the_provenance_is_enough_to_make_a_cell_again(library: Path) -> None:
    samples, provenance = load_library(library)
    seeds = sample_seeds(provenance["seed"], provenance["beads"], 2)
    again = quench_polymer(40, seeds[1], QuenchProtocol(**provenance["protocol"]))
    torch.testing.assert_close(again.box[0], samples.box[1], rtol=0, atol=1e-9)


def test_a_finished_library_is_kept(library: Path) -> None:
    before = library.read_bytes()
    with pytest.raises((ValueError, SystemExit)):
        main(["build", str(library), *QUICK])
    assert library.read_bytes() == before


def test_inspect_says_what_it_holds(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples, _ = load_library(library)
    assert main(["inspect", str(library)]) == 0
    text = capsys.readouterr().out
    density = (40 / torch.linalg.det(samples.box)).mean().item()
    assert str(library) in text
    assert "2 of 40 beads, 2 chains each" in text
    assert f"{density:.4f}" in text
    assert '"seed": 6' in text


def test_tension_begins_with_the_stiffness_of_the_cells(library: Path) -> None:
    samples, _ = load_library(library)
    level, stress = tension_curves(samples, largest=1e-3, increments=2)
    cell = AQSCell(samples, polymer_force_field(samples), force_tolerance=1e-8)
    zero = torch.zeros(2, 6, dtype=torch.float64)
    _, tangent, _ = cell.stress_and_tangent(zero, 0.0, cell.initial_state((2,)))
    slope = tangent[:, 0, 0] - 0.5 * (tangent[:, 0, 1] + tangent[:, 0, 2])
    assert level.tolist() == [0.0, 5e-4, 1e-3]
    torch.testing.assert_close(stress[:, 1] / 5e-4, slope, rtol=0.05, atol=0)


def test_preview_draws_chains_and_curves(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["preview", str(library)]) == 0
    assert capsys.readouterr().out.strip() == "small.png"
    image = matplotlib.image.imread(tmp_path / "small.png")[..., :3]
    height, width, _ = image.shape
    assert width > 1000
    assert height > 500
    drawn = (image < 0.95).any(-1)
    for half in (drawn[:, : width // 2], drawn[:, width // 2 :]):
        assert 0.01 < half.mean() < 0.5
    mean_curve = np.abs(image[:, width // 2 :] - np.array([0x00, 0x72, 0xB2]) / 255).max(-1) < 0.02
    assert mean_curve.sum() > 100
    assert main(["preview", str(library), "--output", "elsewhere.png"]) == 0
    assert (tmp_path / "elsewhere.png").is_file()


@pytest.mark.parametrize("words", [[], ["build"], ["inspect"], ["melt"], ["build", "x.h5", "--beads", "many"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: prnn-md cells" in capsys.readouterr().err
