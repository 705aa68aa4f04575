"""Composes and checks the configuration of `prnn-md generate` from the groups in conf/generate/."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prnn_md.app.checking import ConfigError, alternatives, check_fields
from prnn_md.app.composition import config_dir
from prnn_md.app.fields import leaves, shown
from prnn_md.app.schema_generate import GenerateConfig


def groups_of_generate() -> dict[str, list[str]]:
    """The options of every configuration group of `prnn-md generate`."""
    root, found = config_dir() / "generate", dict[str, list[str]]()
    for file in sorted(root.rglob("*.yaml")):
        if file.parent != root:
            found.setdefault(file.parent.relative_to(root).as_posix(), []).append(file.stem)
    return found


def generate_config(words: Sequence[str]) -> dict[str, Any]:
    """The resolved, checked configuration of a command line; ConfigError says what is wrong with it."""
    groups = groups_of_generate()
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"'{word}' is not understood: write key=value or group=option.")
        if name in groups and value not in groups[name]:
            raise ConfigError(f"{word}: there is no such option.\n{alternatives(value, groups[name], name)}")
    try:
        with initialize_config_dir(str(config_dir() / "generate"), version_base="1.3"):
            config = compose("generate", list(words))
        plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except HydraException as error:
        raise ConfigError(f"{str(error).splitlines()[0]} `prnn-md generate --help` lists all keys.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    check_fields(GenerateConfig, plain)
    for key in ("output", "store"):
        plain[key] = str(Path(plain[key]).expanduser())
    return plain


def help_text(words: Sequence[str]) -> str:
    """All groups with their options, and all keys with their values as the words set them."""
    lines = ["Groups (group=option):"]
    lines += [f"  {name:<20}{', '.join(options)}" for name, options in groups_of_generate().items()]
    lines += ["", "Keys (key=value):"]
    config = generate_config(words)
    lines += [f"  {f'{key}={shown(value)}':<44} {help}" for key, value, help in leaves(GenerateConfig, config)]
    return "\n".join(lines)
