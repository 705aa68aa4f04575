"""Groups compose as documented: what belongs to a model, which choices follow from others, which seeds are derived."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import composed, config_dir, folder_word, groups, hydra_ready, resolve
from prnn_md.training.seeding import derived_seed


def test_groups_are_the_folders_of_options() -> None:
    assert groups()["model"] == ("feed_forward", "gru", "isotropic", "lstm", "prnn", "tann")
    assert groups()["md/dynamics"] == ("aqs", "langevin", "overdamped")
    assert all((config_dir() / name / f"{option}.yaml").is_file() for name in groups() for option in groups()[name])


def test_parts_of_a_prnn_are_absent_from_other_models() -> None:
    with hydra_ready():
        prnn, gru = composed(["model=prnn"]), composed(["model=gru"])
    assert {"md", "encoder", "decoder", "dynamics"} <= set(prnn)
    assert not {"md", "encoder", "decoder", "dynamics"} & set(gru)


def test_model_chooses_the_training_but_the_command_line_wins() -> None:
    with hydra_ready():
        chosen = [composed(words).training.max_epochs for words in (["model=prnn"], ["model=gru"])]
        assert composed(["model=gru", "training=staged"]).training.max_epochs == chosen[0] != chosen[1]


def test_md_chooses_the_dataset_but_the_command_line_wins() -> None:
    with hydra_ready():
        for option in groups()["md"]:
            choices = composed([f"md={option}"], with_hydra=True).hydra.runtime.choices
            assert choices["dataset"] in groups()["dataset"]
            text = (Path(config_dir()) / "md" / f"{option}.yaml").read_text()
            assert "override /dataset" in text


def test_cells_can_be_mixed() -> None:
    config = resolve(composed(["md=[polymer,j2]"]))
    assert list(config["md"]) == ["polymer", "j2"]


def test_seeds_are_derived_from_the_one_seed_unless_given() -> None:
    with hydra_ready():
        first, second = resolve(composed(["seed=1"])), resolve(composed(["seed=2", "seeds.model=7"]))
    assert first["seeds"] == {name: derived_seed(1, name) for name in ("data", "model", "cells")}
    assert second["seeds"]["model"] == second["model"]["seed"] == 7
    assert second["dataset"]["seed"] == derived_seed(2, "data") != first["dataset"]["seed"]


def test_resolved_configuration_has_no_references() -> None:
    config = resolve(composed([]))
    assert "${" not in str(config)
    assert "dynamics" not in config
    assert config["md"]["polymer"]["dynamics"]["_target_"]


def test_files_of_the_user_get_their_full_path_and_shipped_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = resolve(composed(["md=[polymer,j2]", "dataset.path=mine.h5", "md.polymer.library=cells/mine.h5"]))
    assert own["dataset"]["path"] == str(tmp_path / "mine.h5")
    assert own["md"]["polymer"]["library"] == str(tmp_path / "cells" / "mine.h5")
    shipped = resolve(composed(["md.polymer.library=b"]))
    assert (shipped["dataset"]["path"], shipped["md"]["polymer"]["library"]) == ("polymer", "b")
    assert resolve(composed(["model=gru", "dataset.path='~/mine.h5'"]))["dataset"]["path"] == str(
        Path.home() / "mine.h5"
    )


def test_run_folders_of_the_same_second_differ() -> None:
    folders = {OmegaConf.create({"dir": "${short_hash:}"}).dir for _ in range(4)}
    assert len(folders) == 4


@pytest.mark.parametrize("words", [["~encoder"], ["model=gru", "+encoder=free"]])
def test_a_model_gets_exactly_its_parts(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="'encoder'"):
        resolve(composed(words))


@pytest.mark.parametrize("name", ["plain", "o'b", "two words", "o\\'b", "back\\slash", "at the end\\", "'", "a=b,c"])
def test_a_folder_may_have_any_name(name: str) -> None:
    word = folder_word("hydra.run.dir", Path("/runs") / name)
    assert composed([word], with_hydra=True).hydra.run.dir == f"/runs/{name}"
