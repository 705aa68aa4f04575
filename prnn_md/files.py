"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced_when_done(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, that takes its place once the block has succeeded and is on disk."""
    path = Path(path)
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, bytes(text, "utf-8"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path = Path(path)
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(path: Path, process: int) -> None:
    """Remove what a process of this machine, that is no more, was writing for `path` when it ended."""
    _temporary(path, process).unlink(missing_ok=True)


def _temporary(path: Path, process: int | None = None) -> Path:
    return path.with_name(f".{path.name}.{process or os.getpid()}.tmp")
