"""Runs that differ in nothing but their seeds, and such groups along the number of training paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prnn_md.app.report.flat_config import FlatConfig, is_seed, short_text, varied_values
from prnn_md.app.report.runs import MEASURES, Run
from prnn_md.app.report.samples import samples

_BESIDE_THE_POINT = ("compare", "callbacks", "hardware", "logger")
_N_TRAIN = "dataset.n_train"


@dataclass(frozen=True)
class Group:
    """Finished runs of one setting; `name` says what distinguishes it from other settings of the same model."""

    name: str
    setting: FlatConfig
    runs: list[Run]


def setting(run: Run) -> FlatConfig:
    """What decides how good a model gets, other than seeds."""
    return {
        key: value
        for key, value in run.config.items()
        if not is_seed(key) and key.split(".")[0] not in _BESIDE_THE_POINT
    }


def setting_and_seeds(run: Run) -> FlatConfig:
    """What decides the outcome of a run; seeds of single parts of it follow from these."""
    return setting(run) | {key: value for key, value in run.config.items() if key.startswith("seeds.")}


def distinct(runs: Sequence[Run]) -> list[Run]:
    """The finished runs; of repetitions of the same setting and seeds, which say nothing new, the last."""
    finished = [run for run in runs if any(run.measure(name) is not None for name in MEASURES)]
    last = {frozenset(setting_and_seeds(run).items()): run for run in finished}
    return list(last.values())


def seed_groups(runs: Sequence[Run]) -> list[Group]:
    """Distinct runs, by setting."""
    return _grouped(runs, ())


def _grouped(runs: Sequence[Run], without: Sequence[str]) -> list[Group]:
    found: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        items = {key: value for key, value in setting(run).items() if key not in without}
        found.setdefault(frozenset(items.items()), []).append(run)
    groups = [(dict(sorted(items)), members) for items, members in found.items()]
    names = _names([items for items, _ in groups])
    return [Group(name, items, members) for name, (items, members) in zip(names, groups, strict=True)]


def _names(settings: Sequence[FlatConfig]) -> list[str]:
    """The label of each setting, with what varies among those of the same label."""
    alike: dict[str, list[FlatConfig]] = {}
    for config in settings:
        alike.setdefault(config["label"], []).append(config)
    varied = {label: varied_values(configs) for label, configs in alike.items()}
    names = []
    for config in settings:
        own = {key: config[key] for key in varied[config["label"]] if key in config}
        names.append(f"{config['label']}, {short_text(own)}" if own else config["label"])
    return names


def seed_table(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Name, model, number of training paths, runs and samples of every group of at least two runs."""
    return [
        {
            "name": group.name,
            "model": group.runs[0].label,
            "n_train": group.runs[0].n_train,
            "runs": [run.number for run in group.runs],
            "samples": samples(group.runs),
        }
        for group in groups
        if len(group.runs) > 1
    ]


def data_efficiency(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Samples of distinct runs over the number of training paths, of every setting tried with several numbers."""
    series = []
    for group in _grouped([run for run in runs if run.n_train is not None], (_N_TRAIN,)):
        counts = sorted({run.n_train for run in group.runs if run.n_train is not None})
        points = [
            {"n_train": count, "samples": samples([run for run in group.runs if run.n_train == count])}
            for count in counts
        ]
        if len(points) > 1:
            series.append({"name": group.name, "model": group.runs[0].label, "points": points})
    return series
