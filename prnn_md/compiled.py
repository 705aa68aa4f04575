"""How numba compiles the loops of cells, and where it keeps the result."""

import base64
import fcntl
import hashlib
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numba

FAST = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
    # said here, since a function that is compiled for a caller has the caller's options where it has none of its own
    "_nrt": True,
    "forceinline": False,
}
"""Options of compiled functions: arithmetic is fast but keeps inf and nan meaningful, division does not check."""

BARE = {**FAST, "_nrt": False}
"""Those of the innermost functions, which must not make or return arrays: references to arrays are not counted.

With all the arrays of a cell and a force field, counting takes as long as a part of the work.
"""

INLINED = {**BARE, "forceinline": True}
"""Those of innermost functions that do little for each time that they are called."""


class Kernel:
    """A compiled function that is called from Python, and whose results do not depend on who compiled it.

    In a process that compiles, the linker may take the code of an inner function from another place than in those that
    load the result later, and round differently. So another process compiles, and this one loads as all others do.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.dispatcher = numba.njit(**FAST)(function)
        self._lock = Lock()
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__

    def __call__(self, *arguments: Any) -> Any:
        if self.dispatcher.overloads:
            with suppress(TypeError):  # these arguments are of other types than those before
                return self.dispatcher(*arguments)
        self._load(tuple(numba.typeof(argument) for argument in arguments))
        return self.dispatcher(*arguments)

    def _load(self, types: tuple[Any, ...]) -> None:
        """Load what is compiled for arguments of these types, after it was compiled if need be."""
        with self._lock:
            if types in self.dispatcher.overloads:
                return
            cache, target = self.dispatcher._cache, self.dispatcher.targetctx
            with _one_process_at_a_time(Path(cache.cache_path) / f"{self.__module__}.{self.__name__}.lock"):
                if cache._index_key(types, target.codegen()) not in cache._cache_file._load_index():
                    _compile_elsewhere(self.__module__, self.__name__, types)
            if self.dispatcher.overloads:
                self.dispatcher.disable_compile(False)
            self.dispatcher.compile(types)  # this loads it; where nothing could be kept, it compiles
            self.dispatcher.disable_compile()


@contextmanager
def _one_process_at_a_time(lock: Path) -> Iterator[None]:
    """Within the block no other process compiles the kernel, so that those which start together do not all do it."""
    with ExitStack() as stack:
        with suppress(OSError):  # where nothing can be kept, each compiles for itself
            file = stack.enter_context(lock.open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile_elsewhere(module: str, name: str, types: tuple[Any, ...]) -> None:
    """Compile a kernel in another process, which keeps the result; without success it is compiled here, later."""
    words = base64.b64encode(pickle.dumps((module, name, types))).decode()
    command = "import sys; from prnn_md.compiled import compile_here; compile_here(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", command, words], env=environment, capture_output=True, check=False)


def compile_here(words: str) -> None:
    """What the other process does: compile the kernel that `_compile_elsewhere` names."""
    module, name, types = pickle.loads(base64.b64decode(words))
    getattr(importlib.import_module(module), name).dispatcher.compile(types)


# Four numbers in a row, such as a particle's coordinates, are then worked on in one instruction: twice the speed.
vars(numba.config)["SLP_VECTORIZE"] = 1


def _own_cache() -> None:
    """Keep compiled code in a folder of its own for every state of the sources.

    By itself numba looks at the file of a function only, and would go on using an old one that is called from
    a newer file.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    digest = hashlib.sha256()
    package = Path(__file__).parent
    folders = (package / "md" / "kernels", package / "materials" / "kernels")
    sources = [source for folder in folders for source in sorted(folder.glob("*.py"))]
    for source in [*sources, package / "md" / "failure.py", Path(__file__)]:
        digest.update(source.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "prnn_md" / f"compiled-{digest.hexdigest()[:16]}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        vars(numba.config)["CACHE_DIR"] = str(folder)


_own_cache()
