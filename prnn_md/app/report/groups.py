"""Runs that differ in nothing but their seeds, and such groups along the number of training paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prnn_md.app.report.flat_config import FlatConfig, is_seed, short_text, varied_values
from prnn_md.app.report.runs import MEASURES, Run
from prnn_md.app.report.samples import samples

_BESIDE_THE_POINT = ("compare", "callbacks", "hardware", "logger", "model.remember")
_N_TRAIN = "dataset.n_train"


@dataclass(frozen=True)
class Group:
    """Finished runs of one setting; `marks` are the label and what sets it apart from others of the same label."""

    setting: FlatConfig
    marks: FlatConfig
    runs: list[Run]

    @property
    def label(self) -> str:
        return self.setting["label"]

    @property
    def name(self) -> str:
        return marks_text(self.marks)


def marks_text(marks: FlatConfig) -> str:
    """Marks in words, such as "PRNN, md.j2.count=4"."""
    rest = short_text({key: value for key, value in marks.items() if key != "label"})
    return ", ".join(filter(None, [marks.get("label"), rest]))


def setting(run: Run) -> FlatConfig:
    """What decides how good a model gets, other than seeds."""
    return {
        key: value
        for key, value in run.config.items()
        if not is_seed(key) and key not in _BESIDE_THE_POINT and key.split(".")[0] not in _BESIDE_THE_POINT
    }


def own_seeds(run: Run) -> FlatConfig:
    """The seeds of a run, from which those of single parts of it follow."""
    return {key: value for key, value in run.config.items() if key.startswith("seeds.")}


def distinct(runs: Sequence[Run]) -> list[Run]:
    """The finished runs; of repetitions of the same setting and seeds, which say nothing new, the last."""
    finished = [run for run in runs if any(run.measure(name) is not None for name in MEASURES)]
    last = {frozenset((setting(run) | own_seeds(run)).items()): run for run in finished}
    return list(last.values())


def seed_groups(runs: Sequence[Run]) -> list[Group]:
    """The groups of distinct runs that have at least two members, or all groups where none has."""
    members = _by_setting(runs, ())
    repeated = {items: group for items, group in members.items() if len(group) > 1}
    return _marked(repeated or members)


def _by_setting(runs: Sequence[Run], without: Sequence[str]) -> dict[frozenset[tuple[str, str]], list[Run]]:
    found: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        items = frozenset(item for item in setting(run).items() if item[0] not in without)
        found.setdefault(items, []).append(run)
    return found


def _marked(members: dict[frozenset[tuple[str, str]], list[Run]]) -> list[Group]:
    """The groups with their marks."""
    settings = [dict(sorted(items)) for items in members]
    alike: dict[str, list[FlatConfig]] = {}
    for items in settings:
        alike.setdefault(items["label"], []).append(items)
    varied = {label: varied_values(configs) for label, configs in alike.items()}
    marks = [{key: items[key] for key in ["label", *varied[items["label"]]] if key in items} for items in settings]
    return [Group(*parts) for parts in zip(settings, marks, members.values(), strict=True)]


def seed_table(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Name, model, number of training paths, runs and samples of every group of at least two runs."""
    return [
        {
            "name": group.name,
            "model": group.label,
            "n_train": group.runs[0].n_train,
            "runs": [run.number for run in group.runs],
            "samples": samples(group.runs),
        }
        for group in groups
        if len(group.runs) > 1
    ]


def data_efficiency(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Samples of distinct runs over the number of training paths, of every setting tried with several numbers."""
    members = _by_setting([run for run in runs if run.n_train is not None], (_N_TRAIN,))
    several = {items: group for items, group in members.items() if len({run.n_train for run in group}) > 1}
    return [{"name": group.name, "model": group.label, "points": _points(group.runs)} for group in _marked(several)]


def _points(runs: Sequence[Run]) -> list[dict[str, Any]]:
    counts = sorted({run.n_train for run in runs if run.n_train is not None})
    return [{"n_train": count, "samples": samples([run for run in runs if run.n_train == count])} for count in counts]
