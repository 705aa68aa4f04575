"""`prnn-md generate` makes a dataset with LAMMPS, and goes on after an interruption."""

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from prnn_md.app import generate, generation
from prnn_md.app.generate_config import generate_config
from prnn_md.app.generation import Generation, strain_paths
from prnn_md.data.dataset import StressStrainData, checksum, read_dataset
from prnn_md.labels.store import LabelStore
from prnn_md.md.polymer import FORCE_FIELD

WORDS = [
    "dataset.name=tiny",
    "dataset.families=[canonical,proportional_unloading]",
    "dataset.paths={train: 2, pool: 1, valid: 1, test: 1}",
    "dataset.replicas={train: 3, pool: 2, valid: 2, test: 2}",
    "dataset.increments=2",
    "dataset.amplitude=0.02",
    "dataset.max_trace=0.01",
    "reference.system.beads=60",
    "reference.system.melt_time=1",
    "reference.system.quench_time=1",
    "executor=serial",
]


def words(folder: Path) -> list[str]:
    return [*WORDS, f"output={folder / 'tiny.h5'}", f"store={folder / 'labels'}"]


@dataclass(frozen=True)
class Interrupted:
    """A dataset whose making was stopped after all labels, with two labels lost before it was repeated."""

    file: Path
    first: dict[str, tuple[int, bytes]]
    second: dict[str, tuple[int, bytes]]
    lost: list[str]
    estimate: str


def labels(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of all labels, of samples and of paths."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.glob("labels/files/*/*")}


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    folder = tmp_path_factory.mktemp("generated")
    file = folder / "tiny.h5"
    estimate = Generation(generate_config(words(folder))).estimate()
    estimated = labels(folder)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "write_dataset", stop)
        with pytest.raises(KeyboardInterrupt):
            generate.main(words(folder))
    first = labels(folder)
    assert not file.exists()
    assert all(first[name] == kept for name, kept in estimated.items()), "what was timed is kept"
    lost = sorted(first)[::17]
    for name in lost:
        (folder / "labels" / "files" / name[:2] / name).unlink()
    assert generate.main(words(folder)) == 0
    return Interrupted(file, first, labels(folder), lost, estimate)


@pytest.fixture(scope="module")
def data(made: Interrupted) -> StressStrainData:
    return read_dataset(made.file)


def test_an_estimate_says_what_is_left_to_do(made: Interrupted) -> None:
    lines = dict(line.split("  ", 1) for line in made.estimate.splitlines())
    assert lines["paths"].strip() == "10 of 2 increments"
    assert lines["labels"].strip() == "24, 22 to be computed"
    assert "core-hours" in lines["to be done"]
    assert "MB in" in lines["disk"]


def test_a_finished_dataset_needs_no_estimate_from_timed_labels(made: Interrupted, tmp_path: Path) -> None:
    kept = [word for word in words(made.file.parent) if not word.startswith("output=")]
    before = labels(made.file.parent)
    text = Generation(generate_config([*kept, f"output={tmp_path / 'other.h5'}"])).estimate()
    assert re.search(r"labels +24, 0 to be computed", text)
    assert re.search(r"to be done +0 core-hours", text)
    assert labels(made.file.parent) == before


def test_an_estimate_takes_few_samples(tmp_path: Path) -> None:
    text = Generation(generate_config(words(tmp_path))).estimate()
    assert re.search(r"samples +5, 4 to be made", text)


def test_a_repetition_makes_only_what_is_lost(made: Interrupted) -> None:
    assert len(made.first) == 24 + 3 + 2
    kept = {name for name in made.first if made.first[name][0] == made.second[name][0]}
    assert len(made.lost) == 2
    assert kept == made.first.keys() - set(made.lost)


def test_lost_labels_come_back_the_same(made: Interrupted) -> None:
    for name in made.lost:
        assert made.first[name][1] == made.second[name][1]


def test_every_family_is_in_every_split(data: StressStrainData) -> None:
    families, uses = ("canonical", "proportional_unloading"), ("test", "valid", "train", "train", "pool")
    assert list(zip(data.family, data.split, strict=True)) == [(family, use) for family in families for use in uses]
    assert data.replica_count.tolist() == [2, 2, 3, 3, 2] * 2


def labels_of(*changes: str) -> set[str]:
    return {query.id for query in Generation(generate_config([*WORDS, *changes])).all_queries}


def test_more_paths_replicas_or_families_ask_for_no_label_again(in_tmp: None) -> None:
    before = labels_of()
    assert len(before) == 24
    assert before < labels_of("dataset.paths={train: 3, pool: 2, valid: 1, test: 1}")
    assert before < labels_of("dataset.families=[constant_rate,canonical,proportional_unloading]")
    more = labels_of("dataset.replicas={train: 4, pool: 2, valid: 2, test: 3}")
    assert len(before - more) <= 8, "paths with few of the samples may take others"
    assert labels_of("reference.system.melt_time=1.0", "dataset.max_trace=1e-2") == before


def test_test_paths_are_followed_by_samples_of_their_own(data: StressStrainData, made: Interrupted) -> None:
    generation = Generation(generate_config(words(made.file.parent / "again")))
    parents = {
        kind: {
            query.parent
            for queries, use in zip(generation.queries, generation.split, strict=True)
            for query in queries
            if (use == "test") == (kind == "test")
        }
        for kind in ("test", "train")
    }
    assert len(parents["test"]) == 2
    assert len(parents["train"]) == 3
    assert not parents["test"] & parents["train"]


def test_a_family_gives_no_more_paths_than_it_has() -> None:
    recipe = generate_config([*WORDS, "dataset.paths.pool=60"])["dataset"]
    _, _, family, _ = strain_paths(recipe)
    assert family.count("canonical") == 18
    assert family.count("proportional_unloading") == 64


def test_replicas_are_the_labels_in_the_store(made: Interrupted, data: StressStrainData) -> None:
    with closing(LabelStore(made.file.parent / "labels")) as store:
        for path, ids in enumerate(data.label_ids):
            for replica, id_ in enumerate(ids[: int(data.replica_count[path])]):
                label = store.label(id_)
                assert torch.equal(label.outputs["stress"].float(), data.replicas[path, replica])
                assert (label.about["minimiser"], label.about["stop"]) == ("LAMMPS cg", "largest force at most 0.001")
    assert len({id_ for ids in data.label_ids for id_ in ids if id_}) == 24


def test_stresses_are_means_and_standard_errors_of_the_replicas(data: StressStrainData) -> None:
    replicas = data.replicas[0].numpy().astype(float)
    assert np.abs(replicas[0] - replicas[1]).max() > 1e-3
    assert not replicas[:2, 0].any()
    np.testing.assert_allclose(data.stress[0], 0.5 * (replicas[0] + replicas[1]), atol=1e-6)
    np.testing.assert_allclose(data.standard_error[0], 0.5 * np.abs(replicas[0] - replicas[1]), atol=1e-6)


def test_the_provenance_says_how_it_was_made(data: StressStrainData) -> None:
    config = data.provenance["config"]
    assert (config["dataset"]["seed"], config["reference"]["system"]["beads"]) == (7, 60)
    assert data.provenance["physics"]["system"]["force_field"] == FORCE_FIELD.read_text()
    assert data.provenance["versions"]["lammps"]
    assert len(data.provenance["samples"]) == 5
    assert data.units == "epsilon/sigma^3"


def test_a_finished_dataset_is_kept(made: Interrupted) -> None:
    before = made.file.read_bytes()
    with pytest.raises(ValueError, match="is there already"):
        generate.main(words(made.file.parent))
    assert made.file.read_bytes() == before


def test_a_dataset_may_have_the_stress_scale_of_another_one(made: Interrupted, tmp_path: Path) -> None:
    file = tmp_path / "scaled.h5"
    assert generate.main([*words(made.file.parent), "dataset.scale_of=polymer", f"output={file}"]) == 0
    own, scaled = read_dataset(made.file), read_dataset(file)
    polymer = read_dataset("polymer")
    assert torch.equal(scaled.stress_scale, polymer.stress_scale)
    assert scaled.provenance["scale_of"] == {"name": "polymer", "checksum": checksum(polymer)}
    assert torch.equal(scaled.stress, own.stress)
    assert not torch.equal(scaled.stress_scale, own.stress_scale)


def test_a_path_at_a_rate_has_times_in_tau(tmp_path: Path) -> None:
    short = ["reference=polymer_rate", "reference.dynamics.equilibration=1", "dataset.rates=[0.01,0.1]"]
    kept = [word for word in words(tmp_path) if not word.startswith("dataset.families")]
    counts = ["dataset.paths={train: 1, pool: 0, valid: 1, test: 1}", "dataset.families=[constant_rate]"]
    assert generate.main([*kept, *short, *counts]) == 0
    data = read_dataset(tmp_path / "tiny.h5")
    assert data.time_unit == "tau"
    assert data.times[:, -1].tolist() == pytest.approx([2.0, 0.2, 2.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("dataset.increments=0", "dataset.increments=0: expected a whole number at least 1"),
        ("dataset.replicas.train=1", "dataset.replicas.train=1: expected a whole number at least 2"),
        ("reference=steel", "reference=steel: there is no such option"),
        ("reference.system.bead=40", "reference.system.bead"),
        ("beads", "'beads' is not understood"),
        ("--quick", "--quick: there is no such option"),
    ],
)
def test_wrong_words_are_named(wrong: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert generate.main([*words(tmp_path), wrong]) == generate.EXIT_CONFIG
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("dataset.families=[spiral]", "there is no family 'spiral': choose from proportional_unloading"),
        ("dataset.rates=[0.1]", r"Athermal knows no time: leave out dataset.rates"),
        ("reference=polymer_rate", r"Thermal needs strain rates, such as dataset.rates=\[0.001,0.01\]"),
        ("dataset.families=[]", "name at least one of proportional_unloading"),
        ("dataset.scale_of=argon", "dataset.scale_of=argon: its stresses are in MPa, those of this dataset in epsilon"),
        ("dataset.scale_of=nowhere", r"dataset.scale_of=nowhere: (.|\n)*polymer"),
        ("dataset.families=[canonical,canonical]", "paths 0 and 5 are the same. Leave out a family"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_computed(wrong: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        generate.main([*words(tmp_path), wrong])
    assert not list(tmp_path.iterdir())
