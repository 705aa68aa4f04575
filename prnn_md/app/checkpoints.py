"""Finds the checkpoint that a word of the command line means; free of torch."""

from pathlib import Path

from prnn_md.app.checking import ConfigError


def checkpoint_file(place: str) -> Path:
    """The full path of a checkpoint: the file itself, or the best one of a run folder.

    Raises ConfigError if there is none.
    """
    path = Path(place).expanduser().absolute()
    if path.is_file():
        return path
    best = path / "checkpoints" / "best.ckpt"
    if not best.is_file():
        missing = "there is no such file or folder" if not path.exists() else "there is no checkpoints/best.ckpt in it"
        raise ConfigError(f"ckpt={place}: {missing}. Name a checkpoint, or the folder of a run that has been trained.")
    return best
