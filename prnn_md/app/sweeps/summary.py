"""The end of a sweep in the terminal: its jobs, means over seeds with paired differences, and what failed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.sweep import Sweep

SEEDS = ("seed", "seeds.data", "seeds.model", "seeds.cells")
MOST = 60  # jobs in the table; sweep.json has all

Group = tuple[tuple[str, str], ...]
"""The values that jobs share which differ in nothing but seeds."""


@dataclass(frozen=True)
class Pairs:
    """Differences between jobs of two groups with the same seeds: how many, their mean and its standard error."""

    count: int
    mean: float
    error: float


def show(sweep: Sweep, console: Console) -> None:
    """Print all of it."""
    console.print(_jobs_table(sweep))
    judged = [job for job in sweep.source.jobs if sweep.values.get(job.number) is not None]
    if judged:
        best = min(judged, key=lambda job: sweep.values[job.number] or 0.0)
        console.print(f"Best: job {best.number}, {' '.join(best.words)}", markup=False)
    found = by_group(sweep)
    if any(len(values) > 1 for values in found.values()):
        console.print(_groups_table(sweep.objective, found))
    for job in sweep.source.jobs:
        state = sweep.states.get(job.number, "waiting")
        if state in ("failed", "interrupted"):
            console.print(f"\nJob {job.number} {state} ({job.chosen}); {job.log} ends with", markup=False)
            console.print("\n".join(f"  {line}" for line in job.last_words().splitlines()), markup=False)
    console.print(f"Sweep folder: {sweep.folder}", markup=False)


def by_group(sweep: Sweep) -> dict[Group, dict[Group, float]]:
    """The objective of finished jobs by their values without seeds, and then by their seeds."""
    found: dict[Group, dict[Group, float]] = {}
    for job in sweep.source.jobs:
        value = sweep.values.get(job.number)
        if sweep.states.get(job.number, "waiting") == "finished" and value is not None:
            group = tuple((key, chosen) for key, chosen in job.values.items() if key not in SEEDS)
            seeds = tuple((key, chosen) for key, chosen in job.values.items() if key in SEEDS)
            found.setdefault(group, {})[seeds] = value
    return found


def paired(one: dict[Group, float], other: dict[Group, float]) -> Pairs | None:
    """The differences `one` - `other` over the seeds that both have, None for fewer than two."""
    differences = [one[seeds] - other[seeds] for seeds in one if seeds in other]
    if len(differences) < 2:
        return None
    spread = statistics.stdev(differences) / len(differences) ** 0.5
    return Pairs(len(differences), statistics.mean(differences), spread)


def _jobs_table(sweep: Sweep) -> Table:
    names = list(dict.fromkeys(name for job in sweep.source.jobs for name in job.values))
    table = Table(title=f"Jobs, judged by {sweep.objective}")
    for name in ("job", *names, "state", sweep.objective):
        table.add_column(name, justify="right" if name in ("job", sweep.objective) else "left")
    for job in sweep.source.jobs[:MOST]:
        table.add_row(str(job.number), *(_short(job.values.get(name, "")) for name in names), *_outcome(sweep, job))
    if len(sweep.source.jobs) > MOST:
        table.caption = f"and {len(sweep.source.jobs) - MOST} more in sweep.json"
    return table


def _outcome(sweep: Sweep, job: Job) -> Sequence[str]:
    value = sweep.values.get(job.number)
    return sweep.states.get(job.number, "waiting"), "" if value is None else f"{value:.4f}"


def _groups_table(objective: str, found: dict[Group, dict[Group, float]]) -> Table:
    """Means and spreads over seeds; differences to the group with the least mean, over the seeds of both."""
    means = {group: statistics.mean(values.values()) for group, values in found.items()}
    best = min(means, key=means.__getitem__)
    table = Table(
        title=f"{objective} over seeds", caption=f"difference: to {_name(best)}, seed by seed, +- standard error"
    )
    for name in ("values", "seeds", "mean", "spread", "difference"):
        table.add_column(name, justify="left" if name == "values" else "right")
    for group in sorted(found, key=means.__getitem__):
        values = list(found[group].values())
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
        pairs = paired(found[group], found[best]) if group != best else None
        difference = f"{pairs.mean:+.4f} +- {pairs.error:.4f}" if pairs else ""
        table.add_row(_name(group), str(len(values)), f"{means[group]:.4f}", spread, difference)
    return table


def _short(value: str) -> str:
    """A value with at most four digits, if it is a number with more."""
    try:
        return f"{float(value):.4g}" if len(value) > 6 else value
    except ValueError:
        return value


def _name(group: Group) -> str:
    return " ".join(f"{name}={value}" for name, value in group) or "all"
