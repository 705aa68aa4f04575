"""Libraries of samples: one simulation a sample, and a repetition makes only what is missing."""

import importlib
from functools import partial
from pathlib import Path

import pytest
import torch

from prnn_md.labels.answering import LabelsFailed
from prnn_md.labels.executors.serial import SerialExecutor
from prnn_md.labels.libraries import build_library, sample_seeds
from prnn_md.labels.reference import SampleLabeler
from prnn_md.md.library import load_library

MAKER = '''
import torch
from prnn_md.md.sample import Samples

def make(calls, broken, seed):
    """One sample whose numbers are its seed; notes its seed in the file `calls`, fails for the one in `broken`."""
    with open(calls, "a") as file:
        file.write(f"{seed}\\n")
    if broken.exists() and broken.read_text() == str(seed):
        raise RuntimeError("the power is out")
    box = seed * torch.eye(3, dtype=torch.float64)[None]
    positions = torch.full((1, 4, 3), float(seed), dtype=torch.float64)
    return Samples(positions, box, torch.tensor([[0, 1], [2, 3]]))
'''
SEEDS = [11, 12, 13]


@pytest.fixture
def labeler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SampleLabeler:
    """Makes samples; it lies in a module of its own, since worker processes must be able to import it."""
    (tmp_path / "sample_maker_of_a_test.py").write_text(MAKER)
    monkeypatch.syspath_prepend(tmp_path)
    make = importlib.import_module("sample_maker_of_a_test").make
    return SampleLabeler(partial(make, tmp_path / "calls", tmp_path / "broken"), {"by": "a test"})


def calls(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "calls").read_text().split()]


def test_a_repetition_makes_only_what_is_missing(labeler: SampleLabeler, tmp_path: Path) -> None:
    library = tmp_path / "cells.h5"
    (tmp_path / "broken").write_text("12")
    with pytest.raises(LabelsFailed, match=r"1 of 3 labels failed; .*\n\w+: RuntimeError: the power is out"):
        build_library(library, labeler, SEEDS, SerialExecutor())
    assert sorted(calls(tmp_path)) == [11, 12, 12, 12, 13], "tried three times"
    assert not library.exists()
    (tmp_path / "broken").unlink()
    build_library(library, labeler, SEEDS, SerialExecutor())
    assert sorted(calls(tmp_path)) == [11, 12, 12, 12, 12, 13]
    samples, provenance = load_library(library)
    assert samples.positions[:, 0, 0].tolist() == SEEDS
    assert samples.box[:, 1, 1].tolist() == SEEDS
    assert samples.bonds.tolist() == [[0, 1], [2, 3]]
    assert provenance == {"by": "a test"}
    assert not library.with_name("cells.labels").exists()


def test_a_finished_library_is_not_made_again(labeler: SampleLabeler, tmp_path: Path) -> None:
    library = tmp_path / "cells.h5"
    library.write_text("precious")
    with pytest.raises(ValueError, match=r"cells\.h5 is there already"):
        build_library(library, labeler, SEEDS, SerialExecutor())
    assert library.read_text() == "precious"
    assert not (tmp_path / "calls").exists()


def test_seeds_are_distinct_within_and_between_libraries_and_fit_lammps() -> None:
    drawn = [sample_seeds(seed, beads, 64) for seed in (1, 2, 3) for beads in (80, 160, 1000)]
    numbers = [number for seeds in drawn for number in seeds]
    assert len(set(numbers)) == len(numbers) == 9 * 64
    assert min(numbers) > 0
    assert max(numbers) + 3 < 900_000_000, "the protocol adds up to 3"
    assert torch.tensor(numbers).double().mean().item() == pytest.approx(4.5e8, rel=0.15)


def test_a_seed_does_not_depend_on_the_number_of_samples() -> None:
    assert sample_seeds(1, 80, 3) == sample_seeds(1, 80, 5)[:3]
