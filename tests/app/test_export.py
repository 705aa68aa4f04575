"""`prnn-md export` writes files that answer like the runs, with nothing but torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from prnn_md.app.building import build_cell
from prnn_md.app.export import _EXAMPLE, main
from prnn_md.app.overrides import checked_config
from prnn_md.app.trained import trained_cell
from prnn_md.app.training_job import run
from prnn_md.data.dataset import read_dataset
from prnn_md.surrogates.exporting import difference, exported


def test_a_finished_run_is_exported_and_used_by_the_example(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"run={finished_run}", f"out={tmp_path / 'surrogate.pt2'}"]) == 0
    assert "stress and tangent as those of the run to " in capsys.readouterr().out
    lines = [
        "import sys",
        *_EXAMPLE.splitlines(),
        "assert 'prnn_md' not in sys.modules",
        "torch.save((stress, tangent), 'answer.pt')",
    ]
    (tmp_path / "use.py").write_text("\n".join(lines))
    subprocess.run([sys.executable, "-P", "use.py"], cwd=tmp_path, check=True)
    stress, tangent = torch.load(tmp_path / "answer.pt")
    cell = trained_cell(finished_run)
    strain = torch.tensor([[0.01, 0, 0, 0, 0, 0]], dtype=torch.float64)
    expected = cell.stress_and_tangent(strain, 1.0, cell.initial_state((1,)))
    torch.testing.assert_close((stress, tangent), expected[:2])


@pytest.mark.parametrize(
    "words",
    [
        ["md=elastic"],
        ["md=viscoelastic", "encoder=low_rank"],
        ["md=fibre", "dataset.path=mine.h5"],
        ["md=composite", "dataset.path=mine.h5"],
        ["md=j2", "md.j2.saturation_stress=2.0", "md.j2.saturation_rate=30.0", "encoder=multilayer"],
        ["model=gru", "model.layers=2"],
        ["model=lstm"],
        ["model=feed_forward"],
        ["model=tann"],
        ["model=isotropic"],
    ],
    ids=lambda words: words[0],
)
def test_models_answer_the_same_in_a_file(words: list[str], tiny_dataset: Path, tmp_path: Path) -> None:
    data = read_dataset(tiny_dataset)
    cell = build_cell(checked_config(words))
    cell.set_scales(data.strain, data.stress_scale, data.times)
    for weights in cell.parameters():  # some are zero before training
        weights.data += 0.05
    exported(cell, tmp_path / "cell.pt2", {})
    assert difference(cell, tmp_path / "cell.pt2", 0.1) < 1e-10


def test_a_run_with_md_cells_is_refused(
    tiny_words: list[str],
    tmp_path: Path,
    without_figures: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word for word in tiny_words if not word.startswith("md")]
    run(
        checked_config([*words, "md.polymer.count=1", "training.max_epochs=1", "dataset.n_train=1"]),
        {},
        tmp_path / "run",
    )
    assert main([f"run={tmp_path / 'run'}"]) == 1
    assert "A model with AQSCell inside cannot be exported" in capsys.readouterr().err
    assert not (tmp_path / "run" / "surrogate.pt2").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run=nowhere"], 1, "run=nowhere: this is no run folder"),
        (["rum=nowhere"], 2, "Did you mean run?"),
        ([], 2, "run= is missing"),
    ],
)
def test_faulty_words_are_named(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == code
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_written_leaves_nothing(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "no" / "folder" / "surrogate.pt2"
    assert main([f"run={finished_run}", f"out={out}"]) == 1
    assert str(out.parent) in capsys.readouterr().err
