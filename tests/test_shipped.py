"""What ships with the package is whole, frozen, and what it claims to be."""

from collections import Counter

import h5py
import numpy as np
import pytest
import torch

from prnn_md.data.dataset import SETS, StressStrainData, read_dataset, shipped_names
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.selection import mean_rates
from prnn_md.data.verification import SPLITS
from prnn_md.md.energy import biot_stress, forces
from prnn_md.md.library import library_path, load_library, shipped_libraries
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.statistics import noise_floor

LIBRARIES = ("polymer_160_a", "polymer_160_b", "polymer_80_a", "polymer_80_b")
CHECKSUMS: dict[str, str] = {
    "polymer_80_a": "ca4f6388b5422261aa9fd43574838ed790515fc0f1f19588c5cb6a01c81f946a",
    "polymer_80_b": "0dce56864217c804f5ae1ec38ccd9020ac1b3aab1f77dd9ce9e40c4a433610d1",
    "polymer_160_a": "b46e0f021ddcbebb55e9c3fbdd2f86895004858bb02eedcd03fe8debe2004dca",
    "polymer_160_b": "f4e0599817f55409c146108f97ee40e28828df74ddcfae2523d91d28568e3fd0",
}
"""Of the arrays in each library: results refer to them, so that a library never changes under its name."""

DATASETS = {
    "argon": "b0c872241479f288436ca0815e88d978e858a02cf9893cc4722d4f9ac3d73052",
    "glass": "ba7ed240c1022dff43268f62d443e7b9f6ce92a42813d6be96753134ffbd5a07",
    "polymer": "7dfeb5ddf6fe0968e613eb8c3e991fb2aa7db4d0ed638d13e85fe752cd2de7fc",
    "polymer_cold": "904b529ef4ce7a99dd28a03473cc6ebcd643046dfb607d3c16a244f86be8afb5",
    "polymer_rate": "b931bed23d455807a3c4460ef0bc07623b80b99687fe77f405af4fe785232ce6",
    "polymer_stiff": "324154336558490c629bee3e4570b412da856f23251e8551f3319e6789d50f44",
    "polymer_unseen": "55d16c2f1cae7bf0f06e0fac99a5fbb616cb03b07bcdbb69fd2e31acb70f5453",
}
"""Of the contents of each dataset."""

FEWEST = {(name, use): 2 for name in ("polymer_stiff", "polymer_unseen") for use in ("train", "valid")}
"""Replicas of paths that are only there so that the set has such, by dataset and split."""


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


@pytest.fixture(scope="module", params=sorted(DATASETS))
def dataset(request: pytest.FixtureRequest) -> StressStrainData:
    return read_dataset(request.param)


@pytest.fixture(scope="module")
def polymer() -> StressStrainData:
    return read_dataset("polymer")


def test_datasets_are_small_and_frozen(dataset: StressStrainData) -> None:
    with h5py.File(SETS / f"{dataset.name}.h5") as content:
        assert content.attrs["checksum"] == DATASETS[dataset.name]
    assert dataset.stress_measure == "biot"


def test_all_datasets_are_known_and_have_a_card() -> None:
    assert set(shipped_names()) == set(DATASETS)
    assert sum(file.stat().st_size for file in SETS.glob("*.h5")) <= 25e6
    for name in DATASETS:
        assert (SETS / f"{name}.md").read_text().startswith(f"# {name}\n")


def test_amplitudes_and_volume_changes_are_as_documented(dataset: StressStrainData) -> None:
    recipe = dataset.provenance["config"]["dataset"]
    assert dataset.strain.shape[1] == recipe["increments"] + 1 == 61
    assert not dataset.strain[:, 0].any()
    assert (dataset.strain.norm(dim=-1).amax(-1) - recipe["amplitude"]).abs().max() < 1e-9
    assert dataset.strain[..., :3].sum(-1).abs().max() <= recipe["max_trace"] + 1e-6


def test_labels_are_means_and_standard_errors_of_replicas(dataset: StressStrainData) -> None:
    size = float(dataset.stress.abs().max())
    for path, use in enumerate(dataset.split):
        count = int(dataset.replica_count[path])
        assert count == dataset.provenance["config"]["dataset"]["replicas"][use]
        assert count >= FEWEST.get((dataset.name, use), 2 if use == "pool" else 8 if "polymer" in dataset.name else 4)
        replicas = dataset.replicas[path, :count].numpy().astype(float)
        error = replicas.std(axis=0, ddof=1) / np.sqrt(count)
        np.testing.assert_allclose(dataset.stress[path], replicas.mean(0), rtol=0, atol=1e-6 * size)
        np.testing.assert_allclose(dataset.standard_error[path], error, rtol=0, atol=1e-6 * size)
        assert dataset.standard_error[path, 1:].min() > 0, "replicas differ"


def test_scales_are_the_spread_over_the_training_paths(dataset: StressStrainData) -> None:
    of = dataset.provenance["config"]["dataset"].get("scale_of")
    owner = read_dataset(of) if of else dataset
    train = owner.stress[owner.indices("train")].numpy().reshape(-1, 6)
    np.testing.assert_allclose(dataset.stress_scale, train.std(axis=0), rtol=1e-9)


def test_every_split_holds_every_family_equally_often(dataset: StressStrainData) -> None:
    for split in ("train", "valid", "test"):
        held = Counter(dataset.family[index] for index in dataset.indices(split))
        assert set(held) == set(dataset.family)
        assert split == "train" or len(set(held.values())) == 1


def test_datasets_tell_how_they_were_made(dataset: StressStrainData) -> None:
    assert {"made_by", "config", "versions", "physics", "samples", "labels"} <= set(dataset.provenance)
    assert dataset.provenance["versions"]["lammps"]


def test_the_polymer_has_all_families_many_replicas_and_a_pool(polymer: StressStrainData) -> None:
    counts = {split: len(polymer.indices(split)) for split in SPLITS}
    assert counts["train"] + counts["valid"] + counts["test"] >= 128
    assert counts["test"] >= 24
    assert counts["pool"] >= 300
    assert counts["train"] + counts["pool"] >= 400
    assert set(polymer.family) == set(FAMILIES) - {"constant_rate"}, "which needs a rate"
    assert polymer.provenance["physics"]["system"]["beads"] >= 1000


def test_labels_of_the_polymer_are_good_to_eight_percent_of_the_stress_scale(polymer: StressStrainData) -> None:
    for split in ("train", "valid", "test"):
        assert noise_floor(polymer.select(split).standard_error, polymer.stress_scale) <= 0.08


def test_the_unseen_paths_and_samples_of_the_polymer_are_others(polymer: StressStrainData) -> None:
    unseen = read_dataset("polymer_unseen")
    assert not set(unseen.provenance["samples"]) & set(polymer.provenance["samples"])
    assert torch.equal(unseen.stress_scale, polymer.stress_scale)
    for index in unseen.indices("test"):
        nearest = float((polymer.strain - unseen.strain[index]).abs().amax((1, 2)).min())
        assert (nearest == 0.0) is unseen.family[index].startswith("canonical"), "which has no others"
        assert nearest == 0.0 or nearest > 0.01


def test_the_polymer_at_rates_spans_two_decades_and_unloads() -> None:
    data = read_dataset("polymer_rate")
    rates = {f"{rate:.1g}" for rate in mean_rates(data).tolist()}
    assert rates == {"0.001", "0.01", "0.1"}
    assert data.time_unit == "tau"
    assert "proportional_unloading" in data.family
    assert data.provenance["physics"]["dynamics"]["temperature"] > 0.0
