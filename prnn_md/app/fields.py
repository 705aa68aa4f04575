"""Typed, bounded and documented fields: the words in which the schema of a configuration is written.

Only the standard library is used, so that a wrong key is answered before anything heavy is imported.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass
class Target:
    """A node of the configuration that builds an object: the keys of its class are the arguments.

    `target` is the dotted path in `_target_`; `partial` says whether the job gives the remaining arguments,
    which are named in `given`. `subset` marks a class of another library, whose other arguments keep their
    defaults.
    """

    target: ClassVar[str] = ""
    partial: ClassVar[bool] = False
    given: ClassVar[tuple[str, ...]] = ()
    subset: ClassVar[bool] = False


def key(
    help: str,
    default: Any = dataclasses.MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """A field with a one-line explanation and bounds: low <= value <= high, value > above."""
    metadata = {"help": help, "low": low, "high": high, "above": above}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def registered_targets(kind: type[Target] = Target) -> dict[str, type[Target]]:
    """All classes below `kind` that build an object, by their dotted path."""
    found = {kind.target: kind} if "target" in vars(kind) and kind.target else {}
    for subclass in kind.__subclasses__():
        found.update(registered_targets(subclass))
    return found


def members(kind: Any) -> tuple[Any, ...]:
    """The types that a union is made of; any other type alone."""
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    return typing.get_args(kind) if is_union else (kind,)


def leaves(schema: type, value: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted key, value and explanation of all that a plain nested dictionary holds, in the schema's order."""
    types_of = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if field.name in value:
            full = f"{path}.{field.name}" if path else field.name
            yield from _leaves(types_of[field.name], value[field.name], full, field.metadata["help"])


def _leaves(kind: Any, value: Any, path: str, help: str) -> Iterator[tuple[str, Any, str]]:
    for member in members(kind) if isinstance(value, dict) else ():
        if typing.get_origin(member) is dict:
            for name, item in value.items():
                yield from _leaves(typing.get_args(member)[1], item, f"{path}.{name}", help)
            return
        if dataclasses.is_dataclass(member):
            schema = typing.cast(type, member)
            known = registered_targets(schema) if issubclass(schema, Target) else {}
            yield from leaves(known.get(value.get("_target_"), schema), value, path)
            return
    yield path, value, help


def shown(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(shown(item) for item in value)}]"
    return "{...}" if isinstance(value, dict) else str(value)
