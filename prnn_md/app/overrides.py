"""From the words of a command line to a checked configuration, or to one message that says what is wrong."""

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import product
from typing import Any, cast

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, Node, OmegaConf

from prnn_md.app.checking import ConfigError, alternatives, check_fields
from prnn_md.app.composition import KEYS, Config, composed, config_dir, groups, resolve
from prnn_md.app.fields import shown
from prnn_md.app.schema import MODEL_KEYS, SAMPLING_KEYS, TrainConfig


def checked_config(words: Sequence[str]) -> Config:
    """The resolved configuration of a command line of overrides; raises ConfigError if it cannot be used."""
    config = resolve(checked_composition(words))
    _check_changes(config)
    return config


def checked_composition(words: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Hydra's composition; raises ConfigError for a word that is no override, or whose option or key is not there."""
    overrides = [parsed(word) for word in words]
    for override in overrides:
        if override.key_or_group in groups():
            _check_option(override)
    try:
        return composed(words, with_hydra)
    except (HydraException, ValueError) as error:  # a ValueError for a key below a list, such as compare.gru
        with suppress(HydraException):
            _explain(overrides)
        raise ConfigError(str(error)) from None


def sweep_runs(words: Sequence[str]) -> list[list[str]]:
    """The words of the runs of a sweep: every combination of values, once.

    Where the sweep is over models, words for what only another of them has, such as md, are left out. Raises
    ConfigError for a word that is no override, for a range that is no list, and for a model or md that is not there.
    """
    choices = [_values(parsed(word)) for word in words]
    models = [word for values in choices for word in values if word.startswith("model=")]
    keys = {model: {str(key) for key in checked_composition([model])} for model in models}
    return [list(run) for run in dict.fromkeys(_for_its_model(run, keys) for run in product(*choices))]


def with_every_word(runs: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """The first run, and those with a word that no run before them has: enough to find a wrong one.

    Of whole numbers for the same key only the least and the largest count.
    """
    numbers: dict[str, list[int]] = {}
    for word in {word for run in runs for word in run}:
        key, _, value = word.partition("=")
        if value.isdigit():
            numbers.setdefault(key, []).append(int(value))
    seen = {f"{key}={n}" for key, found in numbers.items() for n in found if min(found) < n < max(found)}
    chosen: list[Sequence[str]] = []
    for run in runs:
        if not chosen or not seen.issuperset(run):
            chosen.append(run)
            seen.update(run)
    return chosen


def comparisons(main: Config) -> dict[str, Config]:
    """The configurations of the models to compare with, by the name of their folder.

    An entry of `compare` is a model option, and overrides for it in the same text. It shares everything with
    the main configuration but the model, its parts and its training, and how it meets the training paths if that is
    said; ConfigError for an override of the rest. A label that another model has gets the overrides behind it.
    """
    found: dict[str, Config] = {}
    labels = {main["label"]}
    shared = [f"seed={main['seed']}"]
    shared += [f"{key}.{name}={shown(value)}" for key in ("seeds", "hardware") for name, value in main[key].items()]
    for entry in main["compare"]:
        option, *words = shlex.split(entry) or [""]
        try:
            _check_own(words)
            own = checked_config([f"model={option}", *shared, *words])
        except ConfigError as error:
            raise ConfigError(f"compare: '{entry}': {error}") from None
        mixed = {key: (own if key in MODEL_KEYS else main).get(key) for key in own | main} | {"compare": []}
        sampling = [_key(word).split(".")[1] for word in words if _key(word) in SAMPLING_KEYS]
        mixed["dataset"] = main["dataset"] | {name: own["dataset"][name] for name in sampling}
        repeated = sum(known.split("-")[0] == option for known in found)
        folder = f"{option}-{repeated + 1}" if repeated else option
        if own["label"] in labels:
            mixed["label"] = ", ".join([own["label"], *(word for word in words if _key(word) != "label")])
        if mixed["label"] in labels:
            mixed["label"] = f"{own['label']}, {folder}"
        labels.add(mixed["label"])
        if "md" not in own:
            mixed["tests"] = {name: test for name, test in main["tests"].items() if not test.get("changes")}
        found[folder] = {name: mixed[name] for name in KEYS if mixed.get(name) is not None}
    return found


def changed(config: Config, words: Sequence[str]) -> Config:
    """A resolved configuration with other values of some keys; ConfigError for a word that does not fit."""
    new = OmegaConf.create(config)
    for word in words:
        override = parsed(word)
        if override.is_sweep_override() or override.is_add() or override.is_delete():
            raise ConfigError(f"{word}: write key=value.")
        _check_key(override, new)
        OmegaConf.update(new, override.key_or_group, override.value(), merge=False)
    plain = cast(Config, OmegaConf.to_container(new))
    check_fields(TrainConfig, plain)
    return plain


def _check_changes(config: Config) -> None:
    """The changes of further tests must be of keys that the cells have."""
    for name, test in config["tests"].items():
        for word in test.get("changes", ()):
            try:
                if not word.startswith("md."):
                    raise ConfigError(f"{word}: only keys of the cells inside a PRNN, md.*, can be changed.")
                changed(config, [word])
            except ConfigError as error:
                raise ConfigError(f"tests.{name}.changes: {error}") from None


def _values(override: Override) -> list[str]:
    """The word of every single value that a word stands for."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    try:
        return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    except HydraException:  # for interval() and glob()
        hint = "a sweep takes values with commas, or range(start, stop, step); only hydra/sweeper=optuna takes others."
        raise ConfigError(f"{override.input_line}: {hint}") from None


def _for_its_model(run: Sequence[str], keys: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The words of a run that its model has a use for, where `keys` holds the first keys of every model of the sweep.

    A choice of md that is left out leaves the dataset that it brings, unless another is chosen.
    """
    model = next((word for word in run if word in keys), None)
    if model is None:
        return tuple(run)
    foreign = set().union(*keys.values()) - keys[model]
    kept = [word for word in run if _first_key(word) not in foreign]
    md = [word for word in run if word.startswith("md=") and "md" in foreign]
    if md and not any(word.startswith("dataset=") for word in run):
        owner = next(other for other in keys if "md" in keys[other])
        kept.append(_dataset_with(owner, *md))
    return tuple(kept)


@cache
def _dataset_with(*words: str) -> str:
    """The word for the dataset that these words lead to."""
    return f"dataset={checked_composition(words, with_hydra=True).hydra.runtime.choices['dataset']}"


def _first_key(word: str) -> str:
    """The key at the beginning of a word, such as md of md.polymer.count=4."""
    return re.split(r"[./=]", word.lstrip("+~"))[0]


def _key(word: str) -> str:
    """The whole key of a word, such as dataset.symmetry of ++dataset.symmetry=isotropic."""
    return word.lstrip("+~").split("=")[0]


def _check_own(words: Sequence[str]) -> None:
    """Raises ConfigError for an override of something that belongs to the whole run, not to one model of it."""
    for word in words:
        key = _first_key(word)
        if key == "hydra" or (key in KEYS and key not in MODEL_KEYS and _key(word) not in SAMPLING_KEYS):
            own = ", ".join([*MODEL_KEYS, *SAMPLING_KEYS])
            raise ConfigError(f"{word}: all models of a run share its {key}. A compared model has its own {own}.")


def _explain(overrides: Sequence[Override]) -> None:
    """Raises ConfigError for the word that keeps the others from being composed, if it can be told."""
    choices = [override for override in overrides if override.key_or_group in groups()]
    _check_places(choices)
    base = composed([str(override.input_line) for override in choices])
    for override in overrides:
        key = override.key_or_group
        if override not in choices and not override.is_add() and key.split(".")[0] != "hydra":
            _check_key(override, base)


def parsed(word: str) -> Override:
    """A word of the command line; raises ConfigError for one that is no override."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        raise ConfigError(f"'{word}' is not understood: write key=value or group=option.") from None


def _check_option(override: Override) -> None:
    if override.is_delete() or override.is_sweep_override():
        return
    name, value = override.key_or_group, override.value()
    for option in value if isinstance(value, list) else [value]:
        if str(option) not in groups()[name]:
            near = alternatives(str(option), groups()[name], name)
            raise ConfigError(f"{override.input_line}: there is no such option.\n{near}")


def _check_places(choices: Sequence[Override]) -> None:
    """Raises ConfigError for a choice in a group that the other choices do not bring in."""
    for override in choices:
        owners = _owners(override.key_or_group)
        chosen = _chosen([str(other.input_line) for other in choices if other is not override]) if owners else None
        if chosen is not None and override.key_or_group not in chosen:
            beside = {owner.split("=")[0]: None for owner in owners}
            present = ", ".join(f"{group}={chosen.get(group)}" for group in beside)
            wrong = f"{override.input_line}: {override.key_or_group} does not exist with {present}."
            raise ConfigError(f"{wrong}\nIt belongs to {' or '.join(owners)}.")


def _chosen(words: Sequence[str]) -> dict[str, Any] | None:
    """The option of every group that the words lead to, None where they do not compose."""
    try:
        return dict(composed(words, with_hydra=True).hydra.runtime.choices)
    except HydraException:
        return None


def _owners(group: str) -> list[str]:
    """The options, such as "model=prnn", whose defaults bring in a configuration group."""
    owners = []
    for name, options in groups().items():
        for option in options:
            content = yaml.safe_load((config_dir() / name / f"{option}.yaml").read_text()) or {}
            entries = [key for default in content.get("defaults", []) if isinstance(default, dict) for key in default]
            if group in [entry[1:] if entry.startswith("/") else f"{name}/{entry}" for entry in entries]:
                owners.append(f"{name}={option}")
    return owners


def _check_key(override: Override, config: Any) -> None:
    """Every part of a dotted key must be in the configuration; else says what is there."""
    parts = override.key_or_group.split(".")
    for depth, part in enumerate(parts):
        if isinstance(config, DictConfig) and part in list(config.keys()):  # also those that are still to be given
            config = config._get_node(part)
            continue
        _check_reference(override, parts[depth:], config)
        below = config if isinstance(config, DictConfig) else ()
        names = [str(name) for name in below if not str(name).startswith("_")]
        owners = _owners(parts[0]) if depth == 0 and parts[0] in groups() else []
        near = alternatives(part, names, ".".join(parts[:depth]), is_key=True)
        hint = f"It belongs to {' or '.join(owners)}." if owners else near
        raise ConfigError(f"{override.input_line}: there is no such key.\n{hint}")


def _check_reference(override: Override, below: Sequence[str], node: Any) -> None:
    """Raises ConfigError where the node only stands for another one, below which the key is to be written."""
    if isinstance(node, Node) and node._is_interpolation():
        referred = str(node._value()).removeprefix("${").removesuffix("}")
        place = override.key_or_group.removesuffix("." + ".".join(below))
        better = ".".join([referred, *below])
        raise ConfigError(f"{override.input_line}: {place} is a copy of {referred}.\nDid you mean {better}?")
