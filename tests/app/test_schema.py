"""The schema says the same as the constructors and as the option files."""

import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest
from hydra.utils import get_object

from prnn_md.app.composition import groups
from prnn_md.app.fields import Target, registered_targets
from prnn_md.app.overrides import checked_config
from prnn_md.app.schema import MODEL_KEYS, TrainConfig

OURS = {name: schema for name, schema in registered_targets().items() if name.startswith(("prnn_md.", "torch."))}
NODES = {name: schema for name, schema in OURS.items() if schema.__module__.startswith("prnn_md.")}


def default_of(field: Field) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def parameters_of(schema: type[Target]) -> dict[str, Any]:
    """Defaults of the constructor's parameters that the configuration gives, by name; MISSING without one."""
    parameters = inspect.signature(get_object(schema.target)).parameters
    assert set(schema.given) <= set(parameters), f"{schema.target} is not given {schema.given}"
    return {
        name: MISSING if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
        if name not in schema.given
    }


@pytest.mark.parametrize("target", NODES)
def test_schema_equals_constructor(target: str) -> None:
    schema = NODES[target]
    ours = {field.name: default_of(field) for field in fields(schema)}
    theirs = parameters_of(schema)
    if schema.subset:
        assert set(ours) <= set(theirs)
        assert {name for name, default in theirs.items() if default is MISSING} <= set(ours)
        return
    assert list(ours) == list(theirs)
    for name, default in theirs.items():
        assert ours[name] == default, name


@pytest.mark.parametrize("model", groups()["model"])
def test_options_write_every_key_of_their_nodes(model: str) -> None:
    """So that every key can be overridden on the command line without a plus sign."""

    def check(node: Any, path: str) -> None:
        if isinstance(node, dict):
            schema = NODES.get(node.get("_target_", ""))
            if schema is not None:
                written = set(node) - {"_target_", "_partial_"}
                assert written == {field.name for field in fields(schema)}, path
            for name, value in node.items():
                check(value, f"{path}.{name}")

    check(checked_config([f"model={model}"]), "config")


def test_model_keys_are_keys() -> None:
    assert set(MODEL_KEYS) < {field.name for field in fields(TrainConfig)}


def test_every_key_is_explained() -> None:
    for schema in (TrainConfig, *NODES.values()):
        for field in fields(schema):
            assert field.metadata["help"], f"{schema.__name__}.{field.name}"
