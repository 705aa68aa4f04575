"""What ships with the package is whole, frozen, and what it claims to be."""

import json
from collections import Counter

import h5py
import numpy as np
import pytest
import torch

from prnn_md.data.dataset import SETS, StressStrainData, read_dataset, shipped_names
from prnn_md.data.verification import SPLITS
from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.library import library_path, load_library, shipped_libraries
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples

LIBRARIES = ("polymer_160_a", "polymer_160_b", "polymer_80_a", "polymer_80_b")
CHECKSUMS: dict[str, str] = {
    "polymer_80_a": "ca4f6388b5422261aa9fd43574838ed790515fc0f1f19588c5cb6a01c81f946a",
    "polymer_80_b": "0dce56864217c804f5ae1ec38ccd9020ac1b3aab1f77dd9ce9e40c4a433610d1",
    "polymer_160_a": "b46e0f021ddcbebb55e9c3fbdd2f86895004858bb02eedcd03fe8debe2004dca",
    "polymer_160_b": "f4e0599817f55409c146108f97ee40e28828df74ddcfae2523d91d28568e3fd0",
}
"""Of the arrays in each library: results refer to them, so that a library never changes under its name."""

DATASET_CHECKSUM = "e70b4cdc1e24224fa3996d4d24295a8f57401b56be88d588642fb072b7656a18"
"""Of the contents of the dataset `polymer`."""


def constants(samples: Samples) -> dict[str, float]:
    """The force field of the polymer, by the names under which the shipped files tell theirs."""
    force_field = polymer_force_field(samples)
    pairs, named = force_field.terms["pairs"], force_field.numbers()
    assert isinstance(pairs, LennardJones)
    assert set(force_field.terms) == {"pairs", "bonds"}
    numbers = {name: named[name] for name in ("epsilon", "sigma")}
    numbers |= {"inner": pairs.inner.tolist(), "outer": pairs.outer.tolist()}
    numbers |= {"fene_stiffness": named["bond_stiffness"], "fene_extent": named["bond_extent"]}
    numbers |= {"mass": force_field.masses.unique().tolist()}
    return {name: value for name, (value,) in numbers.items()}


def test_the_libraries_are_two_of_each_size() -> None:
    assert tuple(shipped_libraries()) == LIBRARIES


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_is_frozen(name: str) -> None:
    load_library(name)  # which compares the checksum with the arrays
    with h5py.File(library_path(name)) as file:
        assert file.attrs["checksum"] == CHECKSUMS.get(name)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_holds_at_least_32_cells_of_whole_chains_and_tells_how_it_was_made(name: str) -> None:
    beads = int(name.split("_")[1])
    samples, provenance = load_library(name)
    assert len(samples) >= 32
    assert samples.positions.shape[1:] == (beads, 3)
    assert samples.bonds.tolist() == [[i, i + 1] for i in range(beads - 1) if (i + 1) % 20]
    assert provenance["beads"] == beads
    assert {"made_by", "protocol", "seed"} <= set(provenance)
    assert provenance["force_field"] == constants(samples)


@pytest.mark.parametrize("name", LIBRARIES)
def test_cells_of_a_library_are_at_rest_and_free_of_stress(name: str) -> None:
    samples, _ = load_library(name)
    few = samples[torch.tensor([0, len(samples) // 2, len(samples) - 1])]
    force_field, zero = polymer_force_field(few), torch.zeros(3, 6, dtype=torch.float64)
    at_rest = (few.positions, few.box, few.types, force_field.neighbours(few.positions, few.box))
    assert forces(force_field, *at_rest).abs().max() < 1e-6
    assert biot_stress(force_field, zero, *at_rest).abs().max() < 1e-6


def test_no_cell_is_shipped_twice() -> None:
    volumes = torch.cat([torch.linalg.det(load_library(name)[0].box) for name in LIBRARIES])
    assert volumes.sort().values.diff().min() > 1e-7


@pytest.fixture(scope="module")
def polymer() -> StressStrainData:
    return read_dataset("polymer")


def test_the_dataset_is_small_and_frozen(polymer: StressStrainData) -> None:
    assert shipped_names() == ["polymer"]
    file = SETS / "polymer.h5"
    assert file.stat().st_size <= 5e6
    with h5py.File(file) as content:
        assert content.attrs["checksum"] == DATASET_CHECKSUM
    assert (polymer.name, polymer.units, polymer.stress_measure) == ("polymer", "epsilon/sigma^3", "biot")


def test_its_paths_have_amplitude_and_volume_change_as_documented(polymer: StressStrainData) -> None:
    paths, points, _ = polymer.strain.shape
    assert paths >= 72
    assert points == 61
    assert not polymer.strain[:, 0].any()
    assert (polymer.strain.norm(dim=-1).amax(-1) - 0.12).abs().max() < 1e-9
    assert polymer.strain[..., :3].sum(-1).abs().max() <= 0.06 + 1e-9
    assert torch.pdist(polymer.strain.flatten(1)).min() > 1e-2, "no path is there twice"


def test_every_split_holds_every_family(polymer: StressStrainData) -> None:
    counts = {split: len(polymer.indices(split)) for split in SPLITS}
    assert counts["valid"] == 12
    assert counts["test"] >= 24
    assert counts["train"] > 0
    for split, count in counts.items():
        held = Counter(polymer.family[index] for index in polymer.indices(split))
        assert set(held.values()) <= {count / 3}


def test_its_labels_are_means_and_standard_errors_of_at_least_six_replicas(polymer: StressStrainData) -> None:
    replicas = polymer.replicas.numpy().astype(float)
    count = replicas.shape[1]
    assert count >= 6
    mean = replicas.sum(1) / count
    variance = ((replicas - mean[:, None]) ** 2).sum(1) / (count - 1)
    size = float(np.abs(mean).max())
    np.testing.assert_allclose(polymer.stress, mean, rtol=0, atol=1e-6 * size)
    np.testing.assert_allclose(polymer.standard_error, np.sqrt(variance / count), rtol=0, atol=1e-6 * size)
    assert polymer.standard_error[:, 1:].min() > 0, "replicas differ"


def test_its_scale_is_the_spread_over_the_training_pool(polymer: StressStrainData) -> None:
    pool = polymer.stress[polymer.indices("train")].numpy().reshape(-1, 6)
    np.testing.assert_allclose(polymer.stress_scale, pool.std(axis=0), rtol=1e-9)


def test_it_tells_how_it_was_made(polymer: StressStrainData) -> None:
    with h5py.File(SETS / "polymer.h5") as file:
        provenance = json.loads(file.attrs["provenance"])
    assert {"what", "command", "recipe", "force_field", "lammps", "samples"} <= set(provenance)
    assert provenance["recipe"]["beads"] >= 1000
    assert provenance["recipe"]["replicas"] == polymer.replicas.shape[1]
    assert provenance["force_field"] == constants(load_library("polymer_80_a")[0])
