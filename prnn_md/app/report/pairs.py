"""Differences between runs that share all seeds and differ in one thing: less noisy than those of means.

The one thing is a key, or all keys of a part such as the optimiser, or all that makes one model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from prnn_md.app.report.flat_config import FlatConfig, short_text
from prnn_md.app.report.groups import Group, marks_text, own_seeds
from prnn_md.app.report.runs import MEASURES, Run
from prnn_md.app.report.samples import sample
from prnn_md.app.schema import MODEL_KEYS

MOST_COMPARISONS = 200
"""Those with most pairs are kept."""

_DATA = "dataset"


@dataclass(frozen=True)
class Comparison:
    """Two groups that differ in one thing, and their runs with the same seeds."""

    what: str
    first: Group
    second: Group
    pairs: list[tuple[Run, Run]]

    def summary(self) -> dict[str, Any]:
        """What differs, from what to what, what the groups share, and the differences in every measure."""
        shared = dict(self.first.marks.items() & self.second.marks.items())
        before, after = (
            {key: value for key, value in group.marks.items() if key not in shared}
            for group in (self.first, self.second)
        )
        values = {name: self._differences(name) for name in MEASURES}
        found = {name: numbers for name, numbers in values.items() if numbers}
        return {
            "key": self.what,
            "from": _words(before, self.what),
            "to": _words(after, self.what),
            "shared": marks_text(dict(sorted(shared.items()))),
            "values": found,
            "samples": {name: sample(numbers) for name, numbers in found.items()},
        }

    def _differences(self, name: str) -> list[float]:
        measured = [(first.measure(name), second.measure(name)) for first, second in self.pairs]
        return [after - before for before, after in measured if before is not None and after is not None]


def paired_differences(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Comparisons of groups that differ in one thing, with most pairs first."""
    found = [comparison for what in _things(groups) for comparison in _comparisons(groups, what)]
    found.sort(key=lambda comparison: -len(comparison.pairs))
    return [comparison.summary() for comparison in found[:MOST_COMPARISONS]]


def _comparisons(groups: Sequence[Group], what: str) -> list[Comparison]:
    """Groups that are equal in all else: every one against the largest, and all of different models."""
    buckets: dict[frozenset[tuple[str, str]], list[Group]] = {}
    for group in groups:
        rest = frozenset(item for item in group.setting.items() if not _belongs(item[0], what))
        buckets.setdefault(rest, []).append(group)
    found = []
    for bucket in buckets.values():
        ordered = sorted(bucket, key=lambda group: (-len(group.runs), group.runs[0].number))
        for first, second in combinations(ordered, 2):
            if first is not ordered[0] and first.label == second.label:
                continue
            pairs = _same_seeds(first, second)
            if pairs and _thing(_differing(first.setting, second.setting)) == what:
                found.append(Comparison(what, first, second, pairs))
    return found


def _same_seeds(first: Group, second: Group) -> list[tuple[Run, Run]]:
    by_seeds = {frozenset(own_seeds(run).items()): run for run in first.runs}
    pairs = [(by_seeds.get(frozenset(own_seeds(run).items())), run) for run in second.runs]
    return [(one, other) for one, other in pairs if one is not None]


def _things(groups: Sequence[Group]) -> list[str]:
    """What groups may differ in: keys, parts, and "model"."""
    keys = sorted({key for group in groups for key in group.setting})
    varied = [key for key in keys if len({group.setting.get(key) for group in groups}) > 1]
    parts = {_part(key) for key in varied} - {_DATA}
    return list(dict.fromkeys(["model", *varied, *sorted(parts)]))


def _thing(keys: Sequence[str]) -> str:
    """The smallest thing that has all the keys, "" where there is none."""
    parts = {_part(key) for key in keys}
    if len(keys) == 1:
        return keys[0]
    if len(parts) == 1 and _DATA not in parts:
        return parts.pop()
    return "model" if parts <= set(MODEL_KEYS) else ""


def _belongs(key: str, what: str) -> bool:
    return key == what or _part(key) == what or (what == "model" and _part(key) in MODEL_KEYS)


def _part(key: str) -> str:
    return key.split(".")[0]


def _differing(first: FlatConfig, second: FlatConfig) -> list[str]:
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


def _words(own: FlatConfig, what: str) -> str:
    """The value where a key differs, else all that sets a group apart."""
    if list(own) == [what]:
        return short_text(own).partition("=")[2]
    return marks_text(own) or "none"
