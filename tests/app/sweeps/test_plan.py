"""The words of a sweep become jobs, or a search space."""

import pytest

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import groups
from prnn_md.app.sweeps.plan import Parameter, Space, plan, values_of, varied


def test_a_grid_has_every_combination() -> None:
    jobs = plan(["md=j2", "seed=range(0,2)", "optimizer.lr=0.1,0.2", "hydra.launcher.slots=2"])
    assert jobs == [["md=j2", f"seed={seed}", f"optimizer.lr={lr}"] for seed in (0, 1) for lr in (0.1, 0.2)]
    assert values_of(jobs[1], varied(jobs)) == {"seed": "0", "optimizer.lr": "0.2"}
    assert varied([["seed=1"]]) == {"seed"}
    models = [["a=1", "model=prnn", "md=j2", "a=2"], ["a=1", "model=gru", "a=2"]]
    assert varied(models) == {"model"}, "there is no other md"


def test_a_search_has_a_space() -> None:
    words = ["md=j2", "hydra/sweeper=optuna", "optimizer.lr=tag(log,interval(1e-3,0.1))", "md.j2.count=range(2,9,2)"]
    space = plan([*words, "dataset.batch_size=int(interval(1,8))", "decoder=hill_mandel,softplus"])
    assert space == Space(
        ("md=j2",),
        (
            Parameter("optimizer.lr", low=1e-3, high=0.1, log=True),
            Parameter("md.j2.count", low=2, high=8, step=2),
            Parameter("dataset.batch_size", low=1, high=8),
            Parameter("decoder", choices=("hill_mandel", "softplus")),
        ),
        total=20,
    )
    assert [p.is_whole for p in space.parameters] == [False, True, True, False]
    assert space.extremes()[1] == [
        "md=j2", "optimizer.lr=0.1", "md.j2.count=8", "dataset.batch_size=8", "decoder=softplus",
    ]  # fmt: skip
    assert space.described == {
        "words": "md=j2",
        "optimizer.lr": "0.001 to 0.1, logarithmic",
        "md.j2.count": "2 to 8 in steps of 2",
        "dataset.batch_size": "1 to 8",
        "decoder": "hill_mandel, softplus",
    }


@pytest.mark.parametrize("name", sorted(set(groups()["hparams_search"]) - {"none"}))
def test_searches_that_ship_can_be_run_at_their_extremes(name: str) -> None:
    from prnn_md.app.overrides import checked_config

    model = {"prnn": [], "recurrent": ["model=gru"]}.get(name, [f"model={name}"])
    space = plan([f"hparams_search={name}", *model, "optimizer.lr=interval(0.1,0.2)"])
    assert isinstance(space, Space)
    assert next(p for p in space.parameters if p.name == "optimizer.lr").high == 0.2, (
        "the command line has the last word"
    )
    for words in space.extremes():
        assert checked_config(words)["compare"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lr=interval(0.1,1)"], "range.*only hydra/sweeper=optuna takes others"),
        (["hydra/sweeper=optuna", "seed=1"], "nothing to choose: add 'optimizer.lr=interval"),
        (["hydra/sweeper=optuna", "optimizer.lr=interval(1,0.1)"], "give the smaller number first"),
        (["hydra/sweeper=optuna", "optimizer.lr=tag(log,interval(0,1))"], "above 0"),
        (["hydra/sweeper=optuna", "+hydra.sweeper.params.seed=3"], "seed=3: a search chooses from interval"),
        (["seed=1,"], "is not understood"),
        (["seed=1,2", "hydra.launcher.slots=abc"], "hydra.launcher.slots=abc: expected a whole number at least 1"),
        (["hydra/sweeper=optuna", "hydra.sweeper.sampler=tpee"], "Did you mean tpe"),
        (["hydra/sweeper=optuna", "hydra.sweeper.n_trials=0"], "n_trials=0: expected a whole number at least 1"),
        (["seed=1,2", "hydra/launcher=basic"], "BasicLauncher cannot run these jobs: choose local or slurm"),
        (["seed=1,2", "hydra/sweeper=basic"], "BasicSweeper cannot run these jobs: choose grid, optuna or experiment"),
    ],
)
def test_what_a_sweeper_cannot_use_is_named(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(words)
