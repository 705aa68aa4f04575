"""Random mistakes in the words of the training command, and what it answers; run as a process without torch.

python mistakes.py COUNT SEED      prints one JSON object a mistake: words, kind, exit code, standard error
"""

import contextlib
import dataclasses
import io
import json
import random
import string
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

from prnn_md.app.composition import groups
from prnn_md.app.fields import leaves
from prnn_md.app.overrides import checked_config
from prnn_md.app.schema import TrainConfig
from prnn_md.app.train import main

CHOICES = (["md=j2"], ["md=polymer"], ["model=gru"], ["md=polymer", "md/dynamics=langevin"], ["md=viscoelastic"])
CONFLICTS = (
    ["model=gru", "md=polymer"],
    ["model=lstm", "encoder=taylor"],
    ["model=gru", "decoder=softplus"],
    ["md=j2", "md/dynamics=aqs"],
    ["md=elastic", "md.polymer.count=3"],
    ["model=gru", "md.backend=torch"],
    ["model=gru", "compare=['prnn seed=3']"],
    ["compare=['gru dataset.n_train=3']"],
    ["md=polymer", "md.j2.count=3"],
    ["seed=1,2"],
    ["-m", "seed=1,2", "hydra.launcher.slots=0"],
    ["-m", "seed=1,2", "hydra/launcher=basic"],
    ["-m", "hydra/sweeper=optuna", "optimizer.lr=interval(0.1,1)", "hydra.sweeper.sampler=tpee"],
)


def misspelt(rng: random.Random, word: str) -> str:
    """The word with a letter more, a letter less, or two letters exchanged."""
    place = rng.randrange(len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:place] + rng.choice(string.ascii_lowercase) + word[place:]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def fields_of(schema: type, value: typing.Any, path: str = "") -> Iterator[tuple[str, typing.Any, typing.Any]]:
    """Dotted key, value and metadata of the numbers of a configuration whose nodes are plain dataclasses."""
    for field in dataclasses.fields(schema):
        below = value.get(field.name) if isinstance(value, dict) else None
        kind = typing.get_type_hints(schema)[field.name]
        name = f"{path}.{field.name}" if path else field.name
        if dataclasses.is_dataclass(kind):
            yield from fields_of(kind, below, name)
        elif field.metadata.get("low") is not None or field.metadata.get("above") is not None:
            yield name, below, field.metadata


def mistake(rng: random.Random, keys: dict[tuple[str, ...], dict[str, typing.Any]]) -> tuple[str, list[str]]:
    """One mistake with its kind."""
    choice = rng.choice(list(keys))
    known = keys[choice]
    kind = rng.choice(["key", "type", "range", "option", "group", "conflict", "form"])
    if kind == "key":
        key = rng.choice(sorted(known))
        wrong = misspelt(rng, key)
        if wrong not in known and wrong.split(".")[0] != "hydra" and not any(k.startswith(f"{wrong}.") for k in known):
            return kind, [*choice, f"{wrong}={known[key]}"]
    if kind == "type":
        key = rng.choice(sorted(key for key, value in known.items() if isinstance(value, int | float)))
        return kind, [*choice, f"{key}={rng.choice(['abc', '[1]', '{a: 1}', 'x1.5', 'nan_'])}"]
    if kind == "range":
        name, metadata = rng.choice(list(RANGES.items()))
        low = metadata.get("low")
        return kind, [f"{name}={metadata['above'] if low is None else low - rng.choice([1, 7, 1000])}"]
    if kind == "option":
        group = rng.choice([name for name in groups() if "/" not in name])
        wrong = misspelt(rng, rng.choice(groups()[group]))
        if wrong not in groups()[group]:
            return kind, [f"{group}={wrong}"]
    if kind == "group":
        group = misspelt(rng, rng.choice([name for name in groups() if "/" not in name]))
        if group not in groups() and group not in known:
            return kind, [f"{group}=polymer"]
    if kind == "conflict":
        return kind, list(rng.choice(CONFLICTS))
    if kind == "form":
        return kind, [
            *choice,
            rng.choice(["seed", "=3", "seed = 3", "seed=[1", "{}", "seed=1=", "a b=c", "'", "seed=)"]),
        ]
    return mistake(rng, keys)


RANGES = {name: metadata for name, _, metadata in fields_of(TrainConfig, {})}


def answered(words: list[str]) -> tuple[int | str, str]:
    """Exit code and standard error; the name of an exception that should not have come through."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            code: int | str = main(words)
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    return code, said.getvalue()


def run(count: int, seed: int) -> None:
    rng = random.Random(seed)
    keys = {tuple(choice): {k: v for k, v, _ in leaves(TrainConfig, checked_config(choice))} for choice in CHOICES}
    for _ in range(count):
        kind, words = mistake(rng, keys)
        code, said = answered(words)
        heavy = sorted({"torch", "lightning", "wandb", "matplotlib"} & set(sys.modules))
        left = [str(path) for path in Path.cwd().iterdir()]
        print(json.dumps({"kind": kind, "words": words, "code": code, "said": said, "heavy": heavy, "left": left}))
        if heavy or left:
            return


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
