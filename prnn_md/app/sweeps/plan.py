"""What a sweep is to run, from the words of its command line: all combinations of values, or a search space."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig

from prnn_md.app.checking import ConfigError, alternatives
from prnn_md.app.composition import EXPERIMENTS
from prnn_md.app.fields import shown
from prnn_md.app.overrides import checked_composition, parsed, sweep_runs
from prnn_md.app.sweeps.options import check_options

RESULTS = "results"
"""Folder of the results of experiments that nobody has changed."""

SEARCH, EXPERIMENT = "OptunaSweeper", "ExperimentSweeper"
"""Names of the sweepers that choose values themselves, and that run several grids; the other one runs a single grid."""


@dataclass(frozen=True)
class Parameter:
    """A key of a search: one of some `choices`, or a number from `low` to `high`."""

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole ones."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def extremes(self) -> tuple[str, ...]:
        """The values that show whether the others can be used: all choices, or both ends."""
        return self.choices or (str(self.low), str(self.high))

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(self.choices)
        step = f" in steps of {self.step}" if self.step else ""
        return f"{self.low} to {self.high}{step}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """A search space: words that all jobs have, the keys whose values are chosen, and how many jobs are asked for."""

    words: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    total: int = 1

    @property
    def described(self) -> dict[str, str]:
        """As plain text, to keep and to compare."""
        return {"words": " ".join(self.words), **{parameter.name: str(parameter) for parameter in self.parameters}}

    def extremes(self) -> list[list[str]]:
        """Words of jobs that have every extreme value of every key."""
        count = max(len(parameter.extremes) for parameter in self.parameters)
        return [
            [*self.words, *(f"{p.name}={p.extremes[min(i, len(p.extremes) - 1)]}" for p in self.parameters)]
            for i in range(count)
        ]


@dataclass(frozen=True)
class ExperimentJob:
    """The words of a job, and the name of the grid that it is of."""

    grid: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """A named study: the jobs of all its grids, those of them that are to be run now, and the folder for their results.

    `grids` are the words of each grid, with those that all share; `command` are those that asked for it.
    """

    name: str
    study: tuple[ExperimentJob, ...]
    jobs: tuple[ExperimentJob, ...]
    results: Path
    grids: Mapping[str, Sequence[str]]
    command: tuple[str, ...] = ()


Plan = list[list[str]] | Space | Experiment
"""The words of all jobs of a grid, or a search, or an experiment."""


def plan(words: Sequence[str]) -> Plan:
    """What is to be run, as the chosen sweeper takes it.

    Raises ConfigError for words that cannot be understood, or that the sweeper cannot use.
    """
    overrides = [parsed(word) for word in words]
    for override in overrides:
        if override.key_or_group == EXPERIMENTS and override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: give one experiment at a time.")
    fixed = [word for word, override in zip(words, overrides, strict=True) if not override.is_sweep_override()]
    hydra = checked_composition(fixed, with_hydra=True).hydra
    check_options(hydra)
    sweeper = hydra.sweeper
    target = str(sweeper.get("_target_", ""))
    if target.endswith(EXPERIMENT):
        return _experiment(sweeper, words)
    if not target.endswith(SEARCH):
        return sweep_runs(own_words(words))
    found = [parsed(f"{name}={value}") for name, value in (sweeper.params or {}).items()]
    found += [override for override in overrides if override.is_sweep_override()]
    parameters = {override.key_or_group: _parameter(override) for override in found}
    if not parameters:
        raise ConfigError("hydra/sweeper=optuna has nothing to choose: add 'optimizer.lr=interval(1e-4,1e-1)' or so.")
    return Space(tuple(own_words(fixed)), tuple(parameters.values()), sweeper.n_trials)


def extremes(planned: Plan) -> Sequence[Sequence[str]]:
    """Words of jobs that show whether all can be run: of a search its extreme values, else of every job."""
    if isinstance(planned, Space):
        return planned.extremes()
    return [job.words for job in planned.jobs] if isinstance(planned, Experiment) else planned


def _experiment(sweeper: DictConfig, words: Sequence[str]) -> Experiment:
    """The jobs of all grids; words of the command line hold for all, instead of what the experiment says itself."""
    added = [word for word in own_words(words) if not word.startswith(f"{EXPERIMENTS}=")]
    if added and sweeper.results == RESULTS:
        raise ConfigError(
            f"{added[0]}: {RESULTS}/{sweeper.name} is for the words of the experiment itself: add "
            "hydra.sweeper.results=outputs/results, or another folder."
        )
    only = list(sweeper.grids if sweeper.only is None else sweeper.only)
    for name in only or [None]:
        if name not in sweeper.grids:
            near = alternatives(str(name), map(str, sweeper.grids))
            raise ConfigError(f"hydra.sweeper.only={shown(only)}: there is no such grid.\n{near}")
    chosen = {word.partition("=")[0] for word in added}
    grids: dict[str, list[str]] = {}
    jobs: dict[tuple[str, ...], ExperimentJob] = {}
    for grid, own in sweeper.grids.items():
        kept = [word for word in [*sweeper.common, *own] if word.partition("=")[0] not in chosen]
        grids[str(grid)] = [*kept, *added]
        for run in sweep_runs(grids[str(grid)]):
            jobs.setdefault(tuple(run), ExperimentJob(str(grid), tuple(run)))
    study = tuple(jobs.values())
    asked = tuple(job for job in study if job.grid in only)
    return Experiment(sweeper.name, study, asked, Path(sweeper.results) / sweeper.name, grids, tuple(words))


def own_words(words: Sequence[str]) -> list[str]:
    """The words that belong to the jobs, not to Hydra."""
    return [word for word in words if not word.lstrip("+~").startswith(("hydra.", "hydra/"))]


def varied(jobs: Sequence[Sequence[str]]) -> set[str]:
    """The keys for which the jobs have several values; all keys of a single job."""
    seen: dict[str, set[str]] = {}
    for job in jobs:
        for key, value in _by_key(job).items():
            seen.setdefault(key, set()).add(value)
    return {key for key, values in seen.items() if len(values) > 1 or len(jobs) == 1}


def values_of(words: Sequence[str], keys: Container[str]) -> dict[str, str]:
    """The values of a job for some keys."""
    return {key: value for key, value in _by_key(words).items() if key in keys}


def _by_key(words: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _parameter(override: Override) -> Parameter:
    name, value = override.key_or_group, override.value()
    if not override.is_sweep_override():
        hint = "interval(low,high), tag(log,interval(low,high)), int(interval(low,high)), range(..) or choice(a,b)."
        raise ConfigError(f"{override.input_line}: a search chooses from {hint}")
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = "log" in value.tags
        if value.start >= value.end or (log and value.start <= 0):
            raise ConfigError(f"{override.input_line}: give the smaller number first{', above 0' if log else ''}.")
        return Parameter(name, low=value.start, high=value.end, log=log)
    if isinstance(value, RangeSweep) and (numbers := list(value.range())):
        return Parameter(name, low=numbers[0], high=numbers[-1], step=value.step)
    return Parameter(name, choices=tuple(override.sweep_string_iterator()))
