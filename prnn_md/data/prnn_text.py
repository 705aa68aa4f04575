"""The text format in which data for PRNNs were published.

A line holds an increment: the right stretch U (9 numbers, row by row), the Cauchy stress (9, row by row, MPa) and the
time increment (s); a blank line ends a path. There is no rotation, F = U, so that the Cauchy stress is in the frame of
the house. The undeformed state before the first line is left out. Source: M. Maia, I. Rocha, F. van der Meer,
arXiv 2404.17583 (2024), and the data of github.com/SLIMM-Lab/prnn3d.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from prnn_md.data.dataset import StressStrainData, without_noise
from prnn_md.data.editing import default_counts, split_anew
from prnn_md.data.verification import DatasetError, Twins, verify
from prnn_md.mechanics import MPA, biot_from_cauchy, to_mandel

FAMILY = "proportional_random"
NUMBERS = 19
ASYMMETRY = 1e-8
"""Largest difference of entries that should be equal, relative to the largest entry or 1."""


def read_prnn_text(path: str | Path, family: str = FAMILY) -> StressStrainData:
    """All paths of a file, with Biot stresses without noise, in MPa and s, and a zero point before each.

    `split` is "" for every path, since the file says nothing of it. Raises DatasetError, which names the line, for what
    is no such increment: too few or too many numbers, words, NaN, a stretch or stress that is not symmetric, a stretch
    that is not positive, a time increment that is not positive, or a path of another length.
    """
    path = Path(path)
    try:
        numbers, lines, lengths = _read(path.read_text(encoding="utf-8").splitlines())
        stretch, cauchy = (part.unflatten(-1, (3, 3)) for part in (numbers[:, :9], numbers[:, 9:18]))
        _check(lines, stretch, cauchy, numbers[:, 18])
        increments = _common_length(lines, lengths)
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a readable text file: {error}") from error
    except DatasetError as error:
        raise DatasetError(f"{path}{error}") from None
    strain = to_mandel(stretch - torch.eye(3, dtype=torch.float64))
    stress = biot_from_cauchy(to_mandel(cauchy), strain)
    columns = torch.cat([strain, stress, numbers[:, 18:]], -1).unflatten(0, (len(lengths), increments))
    columns = torch.cat([torch.zeros_like(columns[:, :1]), columns], 1)
    return without_noise(
        path.stem,
        columns[..., :6].contiguous(),
        columns[..., 12].cumsum(-1),
        columns[..., 6:12].contiguous(),
        [family] * len(lengths),
        [""] * len(lengths),
        MPA.stress,
        "s",
        {
            "made_by": "prnn-md dataset import prnn_text",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
    )


class PrnnTextFile:
    """A file of this format as an open dataset, with the uses of paths that `prnn-md dataset import` draws by itself.

    It is in memory. Raises DatasetError as `read_prnn_text` does.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        data = read_prnn_text(self.path)
        self._data = split_anew(data, data.name, default_counts(len(data)), seed=0)
        self.family, self.split = self._data.family, self._data.split
        told = ("units", "time_unit", "stress_measure", "stress_scale")
        self.about = {name: getattr(self._data, name) for name in told}

    def read(self, rows: Sequence[int] | None = None) -> StressStrainData:
        """The paths with these indices, in this order, by default all."""
        return self._data if rows is None else self._data.select(rows)

    def verify(self) -> None:
        """DatasetError for the first path that is not as it should be."""
        try:
            verify(self._data)
            Twins().add(self._data.strain, self._data.times, self._data.split)
        except DatasetError as error:
            raise DatasetError(f"{self.path}: {error}") from None


def _read(texts: Sequence[str]) -> tuple[Tensor, list[int], list[int]]:
    """Numbers (increments, 19), the line of each, and the increments of each path."""
    rows, lines, lengths = list[list[float]](), list[int](), list[int]()
    is_inside = False
    for line, text in enumerate(texts, start=1):
        words = text.split()
        if words:
            rows.append(_numbers(words, line))
            lines.append(line)
            lengths += [0] * (not is_inside)
            lengths[-1] += 1
        is_inside = bool(words)
    if not rows:
        raise DatasetError(": it has no lines of numbers.")
    return torch.tensor(rows, dtype=torch.float64), lines, lengths


def _numbers(words: Sequence[str], line: int) -> list[float]:
    if len(words) != NUMBERS:
        what = "stretch (9), Cauchy stress (9) and time increment"
        raise DatasetError(f", line {line}: {len(words)} numbers, where there must be {NUMBERS}: {what}.")
    values = list[float]()
    for place, word in enumerate(words, start=1):
        try:
            value = float(word)
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf"):
            raise DatasetError(f", line {line}, number {place}: '{word}' is not a finite number.")
        values.append(value)
    return values


def _check(lines: Sequence[int], stretch: Tensor, cauchy: Tensor, steps: Tensor) -> None:
    """DatasetError, with the line, for an increment that is physically impossible."""
    for what, tensor in (("right stretch", stretch), ("Cauchy stress", cauchy)):
        apart = (tensor - tensor.mT).abs().amax((-2, -1))
        for row in (apart > ASYMMETRY * tensor.abs().amax((-2, -1)).clamp(min=1.0)).nonzero().flatten().tolist()[:1]:
            raise DatasetError(f", line {lines[row]}: the {what} is not symmetric, by {apart[row]:.2g}.")
    least = torch.linalg.eigvalsh(stretch)[:, 0]
    for row in (least <= 0).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f", line {lines[row]}: the stretch has principal value {least[row]:.3g} <= 0.")
    for row in (steps <= 0).nonzero().flatten().tolist()[:1]:
        raise DatasetError(f", line {lines[row]}: the time increment must be positive, got {steps[row]:g}.")


def _common_length(lines: Sequence[int], lengths: Sequence[int]) -> int:
    """The increments that all paths have; DatasetError, with the line where it ends, for one that has others."""
    for path, length in enumerate(lengths):
        if length != lengths[0]:
            end = lines[sum(lengths[: path + 1]) - 1]
            told = f"path {path} ends after {length} increments, the first after {lengths[0]}"
            raise DatasetError(f", line {end}: {told}; all must have as many.")
    return lengths[0]
