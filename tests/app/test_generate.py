"""`prnn-md generate` makes a dataset of replicas by LAMMPS, and goes on after an interruption."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from prnn_md.app import generate
from prnn_md.data.dataset import StressStrainData, read_dataset
from prnn_md.data.path_families import DEFAULT_FAMILIES
from prnn_md.labels.query import Label
from prnn_md.md.polymer import FORCE_FIELD

WORDS = ["--beads", "20", "--replicas", "2", "--train", "1", "--valid", "1", "--test", "1", "--increments", "2"]
WORDS += ["--melt-time", "1", "--quench-time", "1", "--amplitude", "0.02", "--max-trace", "0.01"]


@dataclass(frozen=True)
class Interrupted:
    """A dataset whose making was stopped after all labels, twice, with two labels lost in between."""

    file: Path
    first: dict[str, tuple[int, bytes]]
    second: dict[str, tuple[int, bytes]]
    lost: list[str]


def parts(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of the samples and all labels."""
    found = [folder / "samples.h5", *folder.glob("labels/files/*/*")]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    file = tmp_path_factory.mktemp("generated") / "tiny.h5"
    words = ["--output", str(file), *WORDS]
    folder, found = file.with_name("tiny.parts"), []

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "write_dataset", stop)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                generate.main(words)
            found.append(parts(folder))
            assert not file.exists()
            lost = sorted(found[0].keys() - {"samples.h5"})[::17]
            for name in lost:
                (folder / "labels" / "files" / name[:2] / name).unlink()
    assert generate.main(words) == 0
    return Interrupted(file, *found, lost)


@pytest.fixture(scope="module")
def data(made: Interrupted) -> StressStrainData:
    return read_dataset(made.file)


def test_a_repetition_makes_only_what_is_lost(made: Interrupted) -> None:
    assert len(made.first) == 9 * 2 + 1
    kept = {name for name in made.first if made.first[name][0] == made.second[name][0]}
    assert len(made.lost) == 2
    assert kept == made.first.keys() - set(made.lost)


def test_lost_labels_come_back_the_same(made: Interrupted) -> None:
    for name in made.lost:
        assert made.first[name][1] == made.second[name][1]


def test_nothing_is_left_beside_the_dataset(made: Interrupted) -> None:
    assert [path.name for path in made.file.parent.iterdir()] == ["tiny.h5"]


def test_every_family_is_in_every_split(data: StressStrainData) -> None:
    assert sorted(zip(data.split, data.family, strict=True)) == sorted(
        (split, family) for split in ("train", "valid", "test") for family in DEFAULT_FAMILIES
    )


def test_paths_are_as_asked_for_and_none_is_twice(data: StressStrainData) -> None:
    assert data.strain.shape == (9, 3, 6)
    assert data.strain.norm(dim=-1).amax(-1).tolist() == pytest.approx([0.02] * 9, abs=1e-12)
    assert data.strain[..., :3].sum(-1).abs().max() <= 0.01 + 1e-12
    assert torch.pdist(data.strain.flatten(1)).min() > 1e-4
    assert data.times.tolist() == [0.0, 0.5, 1.0]


def test_labels_are_means_and_standard_errors_of_the_replicas(data: StressStrainData) -> None:
    replicas = data.replicas.numpy().astype(float)
    assert replicas.shape == (9, 2, 3, 6)
    assert np.abs(replicas[:, 0] - replicas[:, 1]).max() > 1e-3
    assert not replicas[:, :, 0].any()
    np.testing.assert_allclose(data.stress, 0.5 * (replicas[:, 0] + replicas[:, 1]), atol=1e-6)
    np.testing.assert_allclose(data.standard_error, 0.5 * np.abs(replicas[:, 0] - replicas[:, 1]), atol=1e-6)


def test_replicas_are_the_simulations(made: Interrupted, data: StressStrainData) -> None:
    labels = [Label.from_data(content) for name, (_, content) in made.first.items() if name != "samples.h5"]
    replicas = data.replicas.flatten(0, 1)
    for label in labels:
        apart = (replicas - label.outputs["stress"].float()).abs().amax((1, 2))
        assert apart.min() == 0.0
        assert label.about["minimiser"] == "LAMMPS cg"
    assert len(labels) == len(replicas)


def test_the_scale_is_the_spread_over_the_training_pool(data: StressStrainData) -> None:
    rows = [number for number, split in enumerate(data.split) if split == "train"]
    np.testing.assert_allclose(data.stress_scale, np.std(data.stress.numpy()[rows].reshape(-1, 6), axis=0), rtol=1e-12)
    assert data.units == "epsilon/sigma^3"


def test_the_provenance_says_how_it_was_made(data: StressStrainData) -> None:
    recipe = generate.Recipe(**data.provenance["recipe"])
    assert (recipe.beads, recipe.replicas, recipe.increments, recipe.melt_time) == (20, 2, 2, 1.0)
    assert data.provenance["force_field"] == FORCE_FIELD.read_text()
    assert data.provenance["lammps"]
    assert data.provenance["samples"]["protocol"]["quench_time"] == 1.0


def test_another_recipe_does_not_take_the_parts(tmp_path: Path) -> None:
    folder = tmp_path / "tiny.parts"
    folder.mkdir()
    (folder / "recipe.json").write_text("{}")
    with pytest.raises((ValueError, SystemExit)):
        generate.main(["--output", str(tmp_path / "tiny.h5"), *WORDS])
    assert not (folder / "samples.h5").exists()


def test_a_finished_dataset_is_kept(made: Interrupted) -> None:
    before = made.file.read_bytes()
    with pytest.raises((ValueError, SystemExit)):
        generate.main(["--output", str(made.file), *WORDS])
    assert made.file.read_bytes() == before
