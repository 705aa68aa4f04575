"""Build a library of polymer-glass samples with LAMMPS."""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from prnn_md.md.force_field import BeadSpring
from prnn_md.md.library import load_library, save_library
from prnn_md.md.sample import Samples
from prnn_md.reference.jobs import Job, run_jobs
from prnn_md.reference.polymer import QuenchProtocol, build_sample


def build_polymer_library(
    path: Path, beads: int, count: int, seed: int, processes: int, protocol: QuenchProtocol | None = None
) -> None:
    """Quench `count` independent samples of `beads` beads into one library file.

    Finished samples wait in `<path>.parts/`, so that an interrupted build goes on when the call is repeated.
    """
    protocol = QuenchProtocol() if protocol is None else protocol
    parts = path.with_name(path.stem + ".parts")
    parts.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(parts / f"{index:04d}.h5", _build_part, (beads, sample_seed(seed, beads, index), protocol))
        for index in range(count)
    ]
    run_jobs(jobs, processes, f"{path.stem}: samples of {beads} beads")
    samples = [load_library(job.output)[0] for job in jobs]
    provenance = {
        "system": "bead-spring polymer glass",
        "beads": beads,
        "seed": seed,
        "protocol": asdict(protocol),
        "force_field": asdict(BeadSpring.from_yaml()),
        "lammps": version("lammps"),
    }
    positions = torch.cat([sample.positions for sample in samples])
    box = torch.cat([sample.box for sample in samples])
    save_library(path, Samples(positions, box, samples[0].bonds), provenance)
    for job in jobs:
        job.output.unlink()
    parts.rmdir()


def sample_seed(seed: int, beads: int, index: int) -> int:
    """The seed of one sample, below LAMMPS' limit of 900 million."""
    return int(np.random.SeedSequence([seed, beads, index]).generate_state(1)[0] % 899_999_000) + 1


def _build_part(beads: int, seed: int, protocol: QuenchProtocol, output: Path) -> None:
    sample = build_sample(beads, seed, BeadSpring.from_yaml(), protocol)
    save_library(output, sample, {"seed": seed})
