"""Configurations from LAMMPS data files."""

from pathlib import Path

import torch
from torch import Tensor

from prnn_md.md.sample import Samples
from prnn_md.md.topology import whole_molecules

COLUMNS = {  # of the atom styles: where the type and the first coordinate are, after the number of the atom
    "atomic": (1, 2), "charge": (1, 3), "bond": (2, 3), "angle": (2, 3), "molecular": (2, 3), "full": (2, 4)
}  # fmt: skip


CHARGES = {"charge": 2, "full": 3}  # where the charge is


class DataFileError(ValueError):
    """A LAMMPS data file that cannot be used."""


def read_lammps_data(path: str | Path, style: str | None = None) -> Samples:
    """The configuration in a LAMMPS data file: positions made whole along the bonds, box, types from zero and bonds.

    `style` is the atom style, by default that of the comment behind `Atoms`. Raises DataFileError.
    """
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path}: no readable LAMMPS data file ({error}).") from error
    header, sections, comments = _split(lines)
    try:
        box, low = _box(header)
        style = style or comments.get("Atoms") or "molecular"
        numbers, types, positions = _atoms(sections["Atoms"], style, box)
        bonds = _bonds(sections.get("Bonds", []), numbers)
    except KeyError as error:
        raise DataFileError(f"{path}: there is no {error.args[0]} for the box or the atoms in it.") from error
    except (ValueError, IndexError) as error:
        raise DataFileError(f"{path}: a line cannot be used ({error}); the atom style is taken as {style}.") from error
    expected = int(header.get("atoms", ["0"])[0])
    if len(numbers) != expected:
        raise DataFileError(f"{path}: says {expected} atoms and lists {len(numbers)}: the file is cut short.")
    expected = int(header.get("bonds", ["0"])[0])
    if len(bonds) != expected:
        raise DataFileError(f"{path}: says {expected} bonds and lists {len(bonds)}: the file is cut short.")
    try:
        Samples(positions[None], box[None], bonds, types)
        return Samples(whole_molecules(positions - low, box, bonds)[None], box[None], bonds, types)
    except ValueError as error:
        raise DataFileError(f"{path}: {error}") from error


def has_charges(path: str | Path, style: str | None = None) -> bool:
    """Whether a LAMMPS data file, which can be read, has charged atoms."""
    _, sections, comments = _split(Path(path).read_text().splitlines())
    column = CHARGES.get(style or comments.get("Atoms") or "molecular")
    return column is not None and any(float(row[column]) for row in sections["Atoms"])


def _split(lines: list[str]) -> tuple[dict[str, list[str]], dict[str, list[list[str]]], dict[str, str]]:
    """Header entries by their words, sections as lists of words, and the comments behind section names."""
    header: dict[str, list[str]] = {}
    sections: dict[str, list[list[str]]] = {}
    comments: dict[str, str] = {}
    section = ""
    for line in lines[1:]:
        text, _, comment = line.partition("#")
        words = text.split()
        if not words:
            continue
        if words[0][0].isalpha():
            section = " ".join(words)
            sections[section] = []
            comments[section] = comment.strip()
        elif section:
            sections[section].append(words)
        else:
            count = sum(not word[0].isalpha() for word in words)
            header[" ".join(words[count:])] = words[:count]
    return header, sections, comments


def _box(header: dict[str, list[str]]) -> tuple[Tensor, Tensor]:
    """Box vectors in columns (3, 3), and the lower corner (3,)."""
    limits = torch.tensor([[float(word) for word in header[f"{a}lo {a}hi"]] for a in "xyz"], dtype=torch.float64)
    box = torch.diag(limits[:, 1] - limits[:, 0])
    xy, xz, yz = (float(word) for word in header.get("xy xz yz", ["0", "0", "0"]))
    box[0, 1], box[0, 2], box[1, 2] = xy, xz, yz
    return box, limits[:, 0]


def _atoms(rows: list[list[str]], style: str, box: Tensor) -> tuple[dict[int, int], Tensor, Tensor]:
    """Places of the atoms by their number, types from zero (N,), and positions with their images (N, 3)."""
    if style not in COLUMNS:
        raise ValueError(f"atom style {style} is not one of {', '.join(COLUMNS)}")
    kind, place = COLUMNS[style]
    rows = sorted(rows, key=lambda row: int(row[0]))
    numbers = {int(row[0]): index for index, row in enumerate(rows)}
    if len(numbers) < len(rows):
        raise ValueError("two particles have the same number")
    types = torch.tensor([int(row[kind]) - 1 for row in rows])
    positions = torch.tensor([[float(word) for word in row[place : place + 3]] for row in rows], dtype=torch.float64)
    images = [[int(word) for word in row[place + 3 : place + 6]] or [0, 0, 0] for row in rows]
    return numbers, types, positions + torch.tensor(images, dtype=torch.float64) @ box.mT


def _bonds(rows: list[list[str]], numbers: dict[int, int]) -> Tensor:
    lost = {int(word) for row in rows for word in row[2:4]} - set(numbers)
    if lost:
        raise ValueError(f"bonds join particle {min(lost)}, which is not there")
    found = [(numbers[int(row[2])], numbers[int(row[3])]) for row in rows]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 2)
