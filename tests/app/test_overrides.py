"""Words on the command line become a checked configuration or one message."""

import pytest

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import hydra_ready
from prnn_md.app.overrides import checked_config, comparisons, sample_runs


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("md=polymr", ["md=polymr", "no such option", "Did you mean polymer?", "elastic, j2, polymer"]),
        ("dataset.n_trian=4", ["dataset.n_trian=4", "Did you mean dataset.n_train?", "Allowed in dataset"]),
        ("modle=gru", ["modle=gru", "no such key", "Did you mean model?"]),
        ("model=gru md=polymer", ["md=polymer", "does not exist with model=gru", "belongs to model=prnn"]),
        ("md=j2 md/dynamics=aqs", ["md/dynamics=aqs", "does not exist with md=j2", "belongs to md=polymer"]),
        ("model=gru encoder.noise=1", ["encoder.noise=1", "belongs to model=prnn"]),
        ("optimizer.lr=abc", ["optimizer.lr=abc", "a number above 0"]),
        ("optimizer.lr=-1", ["optimizer.lr=-1", "a number above 0"]),
        ("+dataset.extra=3", ["dataset.extra=3", "no such key"]),
        ("compare.gru=1", ["compare.gru=1", "no such key"]),
        ("~dataset.path", ["dataset.path is missing"]),
        ("md.polymer.dynamics.force_tolerance=1", ["is a copy of dynamics", "Did you mean dynamics.force_tolerance?"]),
        ("seed=x", ["seed=x", "a whole number at least 0"]),
        ("dataset.seed=${seeds.modle}", ["dataset.seed", "seeds.modle"]),
        ("scheduler._target_=torch.optim.SGD", ["scheduler._target_=torch.optim.SGD", "ReduceLROnPlateau"]),
        ("polymer", ["'polymer' is not understood", "key=value"]),
        ("md=[", ["'md=[' is not understood"]),
    ],
)
def test_faults_are_named(words: str, parts: list[str]) -> None:
    with hydra_ready(), pytest.raises(ConfigError) as caught:
        checked_config(words.split())
    for part in parts:
        assert part in str(caught.value)


def test_compared_models_share_data_seeds_and_hardware() -> None:
    main = checked_config(
        ["seed=5", "dataset.n_train=8", "optimizer.lr=0.5", "compare=['gru model.hidden=3',lstm,gru]"]
    )
    others = comparisons(main)
    assert list(others) == ["gru", "lstm", "gru-2"]
    for other in others.values():
        assert all(other[key] == main[key] for key in ("seed", "seeds", "dataset", "hardware", "logger"))
        assert other["model"]["seed"] == main["seeds"]["model"]
        assert other["optimizer"]["lr"] != 0.5
        assert "md" not in other
        assert other["compare"] == []
    assert others["gru"]["model"]["hidden"] == 3
    assert others["lstm"]["label"] == "LSTM"


def test_a_compared_model_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match=r"compare: 'gruu x=1': (.|\n)*Did you mean gru\?"):
        comparisons(checked_config(["compare=['gruu x=1']"]))


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("gru dataset.n_train=12", "dataset"),
        ("gru model.hidden=4 seed=3", "seed"),
        ("lstm logger=csv", "logger"),
        ("gru hydra.run.dir=x", "hydra"),
        ("gru ~callbacks", "callbacks"),
    ],
)
def test_what_all_models_share_is_refused_in_a_comparison(entry: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"compare: '{entry}': .*: all models of a run share its {key}\."):
        comparisons(checked_config([f"compare=['{entry}']"]))


def test_parts_of_a_compared_model_follow_the_hardware_of_the_run() -> None:
    main = checked_config(["model=gru", "hardware.threads=3", "compare=['prnn md/dynamics=aqs']"])
    assert comparisons(main)["prnn"]["md"]["polymer"]["dynamics"]["threads"] == 3


def test_a_sweep_is_stood_for_by_its_first_values_and_every_option_of_a_group() -> None:
    words = ["model=prnn,gru,lstm", "seed=range(3,9)", "decoder=softplus,hill_mandel", "label=a"]
    rest = ["seed=3", "decoder=softplus", "label=a"]
    assert sample_runs(words) == [
        ["model=prnn", *rest],
        ["model=gru", *rest],
        ["model=lstm", *rest],
        ["model=prnn", "seed=3", "decoder=hill_mandel", "label=a"],
    ]
    assert sample_runs(["seed=4", "compare=[gru,lstm]"]) == [["seed=4", "compare=[gru,lstm]"]]


def test_a_range_that_only_optimisers_take_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"optimizer.lr=interval\(1,2\): a sweep takes values with commas"):
        sample_runs(["optimizer.lr=interval(1,2)"])
