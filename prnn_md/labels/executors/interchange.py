"""Parsl's interchange, which passes messages between a command and its workers, made to end with the command.

Parsl's own waits for ever when the command is killed, and its workers with it.

    python -m prnn_md.labels.executors.interchange COMMAND, a process id, and what Parsl sends on the standard input
"""

import os
import runpy
import signal
import sys
import threading
import time


def main(command: int) -> None:
    """Pass messages as long as the process `command`, which has started this one, is there."""
    threading.Thread(target=_end_with, args=(command,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which then ends this process
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")


def _end_with(command: int) -> None:
    while os.getppid() == command:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
