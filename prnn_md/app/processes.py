"""Whether the process that wrote a ledger still lives, though numbers of processes are used again."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_START = 19  # of the fields of /proc/<number>/stat after the name: clock ticks since boot, see proc(5)


def start_of(process: int) -> str | None:
    """What tells a process of this machine from later ones of the same number; None where that is not known."""
    with suppress(OSError, IndexError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
        return f"{boot} {fields[_START]}"
    return None


def is_alive(result: Mapping[str, Any]) -> bool:
    """Whether the process of a ledger of this machine lives."""
    process, start = result["process"], result.get("process_start")
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return start is None or start_of(process) in (None, start)
