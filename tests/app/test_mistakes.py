"""Random mistakes are answered with one message that names what is wrong, before anything heavy is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mistakes.py")


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.acceptance)])
def test_mistakes_are_answered_in_one_message(count: int, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(count), str(count)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == count
    assert len({answer["kind"] for answer in answers}) == 7
    for answer in answers:
        assert answer["code"] == 2, answer
        assert answer["said"].startswith("error: "), answer
        assert "Traceback" not in answer["said"], answer
        assert answer["heavy"] == [], "torch and the like are imported for a mistake"
        assert answer["left"] == [], "a folder is left"
        *_, wrong = answer["words"]
        names = [wrong, wrong.split("=")[0], *(word.split("=")[0] for word in answer["words"])]
        assert any(name in answer["said"] for name in names if name), answer
