"""The `prnn-md` command hands the rest of the line to the command that is named first."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from prnn_md.app.main import COMMANDS, main


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


def test_choosing_a_command_imports_nothing_heavy() -> None:
    code = "import sys, prnn_md.app.main, prnn_md.app.train; print({'torch', 'numpy', 'hydra'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"
