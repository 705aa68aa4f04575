"""Composes the configuration from the groups in conf/, fills in the seeds and checks it."""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from prnn_md.app.checking import ConfigError, check_fields
from prnn_md.app.checkpoints import checkpoint_file
from prnn_md.app.fields import registered_targets
from prnn_md.app.hardware import check_hardware
from prnn_md.app.schema import TrainConfig
from prnn_md.app.schema_models import Model
from prnn_md.training.seeding import resolve_seeds

Config = dict[str, Any]
"""A resolved configuration: plain, checked values without references."""

KEYS = tuple(field.name for field in fields(TrainConfig))
"""The keys of a configuration, in their order."""

PARTS = ("md", "encoder", "decoder")
"""Keys that are built and given to the model, where it takes them."""

REFERENCES = ("dynamics",)
"""Keys that only stand in for a part of others, into which they are copied."""

SEARCHES, EXPERIMENTS = "hparams_search", "experiment"
"""The groups of searches and of named studies, which are for sweeps and leave no key of their own."""

METRICS = ("train", "valid", "test", "untrained", "label")
"""How the names of metrics begin that every run has."""

MD_REFERENCES = ("backend", "trainable")
"""The same, below md: what all cells have in common."""

OmegaConf.register_new_resolver("short_hash", lambda: secrets.token_hex(3), use_cache=True, replace=True)


@cache
def config_dir() -> Path:
    """The folder of the configuration groups: inside an installed package, else beside it in the repository."""
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "train.yaml").is_file():
            return candidate
    raise FileNotFoundError(f"No conf/train.yaml in {package} or {package.parent}: install prnn_md again.")


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """The options of every group of the main job, such as {"model": ("gru", "lstm", "prnn"), ...}."""
    first = (*KEYS, SEARCHES, EXPERIMENTS)
    found: dict[str, list[str]] = {}
    for file in sorted(config_dir().rglob("*.yaml")):
        name = file.parent.relative_to(config_dir()).as_posix()
        if name.split("/")[0] in first:
            found.setdefault(name, []).append(file.stem)
    ordered = sorted(found, key=lambda name: (first.index(name.split("/")[0]), name))
    return {name: tuple(found[name]) for name in ordered}


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Within the block compositions share what they have read; inside Hydra's own job nothing is needed."""
    if GlobalHydra.instance().is_initialized():
        yield
    else:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            yield


def composed(words: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Hydra's composition of the groups with the overrides in `words`; raises HydraException."""
    with hydra_ready():
        return compose("train", list(words), return_hydra_config=with_hydra)


def folder_word(key: str, folder: Path) -> str:
    """The override that gives a key, such as hydra.run.dir, the full path of a folder, whatever its name holds."""
    # in quotes Hydra wants backslashes doubled where they stand before a quote, and only there
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), str(folder.absolute()))
    return f"{key}='{escaped}'"


def resolve(config: DictConfig) -> Config:
    """The resolved, checked configuration; seeds that are null are derived from `seed`, file names are completed."""
    plain = _plain(config)
    check_fields(TrainConfig, plain, only=("seed", "seeds", "hardware"))  # others hold copies of these
    seeds = resolve_seeds(plain["seed"], **plain["seeds"])
    plain = _plain(cast(DictConfig, OmegaConf.merge(config, {"seeds": seeds})))
    for name in MD_REFERENCES:
        (plain.get("md") or {}).pop(name, None)
    check_fields(TrainConfig, plain)
    _check_parts(plain)
    _check_tests(plain)
    check_hardware(plain["hardware"])
    _check_stages(plain)
    _complete_paths(plain)
    return {name: plain[name] for name in KEYS if name in plain and name not in REFERENCES}


def _check_parts(config: Config) -> None:
    """What a model is given by name must be there, and must not be there for a model that does not take it."""
    schema = registered_targets(Model)[config["model"]["_target_"]]
    for name in PARTS:
        if (name in schema.given) != (config.get(name) is not None):
            verb = "needs" if name in schema.given else "takes no"
            raise ConfigError(f"model._target_={schema.target}: this model {verb} '{name}'.")


def _check_tests(config: Config) -> None:
    """The names of further tests must not be those of metrics that there are already, and each must have paths."""
    for name, test in config["tests"].items():
        if name in METRICS:
            raise ConfigError(f"tests.{name}: choose a name other than {', '.join(METRICS)}.")
        if test.get("splits") == []:
            raise ConfigError(f"tests.{name}.splits: give at least one use of paths, such as test.")


def _check_stages(config: Config) -> None:
    """There must be something to each stage, and an end."""
    training = config["training"]
    if training["stages"] is None:
        return
    if not training["stages"] or not all(training["stages"]):
        raise ConfigError("training.stages: there must be a stage, and a parameter in each; or null.")
    if training["patience"] is None:
        raise ConfigError("training.stages: training.patience ends each stage, and must be a number.")


def _complete_paths(config: Config) -> None:
    """Give files of the user their full path, so that they are found from any folder; names of shipped ones stay."""
    md = (config.get("md") or {}).values()
    files = [(cells, key) for cells in md for key in ("library", "data", "force_field") if key in cells]
    tests = [(test, "path") for test in config["tests"].values() if test.get("path") is not None]
    for node, key in [(config["dataset"], "path"), *files, *tests]:
        if Path(node[key]).suffix:
            node[key] = str(Path(node[key]).expanduser().absolute())
    if config.get("ckpt") is not None:
        config["ckpt"] = str(checkpoint_file(config["ckpt"]))


def _plain(config: DictConfig) -> Config:
    try:
        return cast(Config, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} has no value by itself: add {error.full_key}=... .") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
