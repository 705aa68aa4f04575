"""Answers of costly cells that were worked out before, in a file that all runs share."""

import hashlib
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.md.failure import CellFailure
from prnn_md.md.prepared import cache_folder

_AT_ONCE = 500  # keys in one question to the database
_PATIENCE = 60.0  # s to wait for other processes


class Answers:
    """Stresses of virgin samples along strain paths, by the digests of the samples and the numbers of the paths.

    Cells behind an encoder that does not learn meet the same strains in every epoch and in every run. The file is
    SQLite's: that of the environment's PRNN_MD_ANSWERS, or answers.sqlite beside the libraries in the user's cache.
    One that cannot be used is said once, and left alone from then on.
    """

    def __init__(self, file: Path | None = None) -> None:
        chosen = os.environ.get("PRNN_MD_ANSWERS") or cache_folder().parent / "answers.sqlite"
        self.file = file or Path(chosen)
        self._usable = True

    def rollout(self, cell: Cell, digests: Sequence[bytes], strains: Tensor) -> tuple[Tensor, Tensor]:
        """Stresses (paths, count, T+1, 6) and failures (paths, count) of a cell, without gradients.

        Paths (count, T+1, 6) with a sample that is not known are asked of the cell, all in one call.
        """
        keys = _keys(digests, strains)
        known = self._read(keys)
        new = [path for path, row in enumerate(keys) if not known.keys() >= set(row)]
        failed = torch.zeros(strains.shape[:2], dtype=torch.bool, device=strains.device)
        stresses = torch.empty_like(strains)
        for path, row in enumerate(keys):
            if known.keys() >= set(row):
                numbers = np.stack([np.frombuffer(known[key]) for key in row]).reshape(strains.shape[1:])
                stresses[path] = torch.from_numpy(numbers).to(stresses)
        if new:
            stresses[new], failed[new] = _asked(cell, strains[new], new)
            fine = [(path, sample) for path in new for sample in range(cell.count) if not failed[path, sample]]
            self._write({keys[p][s]: stresses[p, s].double().cpu().numpy().tobytes() for p, s in fine})
        return stresses, failed

    def _read(self, keys: Sequence[Sequence[bytes]]) -> dict[bytes, bytes]:
        wanted = list({key for row in keys for key in row}) if self._usable else []
        found: dict[bytes, bytes] = {}
        try:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                question = f"SELECT key, stress FROM answers WHERE key IN ({','.join('?' * len(part))})"
                with self._opened() as database:
                    found.update(database.execute(question, part).fetchall())
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
        return found

    def _write(self, answers: Mapping[bytes, bytes]) -> None:
        if not self._usable:
            return
        try:
            with self._opened() as database, database:
                database.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", answers.items())
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _opened(self) -> closing[sqlite3.Connection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.file, timeout=_PATIENCE)
        database.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, stress BLOB) WITHOUT ROWID")
        return closing(database)

    def _give_up(self, error: Exception) -> None:
        self._usable = False
        print(f"{self.file}: {error}. Answers of cells are not kept; the file can be removed.", file=sys.stderr)


def _asked(cell: Cell, strains: Tensor, paths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Stresses and failures of the cell along strains of these paths; a CellFailure names the path by its number."""
    try:
        with torch.no_grad():
            stresses, state = cell.rollout(strains, strains.new_zeros(strains.shape[-2]))
    except CellFailure as error:
        raise CellFailure(error.cell, paths[error.path], error.increment, error.reason) from None
    return stresses, state.failed


def _keys(digests: Sequence[bytes], strains: Tensor) -> list[list[bytes]]:
    """A key for each path and sample."""
    return [
        [
            hashlib.blake2b(digest + strain.tobytes(), digest_size=16).digest()
            for digest, strain in zip(digests, path, strict=True)
        ]
        for path in strains.detach().double().cpu().numpy()
    ]
