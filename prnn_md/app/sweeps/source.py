"""What the jobs of a sweep are, one after the other: the interface, and a list that is known before."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.plan import values_of, varied


class Source(Protocol):
    """Says which job is next, and hears what came of it."""

    @property
    def total(self) -> int:
        """How many jobs there are to be in the end."""

    @property
    def jobs(self) -> Sequence[Job]:
        """All jobs so far, by number."""

    @property
    def closed(self) -> Mapping[int, str]:
        """The states of jobs that an earlier start of the sweep has closed for good, by number."""

    @property
    def known_metrics(self) -> Mapping[int, Mapping[str, float]]:
        """The metrics of closed jobs whose folders need not be there any more, by number."""

    def next(self) -> Job | None:
        """The job to start now, None if there is none."""

    def report(self, job: Job, epoch: int, value: float) -> bool:
        """Take note of the objective after an epoch; whether the job is to be stopped early."""

    def ended(self, job: Job, state: str, objective: float | None) -> None:
        """Take note of how a job has ended."""


class Grid:
    """Jobs with given words, in their order; those that are finished already are left out."""

    def __init__(self, words: Sequence[Sequence[str]], folder: Path) -> None:
        keys = varied(words)
        self.jobs = [
            Job(number, tuple(job), values_of(job, keys), folder / str(number)) for number, job in enumerate(words)
        ]
        self.total, self.closed = len(self.jobs), dict[int, str]()
        self.known_metrics = dict[int, dict[str, float]]()
        self._left = iter([job for job in self.jobs if not job.is_finished])

    def next(self) -> Job | None:
        return next(self._left, None)

    def report(self, job: Job, epoch: int, value: float) -> bool:
        return False

    def ended(self, job: Job, state: str, objective: float | None) -> None:
        """Nothing depends on it."""
