"""What a configuration is about in a word each: its model, its cells, its data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def model_name(config: Mapping[str, Any]) -> str | None:
    """The model in the words of the command line: the kind of a baseline, else the name of the class."""
    model = config.get("model") or {}
    return model.get("kind") or model.get("_target_", "").rsplit(".", 1)[-1].lower() or None


def md_names(config: Mapping[str, Any]) -> list[str]:
    """The names of what a PRNN embeds."""
    return list(config.get("md") or {})


def dataset_name(config: Mapping[str, Any]) -> str | None:
    """The name of a shipped dataset, or of the file without its ending."""
    path = (config.get("dataset") or {}).get("path")
    return Path(path).stem if path else None
