"""How numba compiles the functions of this folder, and where it keeps the result."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

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
    folder = Path(__file__).parent
    for source in [*sorted(folder.glob("*.py")), folder.parent / "failure.py"]:
        digest.update(source.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "prnn_md" / f"compiled-{digest.hexdigest()[:16]}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        vars(numba.config)["CACHE_DIR"] = str(folder)


_own_cache()
