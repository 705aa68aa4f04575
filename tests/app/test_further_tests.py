"""A run judges its model in further tests, and `prnn-md evaluate` judges it again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import Config
from prnn_md.app.evaluate import main
from prnn_md.app.ledger import read_result
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.predictions import Predictions
from prnn_md.app.trained import run_config, trained_cell
from prnn_md.app.training_job import run
from prnn_md.data.dataset import read_dataset
from prnn_md.statistics import relative_error


@pytest.fixture(scope="module")
def tested_run(tiny_words: list[str], tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with five further tests."""
    family = read_dataset(tiny_dataset).family[-1]
    folder = tmp_path_factory.mktemp("runs") / "tested"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prnn_md.app.model_run.draw_all", lambda *_: {})
        config = checked_config([*tiny_words, "tests=step_size"])
        config["tests"] = {
            "last": {"families": [family]},
            "coarse": {"increments": 1},
            "fine": {"increments": 20},
            "soft": {"changes": ["md.j2.youngs_modulus=1e-6"]},
            "unseen": {"splits": ["train", "valid", "test"]},
        }
        run(config, {}, folder)
    return folder


def test_all_tests_leave_their_metrics(tested_run: Path, tiny_dataset: Path) -> None:
    result, data = read_result(tested_run), read_dataset(tiny_dataset)
    metrics, recorded = result["metrics"], Predictions.load(tested_run / "predictions.h5")
    assert result["tested"] == ["untrained", "trained"]
    test = data.select("test")
    (row,) = [row for row, family in enumerate(recorded.family) if family == data.family[-1]]
    for which, prefix in (("trained", ""), ("untrained", "untrained_")):
        answer = getattr(recorded, which)[row]
        expected = relative_error(answer[None], test.stress[[row]], data.stress_scale)
        assert metrics[f"last/{prefix}error"] == pytest.approx(expected)
    cell = trained_cell(tested_run)
    with torch.no_grad():
        jump, _ = cell.rollout(test.strain[:, [0, 5]], test.times[:, [0, 5]])
    expected = relative_error(jump, test.stress[:, [0, 5]], data.stress_scale)
    assert metrics["coarse/error"] == pytest.approx(expected)
    assert metrics["fine/error"] == pytest.approx(metrics["test/error"], rel=0.2)
    assert metrics["fine/error"] != metrics["test/error"]
    assert metrics["soft/error"] == pytest.approx(metrics["soft/zero_error"], rel=1e-4)
    assert metrics["soft/zero_error"] == metrics["test/zero_error"]


def test_what_has_trained_or_validated_tests_nothing(tested_run: Path, tiny_dataset: Path) -> None:
    result, data = read_result(tested_run), read_dataset(tiny_dataset)
    seen = {*result["paths"]["train"], *result["paths"]["valid"]}
    left = data.select([index for index in range(len(data)) if index not in seen])
    assert len(left) == 5
    with torch.no_grad():
        stress, _ = trained_cell(tested_run).rollout(left.strain, left.times)
    expected = relative_error(stress, left.stress, data.stress_scale)
    assert result["metrics"]["unseen/error"] == pytest.approx(expected)


def test_evaluate_gives_the_same_errors(tested_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics, out = read_result(tested_run)["metrics"], tmp_path / "errors.json"
    assert main([f"run={tested_run}", f"out={out}"]) == 0
    told = json.loads(out.read_text())["errors"]
    assert [row["number"] for row in told] == [3, 1, 1, 1]
    assert told[0]["error"] == pytest.approx(metrics["test/error"])
    assert told[0]["zero_error"] == pytest.approx(metrics["test/zero_error"])
    assert f"{metrics['test/error']:.3f}" in capsys.readouterr().out
    out.unlink()
    assert main([f"run={tested_run}", f"out={out}", "md.j2.youngs_modulus=1e-6"]) == 0
    assert json.loads(out.read_text())["errors"][0]["error"] == pytest.approx(metrics["soft/error"])
    out.unlink()
    assert main([f"run={tested_run}", f"out={out}", "increments=20"]) == 0
    assert json.loads(out.read_text())["errors"][0]["error"] == pytest.approx(metrics["fine/error"])


def test_evaluate_takes_another_dataset_and_choices(
    tested_run: Path, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family, out = read_dataset(tiny_dataset).family[0], tmp_path / "errors.json"
    words = [f"run={tested_run}", f"path={tiny_dataset}", "split=train", f"families={family}", f"out={out}"]
    assert main(words) == 0
    (row,) = json.loads(out.read_text())["errors"]
    assert (row["paths"], row["number"]) == ("all", 2)
    assert main([*words[:-1], "out=nowhere/errors.json"]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["families=spiral"], 1, "tiny.h5 has no paths of 'spiral', but of "),
        (["rates=3.5"], 1, "has no paths at 3.5; the nearest are "),
        (["increments=3"], 1, "the paths of tiny have 5; choose a divisor or a multiple"),
        (["increments=few"], 2, "rates and increments are numbers"),
        (["md.j2.youngs=1"], 1, "Did you mean md.j2.youngs_modulus?"),
        (["md.j2.count=3"], 1, "md.j2.count=3: this changes the shape of what was trained"),
        (["split=exam"], 1, "The split must be one of"),
        (["strain=a.csv"], 2, "strain=a.csv: write key=value"),
        (["path=nowhere.h5"], 1, "There is no dataset 'nowhere.h5'"),
    ],
)
def test_evaluate_names_what_does_not_fit(
    words: list[str], code: int, message: str, tested_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"run={tested_run}", *words]) == code
    assert message in capsys.readouterr().err


def test_evaluate_wants_a_finished_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run=nowhere"]) == 1
    assert "this is no run folder" in capsys.readouterr().err
    assert main([]) == 2
    assert "run= is missing" in capsys.readouterr().err


def test_data_in_another_unit_are_refused(
    tested_run: Path, tiny_dataset_in_mpa: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"run={tested_run}", f"path={tiny_dataset_in_mpa}"]) == 1
    assert "The model's unit of stress is epsilon/sigma^3, that of the dataset" in capsys.readouterr().err


def test_a_test_that_does_not_fit_is_named(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config() | {"tests": {"odd": {"families": ["spiral"]}}}
    with pytest.raises(ValueError, match=r"^tests\.odd: families: .*tiny\.h5 has no paths of 'spiral'"):
        run(config, {}, tmp_path / "run")


def test_names_of_tests_are_not_those_of_other_metrics(tiny_words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"tests\.valid: choose a name other than train, valid"):
        checked_config([*tiny_words, "+tests.valid={increments: 5}"])


@pytest.mark.parametrize(
    ("splits", "message"),
    [("[tset]", r"tests\.odd\.splits\[0\]=tset: unknown"), ("[]", r"tests\.odd\.splits: give at least one use")],
)
def test_splits_that_are_none_are_refused(splits: str, message: str, tiny_words: list[str]) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_config([*tiny_words, f"+tests.odd.splits={splits}"])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("md.j2.youngs=1.0", r"tests\.soft\.changes: md\.j2\.youngs=1\.0: there is no such key"),
        ("optimizer.lr=1.0", r"tests\.soft\.changes: optimizer\.lr=1\.0: only keys of the cells inside"),
    ],
)
def test_changes_that_do_not_fit_are_refused_before_any_work(word: str, message: str, tiny_words: list[str]) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_config([*tiny_words, f"+tests.soft.changes=['{word}']"])


def test_models_without_cells_are_compared_without_tests_that_change_them(tiny_words: list[str]) -> None:
    words = [*tiny_words, "compare=[gru]", "tests=step_size", "+tests.soft.changes=['md.j2.youngs_modulus=1.0']"]
    config = checked_config(words)
    assert list(config["tests"]) == ["coarse", "fine", "soft"]
    assert list(comparisons(config)["gru"]["tests"]) == ["coarse", "fine"]


def test_a_choice_of_families_holds_for_tests_on_the_same_dataset(
    tiny_words: list[str], tiny_dataset: Path, tmp_path: Path, without_figures: None
) -> None:
    family = read_dataset(tiny_dataset).family[0]
    words = [f"dataset.families=[{family}]", "dataset.n_train=2", "+tests.same.increments=5"]
    config = checked_config([*tiny_words, *words])
    run(config, {}, tmp_path / "run")
    metrics = read_result(tmp_path / "run")["metrics"]
    assert metrics["same/error"] == pytest.approx(metrics["test/error"])


def test_configurations_from_before_there_were_tests_can_be_used(tested_run: Path, tmp_path: Path) -> None:
    old = shutil.copytree(tested_run, tmp_path / "old")
    config = run_config(old)
    del config["tests"]
    (old / "config.yaml").write_text(yaml.safe_dump(config))
    assert main([f"run={old}", "md.j2.youngs_modulus=20.0"]) == 0
