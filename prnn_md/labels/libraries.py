"""Build libraries of microstructures, one simulation a sample."""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from prnn_md.labels.answering import answer
from prnn_md.labels.executors.executor import Executor
from prnn_md.labels.query import Query, physics_digest
from prnn_md.labels.reference import SampleLabeler, sample_of
from prnn_md.labels.work import StorePlace
from prnn_md.md.library import save_library
from prnn_md.md.sample import Samples


def build_library(path: Path, labeler: SampleLabeler, seeds: Sequence[int], executor: Executor) -> None:
    """Write one library file of independent samples, each made of its own of the `seeds`.

    Finished samples wait in `<path>.labels/`, so that an interrupted build goes on when the call is repeated. The
    labeler's physics is kept in the file. Raises ValueError if the file is there already.
    """
    if path.exists():
        raise ValueError(f"{path} is there already: choose another name, or remove it to make it again.")
    place = StorePlace(path.with_name(f"{path.stem}.labels"))
    ids = answer(sample_queries(labeler, seeds), labeler, place, executor, f"{path.stem}: samples")
    with closing(place.open()) as store:
        samples = [sample_of(store.label(id_)) for id_ in ids]
    save_library(path, Samples.cat(samples), dict(labeler.physics))
    shutil.rmtree(place.folder)


def sample_queries(labeler: SampleLabeler, seeds: Sequence[int]) -> list[Query]:
    """The queries for samples of these seeds, numbered as replicas."""
    digest = physics_digest(labeler)
    return [Query(digest, {"seed": torch.tensor(seed)}, number) for number, seed in enumerate(seeds)]


def sample_seeds(seed: int, stream: int, count: int) -> list[int]:
    """Seeds of `count` samples, positive and below LAMMPS' limit of 900 million; other streams are independent."""
    states = [np.random.SeedSequence([seed, stream, index]).generate_state(1)[0] for index in range(count)]
    return [int(state % 899_999_000) + 1 for state in states]
