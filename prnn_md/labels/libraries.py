"""Build libraries of microstructures, one simulation a sample."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prnn_md.labels.jobs import Job, parts_folder, run_jobs
from prnn_md.md.library import load_library, save_library
from prnn_md.md.sample import Samples


def build_library(
    path: Path,
    make: Callable[[int], Samples],
    seeds: Sequence[int],
    processes: int,
    provenance: Mapping[str, Any],
) -> None:
    """Write one library file of independent samples, each made by `make(seed)` with its own of the `seeds`.

    Finished samples wait in `<path>.parts/`, so that an interrupted build goes on when the call is repeated.
    `make` must be picklable; `provenance` is kept in the file.
    """
    parts = parts_folder(path, {**provenance, "seeds": list(seeds)})
    jobs = [Job(parts / f"{index:04d}.h5", partial(_build_part, make), (seed,)) for index, seed in enumerate(seeds)]
    run_jobs(jobs, processes, f"{path.stem}: samples")
    samples = [load_library(job.output)[0] for job in jobs]
    save_library(path, Samples.cat(samples), dict(provenance))
    shutil.rmtree(parts)


def sample_seeds(seed: int, beads: int, count: int) -> list[int]:
    """Seeds of the samples of one library, positive and below LAMMPS' limit of 900 million."""
    states = [np.random.SeedSequence([seed, beads, index]).generate_state(1)[0] for index in range(count)]
    return [int(state % 899_999_000) + 1 for state in states]


def _build_part(make: Callable[[int], Samples], seed: int, output: Path) -> None:
    save_library(output, make(seed), {"seed": seed})
