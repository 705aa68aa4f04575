"""Configurations from extended XYZ files."""

import re
from pathlib import Path

import torch

from prnn_md.md.lammps_data import DataFileError


def read_xyz(path: str | Path) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Names of the particles, positions (N, 3) and box (3, 3), its vectors in columns, of the first frame of a file.

    The first line is the number of particles, the second has Lattice="ax ay az bx by bz cx cy cz", and then comes a
    name with three coordinates on every line. Raises DataFileError.
    """
    try:
        count, comment, *lines = Path(path).read_text().splitlines()
        rows = [line.split() for line in lines[: int(count)]]
        lattice = re.search(r'Lattice="([^"]*)"', comment, re.IGNORECASE)
        if lattice is None or len(rows) < int(count):
            what = "no Lattice in its second line" if lattice is None else f"fewer than {int(count)} particles"
            raise DataFileError(f"{path}: an extended XYZ file with {what}.")
        vectors = torch.tensor([float(word) for word in lattice[1].split()], dtype=torch.float64).reshape(3, 3)
        places = torch.tensor([[float(word) for word in row[1:4]] for row in rows], dtype=torch.float64).reshape(-1, 3)
    except DataFileError:
        raise
    except (OSError, UnicodeDecodeError, ValueError, RuntimeError) as error:
        raise DataFileError(f"{path}: no readable extended XYZ file ({error}).") from error
    return [row[0] for row in rows], places, vectors.mT.contiguous()
