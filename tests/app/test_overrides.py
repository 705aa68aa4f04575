"""Words on the command line become a checked configuration or one message."""

import re

import pytest

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import hydra_ready
from prnn_md.app.overrides import checked_config, comparisons, sweep_runs, with_every_word


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("md=polymr", ["md=polymr", "no such option", "Did you mean polymer", "argon, composite, elastic"]),
        ("dataset.n_trian=4", ["dataset.n_trian=4", "Did you mean dataset.n_train?", "Allowed in dataset"]),
        (
            "dataset=composite dataset.path=a.h5 dataset.n_trian=4",
            ["dataset.n_trian=4", "Did you mean dataset.n_train?"],
        ),
        ("modle=gru", ["modle=gru", "no such key", "Did you mean model?"]),
        ("model=gru md=polymer", ["md=polymer", "does not exist with model=gru", "belongs to model=prnn"]),
        ("md=j2 md/dynamics=aqs", ["md/dynamics=aqs", "does not exist with md=j2", "md=glass or", "md=polymer or"]),
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


def test_a_compared_model_may_meet_the_training_paths_in_its_own_way() -> None:
    words = ["dataset.n_train=8", "dataset.batch_size=2", r"compare=['gru dataset.symmetry\=isotropic',lstm]"]
    main = checked_config(words)
    others = comparisons(main)
    assert others["gru"]["dataset"] == main["dataset"] | {"symmetry": "isotropic"}
    assert others["lstm"]["dataset"] == main["dataset"]


def test_models_that_would_share_a_label_are_told_apart() -> None:
    entries = ["'gru model.hidden=32'", "'gru model.hidden=32'", "gru", "lstm", "'lstm label=GRU'"]
    main = checked_config(["model=gru", rf"compare=[{','.join(entries)}]"])
    labels = [main["label"], *(other["label"] for other in comparisons(main).values())]
    assert labels == ["GRU", "GRU, model.hidden=32", "GRU, gru-2", "GRU, gru-3", "LSTM", "GRU, lstm-2"]


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


def test_a_sweep_runs_all_combinations() -> None:
    assert sweep_runs(["seed=range(3,5)", "label=b,c", "compare=[gru,lstm]"]) == [
        ["seed=3", "label=b", "compare=[gru,lstm]"],
        ["seed=3", "label=c", "compare=[gru,lstm]"],
        ["seed=4", "label=b", "compare=[gru,lstm]"],
        ["seed=4", "label=c", "compare=[gru,lstm]"],
    ]
    assert sweep_runs([]) == [[]]


def test_a_sweep_over_models_gives_each_the_words_that_it_has_a_use_for() -> None:
    parts = ["md=polymer", "md.polymer.count=2", "md/dynamics=aqs", "dynamics.max_evaluations=9", "encoder=free"]
    words = [*parts, "decoder=softplus,hill_mandel", "model=prnn,gru", "seed=1"]
    first, gru, second = sweep_runs(words)
    assert first == [*parts, "decoder=softplus", "model=prnn", "seed=1"]
    assert second == [*parts, "decoder=hill_mandel", "model=prnn", "seed=1"]
    assert gru == ["model=gru", "seed=1", "dataset=polymer"]
    for run in (first, gru, second):
        checked_config(run)


def test_a_dataset_that_is_chosen_wins_over_that_of_md() -> None:
    assert sweep_runs(["model=gru,prnn", "md=j2", "dataset=mine"])[0] == ["model=gru", "dataset=mine"]
    assert sweep_runs(["model=gru,prnn", "seed=1"])[0] == ["model=gru", "seed=1"]


def test_words_that_no_model_of_a_sweep_has_a_use_for_stay_and_are_refused() -> None:
    (run, _) = sweep_runs(["model=gru,lstm", "md=j2"])
    with pytest.raises(ConfigError, match="md=j2: md does not exist with model=gru"):
        checked_config(run)


def test_every_word_of_a_sweep_is_in_a_run_that_stands_for_it() -> None:
    runs = sweep_runs(["model=gru,prnn", "optimizer.lr=0.1,0.2,0.3", "md.j2.count=4,5"])
    few = with_every_word(runs)
    assert len(few) == 5 < len(runs) == 9
    assert {word for run in few for word in run} == {word for run in runs for word in run}
    assert with_every_word([[]]) == [[]]
    assert with_every_word([[f"seed={number}"] for number in range(100)]) == [["seed=0"], ["seed=99"]]


@pytest.mark.parametrize("word", ["optimizer.lr=interval(1,2)", "model=glob(*)"])
def test_ranges_that_hold_no_values_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=rf"{re.escape(word)}: a sweep takes values with commas"):
        sweep_runs([word])
