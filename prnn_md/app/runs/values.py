"""What runs can be listed, filtered and sorted by: every value of a run has a key."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from prnn_md.app.names import dataset_name, md_names, model_name
from prnn_md.app.records import Record

Value = Any
"""A number, a text, a truth value or a list; None where there is nothing."""

_OTHERWISE_SHOWN = ("metrics", "rows", "paths", "files", "traceback")
"""Keys of result.json that are no single values."""


class UnknownKey(ValueError):
    """A key that none of the runs has; the message names near ones."""


def value(record: Record, key: str) -> Value:
    """The value of a key: one of NAMES, a metric, or a dotted key of config.yaml or result.json; else None."""
    if key in NAMES:
        return NAMES[key](record)
    if key in record.metrics:
        return record.metrics[key]
    found = _below(record.config, key)
    return _below(record.result, key) if found is None else found


def check_keys(records: Sequence[Record], keys: Iterable[str]) -> None:
    """Raises UnknownKey for the first key that none of the runs has."""
    for key in keys:
        if key not in NAMES and records and not any(key in keys_of(record) for record in records):
            known = sorted(set().union(*map(keys_of, records)))
            near = [name for name in known if name.split(".")[-1] == key]
            near += difflib.get_close_matches(key, known, n=3, cutoff=0.5)
            guess = f"Did you mean {' or '.join(list(dict.fromkeys(near))[:3])}? " if near else ""
            raise UnknownKey(f"{key}: none of the runs has such a key.\n{guess}`prnn-md runs keys` lists all.")


def keys_of(record: Record) -> set[str]:
    """All keys of a run."""
    told = {name: item for name, item in record.result.items() if name not in _OTHERWISE_SHOWN}
    return {*NAMES, *record.metrics, *flat(record.config), *flat(told)}


def flat(tree: Mapping[str, Any], path: str = "") -> dict[str, Value]:
    """The leaves of nested dictionaries by their dotted keys."""
    leaves: dict[str, Value] = {}
    for name, item in tree.items():
        full = f"{path}.{name}" if path else str(name)
        leaves |= flat(item, full) if isinstance(item, dict) else {full: item}
    return leaves


def _below(tree: Any, key: str) -> Value:
    """The leaf at a dotted key, None where there is none."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return None if isinstance(tree, dict) else tree


def _time(record: Record) -> Value:
    spent = record.result.get("wall_s")
    return round(sum(spent.values()), 3) if spent else None


def _sweep(record: Record) -> Value:
    return record.sweep.name if record.sweep else None


NAMES: dict[str, Callable[[Record], Value]] = {
    "folder": lambda record: str(record.folder),
    "sweep": _sweep,
    "label": lambda record: record.result["label"],
    "model": lambda record: model_name(record.config),
    "md": lambda record: "+".join(md_names(record.config)) or None,
    "dataset": lambda record: dataset_name(record.config),
    "n_train": lambda record: record.result.get("n_train"),
    "seed": lambda record: record.result["seed"],
    "status": lambda record: record.status,
    "time": _time,
    "started": lambda record: record.result["started"],
}
"""Values that are put together, or have a shorter name than in the configuration; `time` is in s."""
