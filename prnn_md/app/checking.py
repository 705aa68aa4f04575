"""The check of a plain configuration against its schema, with one message that says what is wrong."""

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from prnn_md.app.fields import Target, members, registered_targets, shown


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, the value and what is allowed."""


def check_parent(file: Path) -> None:
    """Raises ConfigError for a file to be written whose folder is not there, before any work is done for it."""
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"out={file}: there is no folder {file.absolute().parent}: make it, or choose another.")


def check_fields(schema: type, value: Any, path: str = "", only: Sequence[str] = ()) -> None:
    """Check a plain nested dictionary against a dataclass; raises ConfigError at the first fault.

    `only` names the fields to look at, by default all; then unknown keys are faults too.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{_assignment(path, value)}: a group of keys is expected here.")
    types_of = typing.get_type_hints(schema)
    fields = {field.name: field for field in dataclasses.fields(schema) if not only or field.name in only}
    for name in value if not only else ():
        if name not in fields and not (name in ("_target_", "_partial_") and issubclass(schema, Target)):
            message = f"{_assignment(_join(path, name), value[name])}: there is no such key."
            raise ConfigError(f"{message}\n{alternatives(str(name), fields, path, is_key=True)}")
    for name, field in fields.items():
        if name in value:
            _check_value(types_of[name], value[name], _join(path, name), field.metadata)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{_join(path, name)} is missing: {field.metadata['help']}")


def alternatives(wrong: str, allowed: Iterable[str], path: str = "", is_key: bool = False) -> str:
    """Two lines at most: the nearest names, and all that are allowed at the path (for a key: below it)."""
    names = list(allowed)
    near = difflib.get_close_matches(wrong, names, n=2, cutoff=0.6)
    guess = " or ".join(_join(path, name) if is_key else name for name in near)
    place = f" {'in' if is_key else 'for'} {path}" if path else ""
    return f"{f'Did you mean {guess}?' if guess else ''}\nAllowed{place}: {', '.join(names) or 'nothing'}.".lstrip("\n")


def _check_value(kind: Any, value: Any, path: str, metadata: Any) -> None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:  # a node of another library, which checks it itself
        return
    if len(members(kind)) > 1:
        _check_union(members(kind), value, path, metadata)
    elif origin is Literal:
        if value not in arguments:
            allowed = [str(argument) for argument in arguments]
            raise ConfigError(f"{_assignment(path, value)}: unknown.\n{alternatives(str(value), allowed, path)}")
    elif origin is list:
        _require(isinstance(value, list), path, value, "a list")
        for index, item in enumerate(value):
            _check_value(arguments[0], item, f"{path}[{index}]", metadata)
    elif origin is dict:
        _require(isinstance(value, dict), path, value, "a group of keys")
        for name, item in value.items():
            _check_value(arguments[1], item, _join(path, name), metadata)
    elif dataclasses.is_dataclass(kind):
        _check_node(typing.cast(type, kind), value, path)
    else:
        _check_number(kind, value, path, metadata)


def _check_union(kinds: tuple[Any, ...], value: Any, path: str, metadata: Any) -> None:
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return _check_value(kind, value, path, metadata)
        except ConfigError:
            continue
    try:
        _check_value(others[-1], value, path, metadata)
    except ConfigError as error:
        if others[-1] not in _EXPECTED or type(None) not in kinds:
            raise
        raise ConfigError(f"{str(error).rstrip('.')}, or null.") from None


def _check_node(schema: type, value: Any, path: str) -> None:
    if not issubclass(schema, Target):
        check_fields(schema, value, path)
        return
    _require(isinstance(value, dict), path, value, "a group of keys")
    allowed = registered_targets(schema)
    target = value.get("_target_")
    if target not in allowed:
        full = f"{path}._target_"
        raise ConfigError(f"{_assignment(full, target)}: unknown here.\n{alternatives(str(target), allowed, full)}")
    partial = allowed[target].partial
    if value.get("_partial_", False) is not partial:
        raise ConfigError(f"{_assignment(f'{path}._partial_', value.get('_partial_'))}: must be {shown(partial)}.")
    check_fields(allowed[target], value, path)


_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _check_number(kind: Any, value: Any, path: str, metadata: Any) -> None:
    accepted = (int, float) if kind is float else kind
    right = isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))
    _require(right, path, value, _EXPECTED[kind] + _bounds(metadata))
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high, above = metadata.get("low"), metadata.get("high"), metadata.get("above")
        inside = (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)
        _require(inside, path, value, _EXPECTED[kind] + _bounds(metadata))


def _bounds(metadata: Any) -> str:
    parts = [
        f"{word} {metadata[name]:g}"
        for name, word in (("low", "at least"), ("above", "above"), ("high", "at most"))
        if metadata.get(name) is not None
    ]
    return f" {' and '.join(parts)}" if parts else ""


def _require(condition: bool, path: str, value: Any, expected: str) -> None:
    if not condition:
        raise ConfigError(f"{_assignment(path, value)}: expected {expected}.")


def _assignment(path: str, value: Any) -> str:
    return f"{path}={shown(value)}"


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)
