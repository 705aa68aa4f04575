"""Configurations as flat tables of keys and short texts, in which they can be compared."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from prnn_md.training.seeding import resolve_seeds

FlatConfig = dict[str, str]
"""Short text of the value of every key, such as {"optimizer": "Adam", "optimizer.lr": "0.01"}."""


def flat_config(config: dict[str, Any]) -> FlatConfig:
    """The configuration with dots in its keys; what is built goes by the name of its class, md by its cells."""
    found = dict(_leaves(config, ""))
    if config.get("md"):
        found["md"] = "+".join(config["md"])
    return found


def _leaves(node: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        place = f"{path}.{name}" if path else name
        if name == "_target_":
            yield path, str(value).rpartition(".")[2]
        elif isinstance(value, dict):
            yield from _leaves(value, place)
        elif name != "_partial_":
            yield place, text(value)


def text(value: Any) -> str:
    """A value as one would type it on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(text, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def is_seed(key: str) -> bool:
    """Whether a key holds a seed."""
    return key.startswith("seeds.") or key.rpartition(".")[2] == "seed"


def without_derived_seeds(config: FlatConfig) -> FlatConfig:
    """The configuration with the seed that was given, and of the others those that do not follow from it."""
    derived = resolve_seeds(int(config["seed"]))
    kept = {key: value for key, value in config.items() if key == "seed" or not is_seed(key)}
    own = {key: config.get(f"seeds.{key}") for key in derived}
    return kept | {f"seeds.{key}": own[key] or "" for key in derived if own[key] not in (None, str(derived[key]))}


def varied_values(configs: Sequence[FlatConfig]) -> dict[str, Counter[str]]:
    """Keys that have more than one value where they are there at all, with the number of times of each value."""
    counts: dict[str, Counter[str]] = {}
    for config in configs:
        for key, value in config.items():
            counts.setdefault(key, Counter())[value] += 1
    return {key: values for key, values in counts.items() if len(values) > 1}


def differences(config: FlatConfig, varied: dict[str, Counter[str]]) -> FlatConfig:
    """What is not as in most of the configurations that have the key."""
    return {
        key: config[key]
        for key, values in varied.items()
        if key in config and config[key] != values.most_common(1)[0][0]
    }


def short_text(config: FlatConfig) -> str:
    """Keys and values in one line, numbers with four digits."""
    return ", ".join(f"{key}={_rounded(value)}" for key, value in config.items())


def _rounded(value: str) -> str:
    try:
        return value if len(value) < 8 else f"{float(value):.4g}"
    except ValueError:
        return value
