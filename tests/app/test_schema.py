"""The schema says the same as the constructors and as the option files."""

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

import pytest
from hydra.utils import get_object

from prnn_md.app.composition import groups
from prnn_md.app.fields import Target, members, registered_targets
from prnn_md.app.generate_config import generate_config, groups_of_generate
from prnn_md.app.overrides import checked_config
from prnn_md.app.schema import MODEL_KEYS, Hardware, Seeds, TrainConfig, Training
from prnn_md.app.schema_generate import GenerateConfig

OURS = {name: schema for name, schema in registered_targets().items() if name.startswith(("prnn_md.", "torch."))}
NODES = {name: schema for name, schema in OURS.items() if schema.__module__.startswith("prnn_md.")}
OPTIONS = [(group, option) for group, options in groups().items() for option in options]
PLAIN = {"config.seeds": Seeds, "config.training": Training, "config.hardware": Hardware}
"""Groups of keys that build nothing."""


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


NEEDED = {
    "fibre": ["dataset.path=a.data"],
    "glassy_polymer": ["dataset.path=a.data"],
    "files": ["md.files.data=a.data", "md.files.force_field=b.yaml", "md.files.types=[A]"],
    "composite": ["dataset.path=a.data"],
    "stiffer_cells": ["md=polymer"],
    "colder_cells": ["md=polymer", "md/dynamics=langevin", "dynamics.temperature=0.2"],
}
"""Words without which an option is not complete."""


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_options_write_every_key_of_their_nodes(group: str, option: str) -> None:
    """So that every key can be overridden on the command line without a plus sign, and every default be read."""
    beside = {"md/dynamics": ["md=polymer"]}.get(group, []) + NEEDED.get(option, [])
    config = checked_config([*beside, f"{group}={option}"])
    assert missing_keys(TrainConfig, config) <= set(MODEL_KEYS), "only parts of other models are absent"
    for path, schema, node in nodes("config", config):
        assert missing_keys(schema, node) == set(), path
    built = config.get(group, {}).get("_target_")
    assert built is None or built in registered_targets(kind_of(group)), "no encoder among the decoders"


def kind_of(group: str) -> type[Target]:
    kind: type[Target] = members(get_type_hints(TrainConfig)[group])[0]
    return kind


def test_keys_that_an_option_leaves_out_are_noticed() -> None:
    """Without the default of an optional key, the check of a configuration accepts it, but this one does not."""
    config = checked_config(["model=prnn", "md=polymer"])
    del config["md"]["polymer"]["dynamics"]["on_failure"]
    del config["hardware"]["torch_threads"]
    found = {path: missing_keys(schema, node) for path, schema, node in nodes("config", config)}
    assert found["config.md.polymer.dynamics"] == {"on_failure"}
    assert found["config.hardware"] == {"torch_threads"}
    assert found["config.md.polymer"] == set()


def nodes(path: str, node: Any) -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Dotted path, schema and content of all groups of keys below a configuration that have a schema."""
    if not isinstance(node, dict):
        return
    schema = PLAIN.get(path) or registered_targets().get(node.get("_target_", ""))
    assert schema is not None or "_target_" not in node, f"{path} builds {node['_target_']}, which no schema knows"
    if schema is not None:
        yield path, schema, node
    for name, value in node.items():
        yield from nodes(f"{path}.{name}", value)


def missing_keys(schema: type, node: dict[str, Any]) -> set[str]:
    assert set(node) - {"_target_", "_partial_"} <= {field.name for field in fields(schema)}
    return {field.name for field in fields(schema)} - set(node)


def test_model_keys_are_keys() -> None:
    assert set(MODEL_KEYS) < {field.name for field in fields(TrainConfig)}


def test_every_key_is_explained() -> None:
    for schema in (TrainConfig, *PLAIN.values(), *NODES.values()):
        for field in fields(schema):
            assert field.metadata["help"], f"{schema.__name__}.{field.name}"


@pytest.mark.parametrize("dataset", groups_of_generate()["dataset"])
def test_a_dataset_to_generate_chooses_its_reference(dataset: str) -> None:
    config = generate_config([f"dataset={dataset}"])
    assert missing_keys(GenerateConfig, config) == set()
    hot = config["reference"]["dynamics"]["_target_"].endswith("Thermal")
    assert bool(config["dataset"]["rates"]) == hot


@pytest.mark.parametrize("executor", groups_of_generate()["executor"])
def test_every_executor_can_be_chosen(executor: str) -> None:
    partition = ["executor.provider.partition=short"] if executor == "slurm" else []
    assert missing_keys(GenerateConfig, generate_config([f"executor={executor}", *partition])) == set()
