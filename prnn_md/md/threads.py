"""How many kernels work side by side where nobody says a number."""

import os

THREADS = "PRNN_MD_THREADS"
"""The environment variable by which processes share a machine out: the threads of each."""


def default_threads() -> int:
    """The number in the environment's PRNN_MD_THREADS, without it the number of cores.

    Raises ValueError for what is no number above zero.
    """
    asked = os.environ.get(THREADS)
    if asked is None:
        return len(os.sched_getaffinity(0))
    if not asked.isascii() or not asked.isdigit() or int(asked) < 1:
        raise ValueError(f"The environment variable {THREADS} is a number of threads, at least 1; got '{asked}'.")
    return int(asked)
