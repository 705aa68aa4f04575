"""New datasets of old ones: uses of the paths that are drawn anew, and several sets in one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain, zip_longest
from typing import Any

import torch

from prnn_md.data.dataset import ARRAYS, TEXTS, StressStrainData, checksum, scale_of
from prnn_md.data.verification import SPLITS, DatasetError, Twins

DRAWN = ("test", "valid", "train", "pool")
"""Uses in the order in which paths are drawn, so that more training paths leave the others as they are."""

SAME = {"units": "unit of stress", "time_unit": "unit of time", "stress_measure": "stress measure"}
"""What must be the same in sets that are merged."""


def balanced_order(pool: Sequence[int], family: Sequence[str], generator: torch.Generator | None = None) -> list[int]:
    """The pool's indices, families by name in turns, each family shuffled by the generator if given."""
    queues = []
    for name in sorted({family[index] for index in pool}):
        members = [index for index in pool if family[index] == name]
        if generator is not None:
            members = [members[i] for i in torch.randperm(len(members), generator=generator).tolist()]
        queues.append(members)
    return [index for index in chain.from_iterable(zip_longest(*queues)) if index is not None]


def default_counts(paths: int) -> dict[str, int]:
    """A fifth of the paths to test, a fifth to validate, and the rest to train; ValueError for less than three."""
    if paths < 3:
        raise ValueError(f"{paths} paths are too few to train, validate and test: say how many each shall have.")
    fifth = max(1, paths // 5)
    return {"train": paths - 2 * fifth, "valid": fifth, "test": fifth}


def drawn_uses(family: Sequence[str], counts: Mapping[str, int], seed: int) -> list[str]:
    """A use for each path, balanced over families, and "" for those that are left over.

    `counts` says how many paths each split has. Raises ValueError for numbers that the paths cannot serve.
    """
    asked = ", ".join(f"{counts.get(name, 0)} {name}" for name in SPLITS)
    if min(counts.values()) < 0:
        raise ValueError(f"There cannot be fewer than 0 paths of a split: {asked}.")
    if not 1 <= sum(counts.values()) <= len(family):
        raise ValueError(f"{asked}: that is {sum(counts.values())} paths, where there are {len(family)}.")
    order = balanced_order(range(len(family)), family, torch.Generator().manual_seed(seed))
    uses = [""] * len(family)
    for index, use in zip(order, [name for name in DRAWN for _ in range(counts.get(name, 0))], strict=False):
        uses[index] = use
    return uses


def split_anew(
    data: StressStrainData, name: str, counts: Mapping[str, int], seed: int, families: Sequence[str] | None = None
) -> StressStrainData:
    """The data with uses that are drawn anew from `seed`, balanced over families, and the scale of the new train.

    Only paths of the `families` are taken, by default of all; paths that no split asks for are left out. Raises
    ValueError for a family that does not exist and for numbers that the paths cannot serve.
    """
    for family in families or ():
        if family not in data.family:
            known = ", ".join(sorted(set(data.family)))
            raise ValueError(f"families: there are no paths of '{family}', but of {known}.")
    kept = [index for index, family in enumerate(data.family) if families is None or family in families]
    uses = drawn_uses([data.family[index] for index in kept], counts, seed)
    chosen = data.select([index for index, use in zip(kept, uses, strict=True) if use])
    split = tuple(filter(None, uses))
    provenance = {
        "made_by": "uses drawn anew, by prnn-md dataset split or import",
        "counts": dict(counts),
        "seed": seed,
        "families": list(families or sorted(set(data.family))),
        "from": _source(data),
    }
    scale = scale_of(chosen.stress, split)
    return replace(chosen, name=name, split=split, stress_scale=scale, provenance=provenance)


def merged(parts: Sequence[tuple[str, StressStrainData]], name: str) -> StressStrainData:
    """All paths of several sets, each given with what it is called in errors, with the scale of all of train.

    Missing replicas are NaN, missing label ids empty. Raises DatasetError for sets that differ in units, stress measure
    or increments, and for paths that are there twice.
    """
    first_name, first = parts[0]
    for other_name, other in parts[1:]:
        for field, what in SAME.items():
            ours, theirs = getattr(first, field), getattr(other, field)
            if ours != theirs:
                raise DatasetError(f"The {what} of {first_name} is '{ours}', that of {other_name} is '{theirs}'.")
        increments = [data.strain.shape[1] - 1 for data in (first, other)]
        if increments[0] != increments[1]:
            raise DatasetError(
                f"{first_name} has paths of {increments[0]} increments, {other_name} of {increments[1]}."
            )
    _refuse_twins(parts)
    most = max(data.replicas.shape[1] for _, data in parts)
    padded = [_padded(data, most) for _, data in parts]
    arrays: dict[str, Any] = {name: torch.cat([getattr(data, name) for data in padded]) for name in ARRAYS}
    texts: dict[str, Any] = {name: tuple(chain.from_iterable(getattr(data, name) for data in padded)) for name in TEXTS}
    provenance = {"made_by": "prnn-md dataset merge", "parts": [_source(data) for _, data in parts]}
    scale = scale_of(arrays["stress"], texts["split"])
    return replace(first, name=name, stress_scale=scale, provenance=provenance, **arrays, **texts)


def _source(data: StressStrainData) -> dict[str, Any]:
    """What the provenance of a new set says of an old one."""
    return {"name": data.name, "checksum": checksum(data), "provenance": data.provenance}


def _refuse_twins(parts: Sequence[tuple[str, StressStrainData]]) -> None:
    """DatasetError for a path that is there twice, with the numbers by which files and paths are found."""
    begins, twins = list(accumulate((len(data) for _, data in parts), initial=0)), Twins()
    for begin, (_, data) in zip(begins, parts, strict=False):
        try:
            twins.add(data.strain, data.times, data.split, first=begin)
        except DatasetError as error:
            places = ", ".join(f"{name} from {begin}" for begin, (name, _) in zip(begins, parts, strict=False))
            raise DatasetError(f"{error} Paths are numbered on through the files: {places}.") from None


def _padded(data: StressStrainData, most: int) -> StressStrainData:
    """The data with room for `most` replicas of each path."""
    missing = most - data.replicas.shape[1]
    nothing = torch.full((len(data), missing, *data.strain.shape[1:]), torch.nan, dtype=torch.float32)
    ids = tuple((*names, *("",) * missing) for names in data.label_ids)
    return replace(data, replicas=torch.cat([data.replicas, nothing], 1), label_ids=ids)
