"""Processes that end with the one that started them, however that ends; Linux only, elsewhere nothing happens."""

import ctypes
import os
import signal
import sys

_PARENT = "PRNN_MD_PARENT"
_PR_SET_PDEATHSIG = 1


def tied_to_this_process() -> dict[str, str]:
    """Variables for the environment of a child that is to call `end_with_parent`."""
    return {_PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Receive SIGTERM as soon as the process that started this one, and tied it to itself, is gone."""
    parent = os.environ.pop(_PARENT, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it was gone before
        raise SystemExit(128 + signal.SIGTERM)
