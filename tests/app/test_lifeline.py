"""A process ends with the one that has tied it to itself."""

import os
import subprocess
import sys
import time
from contextlib import suppress

from prnn_md.app.lifeline import tied_to_this_process

CHILD = "from prnn_md.app.lifeline import end_with_parent; end_with_parent(); print('ready', flush=True)"
WAITING = f"{CHILD}; import time; time.sleep(60)"
PARENT = f"""
import os, subprocess, sys, time
from prnn_md.app.lifeline import tied_to_this_process
child = subprocess.Popen([sys.executable, "-c", {WAITING!r}], env={{**os.environ, **tied_to_this_process()}})
print(child.pid, flush=True)
time.sleep(60)
"""


def is_there(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_a_child_does_not_outlive_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        assert is_there(child)
        parent.kill()
        until = time.monotonic() + 20.0
        while is_there(child) and time.monotonic() < until:
            time.sleep(0.05)
        assert not is_there(child)


def test_a_child_whose_parent_is_gone_already_does_not_begin() -> None:
    untied = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert untied.stdout == "ready\n"
    other = os.environ | {name: value.replace(str(os.getpid()), "1") for name, value in tied_to_this_process().items()}
    gone = subprocess.run([sys.executable, "-c", CHILD], env=other, capture_output=True, text=True)
    assert (gone.returncode, gone.stdout) == (143, "")
