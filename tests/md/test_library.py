"""Cell libraries survive the disk, and damaged ones are told apart from whole ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import prnn_md.md.library as library
from prnn_md.md.library import LibraryError, library_path, load_library, save_library, shipped_libraries
from prnn_md.md.sample import Samples

PROVENANCE = {"seed": 3, "made_by": "a test"}


@pytest.fixture
def samples() -> Samples:
    generator = torch.Generator().manual_seed(0)
    positions = torch.randn(4, 60, 3, generator=generator, dtype=torch.float64)
    box = torch.eye(3, dtype=torch.float64) + 0.1 * torch.randn(4, 3, 3, generator=generator, dtype=torch.float64)
    return Samples(positions, box, torch.stack([torch.arange(59), torch.arange(1, 60)], dim=1), torch.arange(60) % 3)


@pytest.fixture
def saved(samples: Samples, tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5"
    save_library(path, samples, PROVENANCE)
    return path


def test_a_library_comes_back_as_it_was_saved(samples: Samples, saved: Path) -> None:
    loaded, provenance = load_library(saved)
    assert torch.equal(loaded.positions, samples.positions)
    assert torch.equal(loaded.box, samples.box)
    assert torch.equal(loaded.bonds, samples.bonds)
    assert torch.equal(loaded.types, samples.types)
    assert provenance == PROVENANCE
    assert [path.name for path in saved.parent.iterdir()] == ["cells.h5"]


def test_the_same_samples_give_the_same_bytes(samples: Samples, saved: Path) -> None:
    again = saved.with_name("again.h5")
    save_library(again, samples, PROVENANCE)
    assert again.read_bytes() == saved.read_bytes()


def test_a_failed_save_leaves_the_old_file_and_nothing_else(samples: Samples, saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        save_library(saved, samples, {"not for JSON": {1, 2}})
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["cells.h5"]


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(saved: Path, kept: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(LibraryError, match=r"cells\.h5 is not a readable cell library .*fetch or build it again"):
        load_library(saved)


@pytest.mark.parametrize("missing", ["positions", "box", "bonds", "types"])
def test_a_file_without_all_arrays_is_refused(saved: Path, missing: str) -> None:
    with h5py.File(saved, "a") as file:
        del file[missing]
    with pytest.raises(LibraryError, match=r"cells\.h5 is not a readable cell library"):
        load_library(saved)


@pytest.mark.parametrize("array", ["positions", "box", "bonds", "types"])
def test_changed_numbers_are_noticed(saved: Path, array: str) -> None:
    with h5py.File(saved, "a") as file:
        values = np.asarray(file[array])
        values.flat[0] += 1
        file[array][...] = values
    with pytest.raises(LibraryError, match=r"cells\.h5 is damaged \(its checksum does not match\)"):
        load_library(saved)


def test_a_newer_schema_version_is_refused(saved: Path) -> None:
    with h5py.File(saved, "a") as file:
        file.attrs["schema_version"] = 3
    with pytest.raises(LibraryError, match=r"schema version 3; this version of prnn_md reads up to 2"):
        load_library(saved)


def test_a_library_of_the_first_schema_version_has_particles_of_one_type() -> None:
    with h5py.File(library_path("polymer_80_a")) as file:
        assert file.attrs["schema_version"] == 1
        assert "types" not in file
    assert load_library("polymer_80_a")[0].types.tolist() == 80 * [0]


def test_libraries_are_found_by_name_and_an_unknown_name_lists_the_choices(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    for name in ("glass-b", "glass-a"):
        save_library(tmp_path / f"{name}.h5", samples, PROVENANCE)
    assert shipped_libraries() == ["glass-a", "glass-b"]
    assert torch.equal(load_library("glass-b")[0].box, samples.box)
    with pytest.raises(LibraryError, match=r"No cell library 'glas': give a file, or one of glass-a, glass-b\."):
        load_library("glas")


def test_an_index_chooses_samples_and_keeps_them_a_batch(samples: Samples) -> None:
    assert len(samples) == 4
    chosen = samples[[2, 0]]
    assert len(chosen) == 2
    assert torch.equal(chosen.positions[1], samples.positions[0])
    assert torch.equal(chosen.box[0], samples.box[2])
    assert torch.equal(chosen.types, samples.types)
    assert torch.equal(chosen.bonds, samples.bonds)
    assert len(samples[1:2]) == 1
