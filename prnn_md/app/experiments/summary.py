"""What all runs of an experiment say together: means and spreads over seeds, and what the study asks of them."""

import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prnn_md.app.experiments.lines import FILE, Line, read_lines
from prnn_md.app.ledger import write_json
from prnn_md.app.sweeps.plan import Experiment, values_of, varied
from prnn_md.app.sweeps.summary import SEEDS

SUMMARY, FIGURE = "summary.json", "figure.png"


@dataclass(frozen=True)
class Group:
    """Runs of one grid that differ in nothing but seeds and libraries of cells; `values` tell it from other groups."""

    grid: str
    values: dict[str, str]
    lines: tuple[Line, ...]

    @property
    def n_train(self) -> int:
        return int(self.lines[0]["n_train"])

    def samples(self, metric: str) -> list[float]:
        """The values of a metric in all runs where it is finite."""
        found = [line["metrics"].get(metric) for line in self.lines]
        return [float(value) for value in found if value is not None]

    def mean(self, metric: str) -> float | None:
        """The mean over the runs, None where there is none."""
        samples = self.samples(metric)
        return statistics.mean(samples) if samples else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation over the runs, None where there are less than two."""
        samples = self.samples(metric)
        return statistics.stdev(samples) if len(samples) > 1 else None


def summarize(experiment: Experiment) -> None:
    """Write summary.json and the figure of all runs of the study so far, also of grids that were not asked for now.

    Nothing where there is none. `finite` says over how many runs each mean is.
    """
    from prnn_md.app.experiments.studies import STUDIES, draw

    found = {tuple(line["words"]): line for line in read_lines(experiment.results / FILE)}
    lines = [found[job.words] for job in experiment.study if job.words in found]
    if not lines:
        return
    groups = groups_of(lines)
    content = {
        "experiment": experiment.name,
        "command": shlex.join(["python", "train.py", "-m", *experiment.command]),
        "grids": {name: list(words) for name, words in experiment.grids.items()},
        "jobs": len(experiment.study),
        "finished": len(lines),
        **{name: _all_of(name, lines) for name in ("versions", "python", "commit", "dirty", "seed")},
        "files": {name: digest for line in lines for name, digest in line["files"].items()},
        **(STUDIES[experiment.name](groups, list(experiment.grids)) if experiment.name in STUDIES else {}),
        "groups": [_entry(group) for group in groups],
    }
    write_json(experiment.results / SUMMARY, content)
    draw(experiment.name, groups, experiment.results / FIGURE)
    print(f"Results of the experiment: {experiment.results}")


def groups_of(lines: Sequence[Line]) -> list[Group]:
    """The groups of runs, in the order of their first ones."""
    found: dict[tuple[str, tuple[str, ...]], list[Line]] = {}
    for line in lines:
        own = tuple(word for word in line["words"] if not _is_repetition(word.partition("=")[0]))
        found.setdefault((line["grid"], own), []).append(line)
    groups = []
    for (grid, words), members in found.items():
        siblings = [other for name, other in found if name == grid]
        keys = varied(siblings) if len(siblings) > 1 else set()
        groups.append(Group(grid, values_of(words, keys), tuple(members)))
    return groups


def _is_repetition(key: str) -> bool:
    """Whether runs that differ in this key are repetitions of each other."""
    return key in SEEDS or key.endswith(".library")


def _entry(group: Group) -> dict[str, Any]:
    names = dict.fromkeys(name for line in group.lines for name in line["metrics"])
    return {
        "grid": group.grid,
        "values": group.values,
        "runs": len(group.lines),
        "seeds": [line["seed"] for line in group.lines],
        "n_train": group.n_train,
        "n_valid": group.lines[0]["n_valid"],
        "n_test": group.lines[0]["n_test"],
        "trainable_parameters": group.lines[0]["trainable_parameters"],
        "training_s": statistics.mean(line["wall_s"]["training"] for line in group.lines),
        "finite": {name: len(group.samples(name)) for name in names},
        "mean": {name: group.mean(name) for name in names},
        "spread": {name: group.spread(name) for name in names},
    }


def _all_of(name: str, lines: Sequence[Line]) -> list[Any]:
    """The different values that the lines have of something."""
    found: list[Any] = []
    for line in lines:
        if line[name] not in found:
            found.append(line[name])
    return found
