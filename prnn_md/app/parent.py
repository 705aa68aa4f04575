"""Processes that do not outlive the one that started them, even if that is killed without a chance to say so."""

import os
import signal

PARENT = "PRNN_MD_PARENT"
"""The environment variable by which a parent tells its process id to a child that is to end with it."""

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel end this process when its parent ends; nothing where no parent asks for it by `PARENT`.

    To be called first of all by a child that was started with `PARENT`, the id of the parent, in its environment.
    The parent ends, for this, with the thread that started the child. Linux only; elsewhere nothing happens.
    """
    parent = os.environ.pop(PARENT, None)  # processes that this one starts are no business of that parent
    if parent is None or os.uname().sysname != "Linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it had ended before
        os.kill(os.getpid(), signal.SIGKILL)
