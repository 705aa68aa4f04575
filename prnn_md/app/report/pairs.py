"""Differences between runs that share all seeds and differ in one thing: less noisy than those of means.

The one thing is a key, or all keys of a part such as the optimiser, or all that makes one model.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from prnn_md.app.report.flat_config import FlatConfig, is_seed, short_text
from prnn_md.app.report.groups import setting, setting_and_seeds
from prnn_md.app.report.runs import MEASURES, Run
from prnn_md.app.report.samples import sample
from prnn_md.app.schema import MODEL_KEYS

MOST_VALUES = 12
"""A key with more values than that was searched, not compared."""

MOST_COMPARISONS = 40
"""As many as can be read; those with most pairs are kept."""

_DATA = "dataset"


def paired_differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Of distinct runs: what changed, from what to what, and the differences in every measure; most pairs first."""
    found: dict[tuple[str, str, str], list[tuple[Run, Run]]] = {}
    for first, second in _pairs(runs):
        what, before, after = _change(first, second)
        if (what, after, before) in found:
            found[what, after, before].append((second, first))
        else:
            found.setdefault((what, before, after), []).append((first, second))
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))[:MOST_COMPARISONS]
    return [
        {"key": what, "from": before, "to": after, **_differences(pairs)} for (what, before, after), pairs in ordered
    ]


def _differences(pairs: Sequence[tuple[Run, Run]]) -> dict[str, Any]:
    values: dict[str, list[float]] = {}
    for name in MEASURES:
        for first, second in pairs:
            before, after = first.measure(name), second.measure(name)
            if before is not None and after is not None:
                values.setdefault(name, []).append(after - before)
    return {"values": values, "samples": {name: sample(found) for name, found in values.items()}}


def _pairs(runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """All pairs of runs that differ in one thing, each once."""
    configs = [(setting_and_seeds(run), run) for run in runs]
    for factor in _factors([config for config, _ in configs]):
        buckets: dict[frozenset[tuple[str, str]], list[tuple[FlatConfig, Run]]] = {}
        for config, run in configs:
            rest = frozenset(item for item in config.items() if not _belongs(item[0], factor))
            buckets.setdefault(rest, []).append((config, run))
        for bucket in buckets.values():
            if len(bucket) <= MOST_VALUES:
                for (first, run), (second, other) in combinations(bucket, 2):
                    if _factor(_differing(first, second)) == factor:
                        yield run, other


def _factors(configs: Sequence[FlatConfig]) -> list[str]:
    """The things in which configurations may differ: keys, parts, and "model"."""
    keys = {key for config in configs for key in config if not is_seed(key)}
    values = {key: {config.get(key) for config in configs} for key in sorted(keys)}
    varied = [key for key in values if len(values[key]) > 1]
    parts = {_part(key) for key in varied}
    return list(dict.fromkeys([*varied, *sorted(parts - {_DATA}), "model"]))


def _factor(keys: Sequence[str]) -> str:
    """The smallest thing that has all the keys, "" where there is none."""
    parts = {_part(key) for key in keys}
    if len(keys) == 1:
        return keys[0]
    if len(parts) == 1 and _DATA not in parts:
        return parts.pop()
    return "model" if parts <= set(MODEL_KEYS) else ""


def _belongs(key: str, factor: str) -> bool:
    return key == factor or _part(key) == factor or (factor == "model" and _part(key) in MODEL_KEYS)


def _part(key: str) -> str:
    return key.split(".")[0]


def _differing(first: FlatConfig, second: FlatConfig) -> list[str]:
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


def _change(first: Run, second: Run) -> tuple[str, str, str]:
    """What changes from one run to the other, and the words for both."""
    one, two = setting(first), setting(second)
    keys = _differing(one, two)
    factor = _factor(keys)
    if factor == "model" and "label" in keys:
        return "model", first.label, second.label
    if factor in keys:  # one key, or the class of a part
        return factor, one.get(factor, "none"), two.get(factor, "none")
    texts = [short_text({key: config[key] for key in keys if key in config}) for config in (one, two)]
    return factor, texts[0], texts[1]
