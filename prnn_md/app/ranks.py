"""Starts the ranks of a run on this machine, one fresh process for each device, and sees them end together.

Every rank runs the same command as a plain single run in the same folder. They are never forked, because the threads
of the compiled kernels would not survive it, and Lightning does not start them, because it would repeat the whole
command line, sweep and all. Nothing here needs torch.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import folder_word
from prnn_md.app.hardware import world_size
from prnn_md.app.ledger import Interrupted
from prnn_md.app.lifeline import tied_to_this_process
from prnn_md.md.threads import THREADS, default_threads

LISTENER = "PRNN_MD_LISTENER"
"""The environment variable with the open socket at which rank 0 awaits the others, so that none can take its port."""

TO_TELL, TO_END = 60.0, 10.0
"""Seconds that rank 0 has to notice and tell that another is lost, and that the others have to end after rank 0."""

Process = subprocess.Popen[bytes]


class RanksLost(RuntimeError):
    """Ranks that ended without telling why; the message names the first one."""


def is_rank() -> bool:
    """Whether somebody has started this process as one of several ranks."""
    return "LOCAL_RANK" in os.environ


def leads() -> bool:
    """Whether this process is rank 0, or alone."""
    return os.environ.get("RANK", "0") == "0"


def run_ranks(words: Sequence[str], folder: Path, hardware: Mapping[str, Any]) -> int:
    """Run `train` with these words on all devices of the hardware, in one folder; returns the exit code of rank 0.

    Raises as `run_together`, and ConfigError for several machines, on which a scheduler starts the ranks.
    """
    if hardware["nodes"] > 1:
        raise ConfigError(
            f"hardware.nodes={hardware['nodes']}: ranks on several machines are started by the scheduler. "
            "Submit the run as a job of the cluster, or take hardware.nodes=1."
        )
    command = [sys.executable, "-m", "prnn_md", "train", *words, folder_word("hydra.run.dir", folder)]
    return run_together(command, world_size(hardware))


def run_together(command: Sequence[str], world: int) -> int:
    """Start a command once for each of `world` ranks, and wait for all; returns the exit code of rank 0.

    SIGTERM and SIGINT go to rank 0, and when one rank ends all do. Called from a thread, the ranks end with that, and
    no signals go on. Raises RanksLost, or Interrupted after a signal, if rank 0 could not tell how it ended.
    """
    ranks: list[Process] = []
    with _forwarded(ranks) as forwarded:
        try:
            _start(command, world, ranks)
            first = _first_to_end(ranks)
            _wait(ranks, first)
        finally:
            _end(ranks)
    code = ranks[0].returncode
    if code >= 0:
        return code
    if forwarded:
        raise Interrupted(forwarded[0])
    raise RanksLost(f"{_how(ranks, first)}; all ranks are ended.")


def _start(command: Sequence[str], world: int, ranks: list[Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shared = {
            "WORLD_SIZE": str(world),
            "NODE_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(listener.getsockname()[1]),
            **tied_to_this_process(signal.SIGKILL),
            THREADS: str(max(1, default_threads() // world)),
        }
        quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR", "GLOO_SOCKET_IFNAME": "lo"}
        for rank in range(world):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            own |= {LISTENER: str(listener.fileno())} if rank == 0 else {}
            ranks.append(
                subprocess.Popen(
                    command,
                    env=quiet | dict(os.environ) | shared | own,
                    pass_fds=[listener.fileno()] if rank == 0 else [],
                    process_group=0,  # Ctrl-C in a terminal reaches the parent only, which forwards it once
                )
            )


def _first_to_end(ranks: Sequence[Process]) -> int:
    while True:
        for number, rank in enumerate(ranks):
            if rank.poll() is not None:
                return number
        time.sleep(0.05)


def _wait(ranks: Sequence[Process], first: int) -> None:
    """Give rank 0 time to tell that another is lost, and then the others time to end.

    Only of a rank that was ended from outside rank 0 does not know more.
    """
    if first != 0 and ranks[first].returncode < 0:
        print(f"{_how(ranks, first)}.", file=sys.stderr, flush=True)
    for rank, seconds in zip(ranks, (TO_TELL, *[TO_END] * (len(ranks) - 1)), strict=True):
        try:
            rank.wait(seconds)
        except subprocess.TimeoutExpired:
            return


def _end(ranks: Sequence[Process]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()
        rank.wait()


def _how(ranks: Sequence[Process], number: int) -> str:
    code = ranks[number].returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"Rank {number} {how}"


@contextmanager
def _forwarded(ranks: Sequence[Process]) -> Iterator[list[str]]:
    """Within the block SIGTERM and SIGINT go on to rank 0; yields the names of those that came."""
    came: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def forward(number: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(number).name)
        for rank in ranks[:1]:
            rank.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
