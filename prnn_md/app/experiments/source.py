"""The jobs of an experiment, of which those are left out that have their line among its results."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from prnn_md.app.experiments.lines import FILE, add_line, check_files, line_of, read_lines
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.plan import Experiment, values_of, varied


class ExperimentJobs:
    """A source of jobs, of which `left` are those without a line.

    Every job that has finished gets its line, also one that an earlier start could not note. Raises ConfigError for
    lines that cannot be used, or that are of other versions of the input files.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self.file = experiment.results / FILE
        keys = varied([job.words for job in experiment.jobs])
        self.grids = [job.grid for job in experiment.jobs]
        self.jobs = [
            Job(number, job.words, values_of(job.words, keys), folder / _name(job.words))
            for number, job in enumerate(experiment.jobs)
        ]
        lines = read_lines(self.file)
        check_files(self.file, [line for line in lines if tuple(line["words"]) in {job.words for job in self.jobs}])
        there = {tuple(line["words"]): line for line in lines}
        self._lines = {job.number: there[job.words] for job in self.jobs if job.words in there}
        self.total = len(self.jobs)
        self.left = [job for job in self.jobs if job.number not in self._lines]
        self._next = iter(self.left)

    @property
    def closed(self) -> Mapping[int, str]:
        return dict.fromkeys(self._lines, "finished")

    @property
    def known_metrics(self) -> Mapping[int, Mapping[str, float]]:
        """The metrics of jobs with a line."""
        return {number: line["metrics"] for number, line in self._lines.items()}

    def next(self) -> Job | None:
        return next(self._next, None)

    def report(self, job: Job, epoch: int, value: float) -> bool:
        return False

    def ended(self, job: Job, state: str, objective: float | None) -> None:
        """Add the line of a finished job."""
        if state == "finished" and job.number not in self._lines:
            line = line_of(self.grids[job.number], job.words, job.result)
            check_files(self.file, [*self._lines.values(), line])
            add_line(self.file, line)
            self._lines[job.number] = line


def _name(words: tuple[str, ...]) -> str:
    """The folder of a job by its words, so that it stays where others are added before it."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:10]
