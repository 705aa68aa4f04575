"""How a command says what went wrong."""

import os
import sys
import traceback

EXIT_FAILED, EXIT_CONFIG, EXIT_INTERRUPTED = 1, 2, 130
"""Exit codes of commands: the work has failed, it was not begun because of the words, it was asked to stop."""


def report(error: Exception, further: str = "") -> None:
    """One message on standard error for what the user can mend, with the traceback before it for the rest.

    Errors of this package, wrong values and unusable files can be mended. HYDRA_FULL_ERROR=1 always asks for the
    traceback.
    """
    ours = type(error).__module__.startswith("prnn_md.")
    expected = ours or isinstance(error, ValueError | OSError)
    if not expected or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    print(f"error: {error}", *[further] * bool(further), sep="\n", file=sys.stderr)
