"""What is said about one run, and where several differ."""

import json
import shutil
from pathlib import Path

import pytest

from prnn_md.app.main import main
from prnn_md.app.records import read_record

from .conftest import Make


def section(text: str, title: str) -> dict[str, str]:
    """The entries below a title: name and value."""
    (found,) = [part for part in text.split("\n\n") if part.startswith(title)]
    lines = [line.strip().split("  ", 1) for line in found.splitlines() if line.startswith("  ")]
    return {line[0]: line[-1].strip() for line in lines}


def said(words: list[str], capsys: pytest.CaptureFixture) -> str:
    assert main(["runs", *words]) == 0
    return capsys.readouterr().out


def test_a_run_is_shown_with_what_was_changed(place: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture) -> None:
    text, result = said(["show", str(place / "good")], capsys), read_record(place / "good").result
    assert f"run        {place / 'good'}\n" in text
    assert "paths      4 train, 3 valid, 3 test\n" in text
    assert "also here  compare/gru\n" in text
    assert section(text, "Metrics")["test/net_error"] == "0.3"
    assert set(section(text, "Metrics")) == set(result["metrics"])
    assert section(text, "Files used") == {str(tiny_dataset): f"sha256 {result['files'][str(tiny_dataset)][:12]}"}
    assert section(text, "Seeds")["model"] == str(result["seeds"]["model"])
    assert section(text, "Versions")["torch"] == result["versions"]["torch"]
    changed = section(text, "Configuration, where it differs")
    assert changed["md.j2.count"] == "2"
    assert changed["training.max_epochs"] == "2"
    assert not {"optimizer.lr", "seeds.model", "logger._target_"} & set(changed)


def test_the_seed_alone_changes_nothing_else(place: Path, make: Make, capsys: pytest.CaptureFixture) -> None:
    changed = section(said(["show", str(place / "tries" / "0")], capsys), "Configuration, where it differs")
    assert changed["optimizer.lr"] == "0.5"
    assert "sweep  " in said(["show", str(place / "tries" / "0")], capsys)


def test_the_whole_configuration_is_shown_if_asked(place: Path, capsys: pytest.CaptureFixture) -> None:
    whole = section(said(["show", str(place / "good"), "--all"], capsys), "Configuration")
    assert whole["optimizer.lr"] == "0.01"
    assert whole["md.j2.count"] == "2"


def test_a_compared_model_is_shown_against_the_defaults_of_its_own(place: Path, capsys: pytest.CaptureFixture) -> None:
    text = said(["show", str(place / "good" / "compare" / "gru")], capsys)
    assert f"compared in  {place / 'good'}\n" in text
    changed = section(text, "Configuration, where it differs")
    assert changed["model.hidden"] == "4"
    assert "model.layers" not in changed


def test_words_of_another_version_show_the_whole_configuration(place: Path, capsys: pytest.CaptureFixture) -> None:
    (place / "good" / "overrides.yaml").write_text("[model=perceptron, md=j2]")
    text = said(["show", str(place / "good")], capsys)
    assert section(text, "Configuration (whole, as this version does not know its words)")["optimizer.lr"] == "0.01"


def test_a_failed_run_shows_its_error_and_where_it_was_raised(place: Path, capsys: pytest.CaptureFixture) -> None:
    text = said(["show", str(place / "failed")], capsys)
    assert section(text, "Error") == {"message": "ZeroDivisionError: boom", "raised in": 'File "b.py", line 7, in step'}
    assert "status     failed\n" in text


def test_a_file_that_has_gone_is_said_to_be_gone(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    make(tmp_path / "run", files={"/nowhere/mine.h5": "0123456789abcdef"})
    assert section(said(["show", str(tmp_path / "run")], capsys), "Files used") == {
        "/nowhere/mine.h5": "sha256 0123456789ab, not there any more"
    }


def table(text: str, title: str) -> dict[str, list[str]]:
    """The rows of a table by their first cell."""
    rows = [line for line in text.split(f"{title}\n")[1].split("\n└")[0].splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    return {first: rest for first, *rest in cells}


def test_runs_are_compared_key_by_key(place: Path, capsys: pytest.CaptureFixture) -> None:
    folders = [str(place / name) for name in ("good", "tries/0", "better")]
    text = said(["diff", *folders], capsys)
    assert f"B  {place / 'tries' / '0'} (finished)\n" in text
    config = table(text, "Configuration")
    assert set(config) == {"seed", "optimizer.lr", "md.j2.yield_stress"}
    assert config["seed"] == ["0", "1", "0"]
    assert config["optimizer.lr"] == ["0.01", "0.5", "0.01"]
    metrics = table(text, "Metrics")
    assert metrics["test/net_error"][:2] + metrics["test/net_error"][3:4] == ["0.3", "0.1", "-0.2"]
    assert metrics["valid/error"][-1] == "-0.29"
    assert "Versions, machine and data: the same in all.\n" in text


def test_differing_versions_and_data_are_shown(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second = make(tmp_path / "a", commit="abc"), make(tmp_path / "b", commit="[def]", files={"x.h5": "12"})
    result = json.loads((second / "result.json").read_text())
    result["versions"]["torch"], result["metrics"] = "1.0", {"valid/error": None}
    (second / "result.json").write_text(json.dumps(result))
    text = said(["diff", str(first), str(second)], capsys)
    assert "Configuration: the same in all.\n" in text
    surroundings = table(text, "Versions, machine and data")
    assert surroundings["commit"] == ["abc", "[def]"]
    assert surroundings["versions.torch"][1] == "1.0"
    assert surroundings["files.x.h5"] == ["-", "12"]
    assert table(text, "Metrics")["valid/error"][1:] == ["-", "-"]


def test_what_cannot_be_compared_is_refused(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "diff", str(place / "good")]) == 1
    assert "alone cannot differ: name two runs or more." in capsys.readouterr().err
    assert main(["runs", "show", str(place)]) == 1
    assert f"error: {place / 'result.json'} cannot be read" in capsys.readouterr().err
    shutil.rmtree(place / "good")
    assert main(["runs", "diff", str(place / "good"), str(place / "better")]) == 1
