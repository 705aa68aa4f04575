"""The README holds: its commands run, its links lead somewhere, and it names every option.

An HTML comment right before a bash block says how the block is tested:

    <!-- short: key=value ... -->    these words are added to every train.py and prnn-md command of the block
    <!-- not run: reason -->         bash only reads the block, for syntax errors

All other commands run as they stand, one block after the other in the same folder, except that make only
prints what it would do.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from prnn_md.app.composition import groups
from prnn_md.app.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@dataclass(frozen=True)
class Block:
    """A bash block of the README, with the words that make it short, or the reason why it is not run."""

    script: str
    words: str
    reason: str

    @property
    def shortened(self) -> str:
        lines = self.script.replace("\\\n", " ").splitlines()
        return "\n".join(self._with_words(line) for line in lines)

    def _with_words(self, line: str) -> str:
        if not line.startswith(("python train.py", "prnn-md ")):
            return line
        return f"{line.split(' #')[0].rstrip()} {self.words}".rstrip()


def blocks(text: str) -> list[Block]:
    pattern = r"(?:<!-- (short|not run): ((?:(?!-->).)*?) -->\n)?```bash\n(.*?)```"
    found = re.findall(pattern, text, flags=re.DOTALL)
    return [
        Block(script, words if kind == "short" else "", words if kind == "not run" else "")
        for kind, words, script in found
    ]


BLOCKS = blocks(README)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.py in it, and the commands of the README in bin/."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "train.py").symlink_to(ROOT / "train.py")
    start = "import prnn_md.app.main as app; raise SystemExit(app.main())"
    programs = {
        "python": f'exec "{sys.executable}" "$@"',
        "prnn-md": f'exec "{sys.executable}" -c \'{start}\' "$@"',
        "make": f'exec "{shutil.which("make")}" --dry-run --directory "{ROOT}" "$@"',
    }
    for name, line in programs.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    return folder


def environment(folder: Path) -> dict[str, str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return outer | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{outer['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
    }


@pytest.mark.parametrize("block", BLOCKS, ids=[block.script.splitlines()[0][:60] for block in BLOCKS])
def test_commands_run(block: Block, workplace: Path) -> None:
    options = ["-n"] if block.reason else ["-euo", "pipefail"]
    done = subprocess.run(
        ["bash", *options, "-c", block.shortened],
        cwd=workplace,
        env=environment(workplace),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{block.shortened}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_words_make_commands_short() -> None:
    text = "<!-- short: a=1 b=2 -->\n```bash\npython train.py \\\n  x=3 # why\ncat file\nprnn-md cells\n```\n"
    (block,) = blocks(text)
    assert block.shortened.splitlines() == [
        "python train.py    x=3 a=1 b=2",
        "cat file",
        "prnn-md cells a=1 b=2",
    ]


def test_only_a_reason_keeps_a_block_from_running() -> None:
    text = "<!-- not run: no GPU -->\n```bash\nfalse\n```\n\n<!-- short: a=1 -->\n\n```bash\nmake\n```\n"
    assert blocks(text) == [Block("false\n", "", "no GPU"), Block("make\n", "", "")]


def test_main_job_and_every_command_are_shown() -> None:
    run = "\n".join(block.script for block in BLOCKS if not block.reason)
    assert "python train.py model=prnn md=polymer" in run
    assert [name for name in COMMANDS if name != "train" and f"prnn-md {name}" not in run] == []


@pytest.mark.parametrize(
    "group", ["model", "md", "encoder", "decoder", "dataset", "tests", "training", "experiment", "hardware", "logger"]
)
def test_every_option_is_named(group: str) -> None:
    options = [option for option in groups()[group] if option != "none"]
    assert [option for option in options if f"{group}={option}" not in README] == []


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
