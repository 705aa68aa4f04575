"""`prnn-md generate`: make a dataset with reference simulations, from strain paths to an HDF5 file."""

import sys
from collections.abc import Sequence
from pathlib import Path

from prnn_md.app.checking import ConfigError
from prnn_md.app.generate_config import generate_config, help_text

EXIT_CONFIG = 2
USAGE = """usage: prnn-md generate [--estimate] [group=option] [key=value] ...

Makes the samples and the stresses of a dataset. What is finished lies in the label store, so that repeating the
command goes on after any interruption. --estimate says what is left to do, from a few labels that it times and keeps.
"""


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md generate`; returns the exit code."""
    overrides = [word for word in words if not word.startswith("-")]
    flags = set(words) - set(overrides)
    try:
        if flags & {"--help", "-h"}:
            print(f"{USAGE}\n{help_text(overrides)}")
            return 0
        if flags - {"--estimate"}:
            raise ConfigError(f"{min(flags - {'--estimate'})}: there is no such option.\n\n{USAGE}")
        config = generate_config(overrides)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if Path(config["output"]).exists():
        raise ValueError(f"{config['output']} is there already: choose another output, or remove it to make it again.")
    from prnn_md.app.generation import Generation

    generation = Generation(config)
    if "--estimate" in flags:
        print(generation.estimate())
    else:
        generation.run()
        print(config["output"])
    return 0
