"""Processes that end with the one that started them, however that ends; Linux only, elsewhere nothing happens."""

import os
import signal
import sys

_PARENT = "PRNN_MD_PARENT"
_PR_SET_PDEATHSIG = 1


def tied_to_this_process(by: signal.Signals = signal.SIGTERM) -> dict[str, str]:
    """Variables for the environment of a child that calls `end_with_parent`, and is to get the signal `by` then.

    For this the parent ends with the thread that starts the child.
    """
    return {_PARENT: f"{os.getpid()} {int(by)}"}


def end_with_parent() -> None:
    """Have the kernel signal this process as soon as the one that started it, and tied it to itself, is gone.

    To be called first of all.
    """
    tie = os.environ.pop(_PARENT, None)  # processes that this one starts are no business of that parent
    if tie is None or not sys.platform.startswith("linux"):
        return
    import ctypes

    parent, by = map(int, tie.split())
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it had ended before
        raise SystemExit(128 + by)
