"""One job of a sweep: a plain single run by a fresh interpreter in a folder of its own."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prnn_md.app.composition import folder_word
from prnn_md.app.ledger import read_result

LOG = "job.log"
"""In the folder of a job: all that it has printed."""


@dataclass(frozen=True)
class Job:
    """A job with its number in the sweep, the words of its command line, and the values that tell it from others."""

    number: int
    words: tuple[str, ...]
    values: dict[str, str]
    folder: Path

    @property
    def command(self) -> list[str]:
        """What runs it, and what continues it after any interruption."""
        return [sys.executable, "-m", "prnn_md", "train", *self.words, folder_word("hydra.run.dir", self.folder)]

    @property
    def chosen(self) -> str:
        """Its values as words."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())

    @property
    def log(self) -> Path:
        return self.folder / LOG

    @property
    def result(self) -> dict[str, Any]:
        """The content of its result.json, empty where there is none yet."""
        return read_result(self.folder) or {}

    @property
    def is_finished(self) -> bool:
        return self.result.get("status") == "finished"

    def last_words(self, lines: int = 5) -> str:
        """The end of what it has printed."""
        if not self.log.is_file():
            return "nothing: it is gone; repeat the command to run the job anew"
        return "\n".join(self.log.read_text(errors="replace").rstrip().splitlines()[-lines:])
