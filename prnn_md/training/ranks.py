"""Ranks: the processes that train one model together, how they find each other, talk, and fail.

Every rank is started by somebody else (`prnn_md.app.ranks`, or a scheduler) with RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT in its environment. Rank 0 leads: it tells the others what to fit next. All talk goes through one process
group, which is made at the start and which Lightning takes as it is.
"""

import hashlib
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined] # of torch._C

LISTENER = "PRNN_MD_LISTENER"
"""The environment variable with the socket, open in rank 0 already, at which it awaits the others; without it, rank 0
opens one."""

ENVIRONMENT = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables that tell a process which rank it is."""

START = timedelta(minutes=30)
"""How long ranks wait for each other to start."""

PATIENCE = timedelta(days=7)
"""How long ranks wait for each other, since rank 0 also evaluates while the others wait."""

_FIRST = "first failure"


class RankFailed(RuntimeError):
    """A training that ended because another rank failed; the message says which, and why."""


@dataclass(frozen=True)
class Ranks:
    """The group of this process: its own number, how many there are, and the store that all can read."""

    rank: int
    world: int
    store: Store

    def tell(self, task: Any) -> None:
        """Tell the others, which wait in `told`, something; called by rank 0."""
        dist.broadcast_object_list([task], src=0)

    def told(self) -> Any:
        """Wait for what rank 0 tells."""
        heard = [None]
        dist.broadcast_object_list(heard, src=0)
        return heard[0]

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Within the block the first error of any rank ends all: on the others it becomes a RankFailed."""
        try:
            yield
        except Exception as error:
            first = self._first_failure(error)
            if first == self.rank or isinstance(error, RankFailed):
                raise
            raise self._failure_of(first) from error

    def _first_failure(self, error: Exception) -> int | None:
        """The rank that failed first; None where one was lost without a word."""
        lost = is_lost_connection(error)
        try:
            if lost:
                return int(self.store.get(_FIRST)) if self.store.check([_FIRST]) else None
            self.store.set(f"message {self.rank}", str(error))
            self.store.set(f"traceback {self.rank}", "".join(traceback.format_exception(error)))
            return int(self.store.compare_set(_FIRST, "", str(self.rank)))
        except RuntimeError:  # rank 0, which keeps the store, is gone
            return None if lost else self.rank

    def _failure_of(self, rank: int | None) -> RankFailed:
        if rank is None:
            return RankFailed("Another rank was lost without a word: killed, out of memory, or its machine is gone.")
        failure = RankFailed(f"Rank {rank}: {self.store.get(f'message {rank}').decode()}")
        failure.add_note(self.store.get(f"traceback {rank}").decode())
        return failure


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error only says that another rank does not answer any more."""
    by_name = isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL"))
    return by_name or isinstance(error, dist.DistError)


@contextmanager
def joined(accelerator: str) -> Iterator[Ranks]:
    """Within the block this process is one of the ranks that its environment tells of; waits for all of them.

    Raises ValueError where the environment tells of none.
    """
    missing = [name for name in ENVIRONMENT if name not in os.environ]
    if missing:
        raise ValueError(f"Several devices need a process each, and this is none of them: {missing[0]} is not set.")
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    listener = os.environ.pop(LISTENER, None) if rank == 0 else None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(
        address,
        port,
        world,
        is_master=rank == 0,
        timeout=START,
        master_listen_fd=None if listener is None else int(listener),
    )
    backend = "cpu:gloo,cuda:nccl" if accelerator == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=PATIENCE)
    try:
        yield Ranks(rank, world, store)
    finally:
        dist.destroy_process_group()


def total(numbers: Tensor) -> Tensor:
    """The sum over all ranks, exactly the same on each; of this process alone where there are no others."""
    summed = numbers.clone()
    if dist.is_initialized():
        dist.all_reduce(summed)
    return summed


def require_agreement(what: str, ours: str) -> None:
    """Raises RankFailed unless all ranks say the same."""
    if not dist.is_initialized():
        return
    said: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(said, ours)
    if len(set(said)) > 1:
        wrong = next(rank for rank, other in enumerate(said) if other != said[0])
        raise RankFailed(f"Ranks 0 and {wrong} have different {what}: {said[0]} and {said[wrong]}.")


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 of all weights, equal only where they are equal to the last bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
