"""The `prnn-md` command hands the rest of the line to the command that is named first."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from prnn_md.app.main import COMMANDS, main
from prnn_md.data.verification import DatasetError
from prnn_md.labels.answering import LabelsFailed
from prnn_md.md.library import LibraryError
from prnn_md.md.quench import QuenchFailure
from prnn_md.reference.lammps import LammpsError


@pytest.mark.parametrize("name", [name for name, (module, _) in COMMANDS.items() if find_spec(module)])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture) -> None:
    try:
        code = main([name, "--help"])
    except SystemExit as exit:
        code = exit.code
    assert code in (0, None)
    assert f"prnn-md {name}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["trian"]])
def test_an_unknown_command_is_refused(words: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert exit.value.code == 2
    assert "command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "error"),
    [("cells", error) for error in (LibraryError("no library"), OSError("no space"), QuenchFailure("a bond"))]
    + [
        ("generate", error)
        for error in (DatasetError("no paths"), LabelsFailed("two"), LammpsError("x"), ValueError("y"))
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_the_user_can_mend_is_one_line(
    name: str, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(f"{COMMANDS[name][0]}.main", fail)
    assert main([name]) == 1
    assert capsys.readouterr().err == f"error: {error}\n"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main([name]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_library_is_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["cells", "inspect", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("error: No cell library 'nowhere': ")


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("prnn_md.app.cells.main", lambda words: 1 / 0)
    assert main(["cells"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_choosing_a_command_imports_nothing_heavy() -> None:
    code = "import sys, prnn_md.app.main, prnn_md.app.train; print({'torch', 'numpy', 'hydra'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"
