"""Polymer cells are drawn from their library by a seed, and what does not fit is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from prnn_md.cell import Cell
from prnn_md.md.aqs import AQSCell
from prnn_md.md.force_field import ForceField
from prnn_md.md.library import LibraryError, library_path, load_library, save_library
from prnn_md.md.polymer import library_file, polymer_cells
from prnn_md.md.sample import Samples


class Recorder(Cell):
    """Dynamics that only keep what they are given."""

    def __init__(self, samples: Samples, force_field: ForceField, **options: Any) -> None:
        super().__init__()
        self.samples, self.force_field, self.options = samples, force_field, options


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Ten samples of four beads whose first coordinate is their number."""
    positions = torch.arange(10.0, dtype=torch.float64)[:, None, None].expand(10, 4, 3)
    box = positions[:, :3] + torch.eye(3, dtype=torch.float64)
    path = tmp_path / "cells.h5"
    save_library(path, Samples(positions, box, torch.tensor([[0, 1], [1, 2], [2, 3]])), {})
    return path


def numbers(library: Path, count: int, seed: int) -> list[int]:
    samples = polymer_cells(library, beads=4, count=count, seed=seed, dynamics=Recorder).samples
    assert torch.equal(samples.box[:, 0, 1], samples.positions[:, 0, 0])
    return samples.positions[:, 0, 0].int().tolist()


def test_the_seed_chooses_cells_without_repetition(library: Path) -> None:
    chosen = numbers(library, 6, 1)
    assert len(set(chosen)) == 6
    assert numbers(library, 6, 1) == chosen
    assert len({tuple(sorted(numbers(library, 6, seed))) for seed in range(8)}) > 4
    assert sorted(numbers(library, 10, 3)) == list(range(10))


def test_fewer_cells_of_a_seed_are_among_more(library: Path) -> None:
    assert numbers(library, 3, 5) == numbers(library, 6, 5)[:3]


def test_a_shipped_library_gives_athermal_cells() -> None:
    cells = polymer_cells("a", beads=160, count=2, seed=4)
    assert isinstance(cells, AQSCell)
    assert cells.count == 2
    assert cells.sample_positions.shape == (2, 160, 3)
    boxes = load_library("polymer_160_a")[0].box
    assert all((boxes == box).all((1, 2)).sum() == 1 for box in cells.sample_box)


def test_dynamics_get_the_force_field(library: Path) -> None:
    force_field = polymer_cells(library, beads=4, count=1, dynamics=Recorder).force_field
    expected = {"epsilon": [1.0], "sigma": [1.0], "bond_stiffness": [30.0], "bond_extent": [1.5]}
    assert force_field.numbers() == expected
    assert force_field.excluded.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert force_field.masses.tolist() == 4 * [1.0]


def test_dynamics_get_the_options_of_the_cells(library: Path) -> None:
    options = {"backend": "torch", "trainable": ("epsilon",), "parameters": {"sigma": 1.1}}
    assert polymer_cells(library, beads=4, count=1, dynamics=Recorder, **options).options == options


@pytest.mark.parametrize("count", [0, 11])
def test_no_more_cells_than_there_are(library: Path, count: int) -> None:
    with pytest.raises(LibraryError, match=f"between 1 and the 10 cells of the library, got {count}"):
        polymer_cells(library, beads=4, count=count, dynamics=Recorder)


def test_cells_of_another_size_are_refused(library: Path) -> None:
    with pytest.raises(LibraryError, match=r"cells\.h5 holds cells of 4 beads, not 5"):
        polymer_cells(library, beads=5, count=1, dynamics=Recorder)


def test_the_file_of_a_set_is_the_shipped_or_own_one(library: Path) -> None:
    assert library_file("b", 80, 20, 0.0) == library_path("polymer_80_b")
    assert library_file(library, 4, 20, 0.0) == library
    assert library_file("b", 100, 20, 0.0) is None
    assert library_file("b", 80, 40, 0.0) is None
    assert library_file("b", 80, 20, 1.0) is None


@pytest.mark.parametrize(
    ("name", "beads", "reason"),
    [
        ("c", 160, "No set of polymer cells 'c': choose a or b, or give a file"),
        ("a", 50, "50 beads do not make chains of 20: choose a multiple"),
        ("none.h5", 160, "No cell library 'none.h5': give a file, or one of .*polymer_160_a"),
    ],
)
def test_cells_that_are_neither_shipped_nor_can_be_built_are_refused(name: str, beads: int, reason: str) -> None:
    with pytest.raises(LibraryError, match=reason):
        polymer_cells(name, beads=beads)
