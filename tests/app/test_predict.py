"""`prnn-md predict` answers for a user's own strain paths, or says what is missing."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from prnn_md.app.building import bare_module, build_cell
from prnn_md.app.overrides import checked_config
from prnn_md.app.predict import main
from prnn_md.app.predictions import Predictions
from prnn_md.data.strain_csv import STRAIN_COLUMNS, STRESS_COLUMNS
from prnn_md.md.library import library_path, load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.mechanics import mandel_weights
from prnn_md.training.module import SCHEMA_VERSION


def write_paths(file: Path, strains: torch.Tensor) -> None:
    """Mandel strains (paths, T+1, 6) as tensor components."""
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["path", *STRAIN_COLUMNS])
        for index, strain in enumerate(strains / mandel_weights(strains)):
            writer.writerows([index, *row] for row in strain.tolist())


def read_stresses(file: Path) -> torch.Tensor:
    with file.open(newline="") as lines:
        rows = [[float(row[name]) for name in STRESS_COLUMNS] for row in csv.DictReader(lines)]
    stress = torch.tensor(rows, dtype=torch.float64)
    return stress * mandel_weights(stress)


@pytest.mark.parametrize("model", ["", "compare/gru"])
def test_test_paths_get_their_recorded_stress(
    model: str, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    recorded = Predictions.load(finished_run / model / "predictions.h5")
    write_paths(tmp_path / "paths.csv", recorded.strain)
    assert main([f"run={finished_run / model}", f"strain={tmp_path / 'paths.csv'}"]) == 0
    out = tmp_path / "paths_stress.csv"
    assert str(out) in capsys.readouterr().out
    torch.testing.assert_close(read_stresses(out), recorded.trained.flatten(0, 1))


def test_strain_beyond_the_training_paths_is_pointed_out(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_paths(tmp_path / "far.csv", torch.tensor([[[0.0] * 6, [0.2, 0, 0, 0, 0, 0]]], dtype=torch.float64))
    assert main([f"run={finished_run}", f"strain={tmp_path / 'far.csv'}", f"out={tmp_path / 'out.csv'}"]) == 0
    assert "|E| reaches 0.2, beyond the 0.12" in capsys.readouterr().err
    assert len(read_stresses(tmp_path / "out.csv")) == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run=nowhere", "strain=a.csv"], 1, "run=nowhere: this is no run folder"),
        (["rum=nowhere", "strain=a.csv"], 2, "Did you mean run?"),
        (["run=nowhere"], 2, "strain= is missing"),
        (["nowhere"], 2, "nowhere: write key=value"),
    ],
)
def test_faulty_words_are_named(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(words) == code
    assert message in capsys.readouterr().err


def test_an_unfinished_run_is_refused(finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    result = json.loads((finished_run / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({**result, "status": "interrupted"}))
    assert main([f"run={tmp_path}", "strain=a.csv"]) == 1
    assert "interrupted, not finished" in capsys.readouterr().err


def test_a_bad_strain_file_and_a_lost_checkpoint_are_named(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "bad.csv").write_text("E_xx\n0\n")
    assert main([f"run={finished_run}", f"strain={tmp_path / 'bad.csv'}"]) == 1
    assert "bad.csv" in capsys.readouterr().err
    write_paths(tmp_path / "good.csv", torch.zeros(1, 2, 6, dtype=torch.float64))
    shutil.copytree(finished_run, tmp_path / "run", ignore=shutil.ignore_patterns("best.ckpt"))
    assert main([f"run={tmp_path / 'run'}", f"strain={tmp_path / 'good.csv'}"]) == 1
    assert "best.ckpt" in capsys.readouterr().err
    assert not (tmp_path / "good_stress.csv").exists()


def test_time_steps_beyond_the_training_paths_are_pointed_out_where_they_matter(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The cells of the PRNN do not know the rate, the GRU does; training took steps of 0.2."""
    write_paths(tmp_path / "paths.csv", torch.zeros(1, 3, 6, dtype=torch.float64))
    for model, warning in (("", ""), ("compare/gru", "warning: time steps are 0.5 to 0.5, beyond the 0.2 to 0.2 of")):
        assert main([f"run={finished_run / model}", f"strain={tmp_path / 'paths.csv'}"]) == 0
        shown = capsys.readouterr().err
        assert warning in shown
        assert bool(warning) == bool(shown)


@pytest.fixture
def run_of_molecules(tiny_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of a PRNN with one MD cell, as it is before training, that was started in tmp_path."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(library_path("polymer_160_a"), "mine.h5")
    words = [word for word in tiny_words if not word.startswith("md")]
    config = checked_config([*words, "md=polymer", "md.polymer.count=1", "md.polymer.library=mine.h5"])
    module = bare_module(config, build_cell(config), torch.ones(6, dtype=torch.float64))
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    checkpoint = {"state_dict": module.state_dict(), "prnn_md_schema_version": SCHEMA_VERSION}
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "result.json").write_text(json.dumps({"status": "finished", "largest_strain": 1.0}))
    return folder


def test_cells_of_the_user_are_found_from_another_folder(
    run_of_molecules: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    write_paths(Path("paths.csv"), torch.zeros(1, 2, 6, dtype=torch.float64))
    assert main([f"run={run_of_molecules}", "strain=paths.csv"]) == 0
    assert read_stresses(Path("paths_stress.csv")).abs().max() < 1e-9


def test_a_path_that_md_cells_cannot_follow_is_named(
    run_of_molecules: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for size, reason in ((0.9, "a bond broke"), (-0.5, "the box became narrower than twice the cutoff")):
        strain = torch.zeros(2, 3, 6, dtype=torch.float64)
        strain[1, 2, 0] = size
        write_paths(tmp_path / "far.csv", strain)
        assert main([f"run={run_of_molecules}", f"strain={tmp_path / 'far.csv'}"]) == 1
        shown = capsys.readouterr().err
        assert shown.startswith(f"error: {tmp_path / 'far.csv'}, path '1', increment 2: MD cell 0: {reason}")
        assert shown.count("path") == 1 + str(tmp_path).count("path")
        assert not (tmp_path / "far_stress.csv").exists()


@pytest.mark.parametrize("trained", [False, True], ids=["given", "trained"])
def test_cells_can_be_changed_after_training(trained: bool, run_of_molecules: Path, tmp_path: Path) -> None:
    """With all energies twice as large stresses are as well, also where the run has trained one of them."""
    if trained:
        config = yaml.safe_load((run_of_molecules / "config.yaml").read_text())
        config["md"]["polymer"]["trainable"] = ["epsilon"]
        (run_of_molecules / "config.yaml").write_text(yaml.safe_dump(config))
        module = bare_module(config, build_cell(config), torch.ones(6, dtype=torch.float64))
        checkpoint = {"state_dict": module.state_dict(), "prnn_md_schema_version": SCHEMA_VERSION}
        torch.save(checkpoint, run_of_molecules / "checkpoints" / "best.ckpt")
    strain = torch.zeros(1, 3, 6, dtype=torch.float64)
    strain[0, :, 5] = torch.tensor([0.0, 0.001, 0.002])
    write_paths(tmp_path / "paths.csv", strain)
    words = [f"run={run_of_molecules}", f"strain={tmp_path / 'paths.csv'}", "md.polymer.dynamics.force_tolerance=1e-8"]
    stiffness = float(polymer_force_field(load_library("polymer_160_a")[0]).value("bond_stiffness"))
    twice = f"md.polymer.parameters={{epsilon: 2.0, bond_stiffness: {2.0 * stiffness}}}"
    stresses = []
    for more in ([], [twice]):
        assert main([*words, *more]) == 0
        stresses.append(read_stresses(tmp_path / "paths_stress.csv"))
    assert stresses[0][-1].abs().max() > 1e-3
    torch.testing.assert_close(stresses[1], 2.0 * stresses[0], rtol=1e-4, atol=1e-7)


def test_a_change_that_does_not_fit_is_named(
    run_of_molecules: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_paths(tmp_path / "paths.csv", torch.zeros(1, 2, 6, dtype=torch.float64))
    for word, message in (
        ("md.polymer.parameters={epsilom: 1}", "no parameter 'epsilom'; it has epsilon, sigma"),
        ("md.polymer.dynamics.temperatur=1", "Allowed in md.polymer.dynamics"),
        ("md.glass.count=1", "Allowed in md: polymer"),
    ):
        assert main([f"run={run_of_molecules}", f"strain={tmp_path / 'paths.csv'}", word]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("trained_with", "changed_to"),
    [("{epsilon: 1.5}", "null"), ("{epsilon: 1.5}", "{sigma: 1.01}"), ("null", "{epsilon: 1.5}")],
)
def test_changed_cells_are_at_rest_without_strain(
    trained_with: str, changed_to: str, run_of_molecules: Path, tmp_path: Path
) -> None:
    config = yaml.safe_load((run_of_molecules / "config.yaml").read_text())
    config["md"]["polymer"]["parameters"] = yaml.safe_load(trained_with)
    (run_of_molecules / "config.yaml").write_text(yaml.safe_dump(config))
    module = bare_module(config, build_cell(config), torch.ones(6, dtype=torch.float64))
    checkpoint = {"state_dict": module.state_dict(), "prnn_md_schema_version": SCHEMA_VERSION}
    torch.save(checkpoint, run_of_molecules / "checkpoints" / "best.ckpt")
    write_paths(tmp_path / "paths.csv", torch.zeros(1, 2, 6, dtype=torch.float64))
    word = f"md.polymer.parameters={changed_to}"
    assert main([f"run={run_of_molecules}", f"strain={tmp_path / 'paths.csv'}", word]) == 0
    assert read_stresses(tmp_path / "paths_stress.csv").abs().max() < 1e-9
