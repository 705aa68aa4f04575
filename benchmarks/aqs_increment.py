"""Time of an AQS increment of an 80-bead cell on one core, against LAMMPS minimising the same cell.

Both follow the same strain path and stop at the same root-mean-square force over all components. Prints a table;
`--json FILE` writes rows of name, ours, peer, ratio and unit; `--quick` takes fewer cells.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from prnn_md.data.paths import sample_paths
from prnn_md.md.aqs import AQSCell
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.library import load_library
from prnn_md.md.sample import Samples
from prnn_md.reference.polymer import deform, polymer_in_lammps

RMS_FORCE = 1e-6


def ours(samples: Samples, path: torch.Tensor) -> float:
    """Milliseconds per increment of one thread, all samples along the path (T+1, 6)."""
    cell = AQSCell(samples, BeadSpring.from_yaml(), force_tolerance=RMS_FORCE, threads=1)
    strains = path.expand(len(samples), *path.shape)
    cell.rollout(strains[:, :2], torch.zeros(2))
    start = time.perf_counter()
    cell.rollout(strains, torch.zeros(len(path)))
    return (time.perf_counter() - start) * 1e3 / len(samples) / (len(path) - 1)


def lammps(samples: Samples, path: torch.Tensor) -> float:
    """The same for LAMMPS' conjugate gradients."""
    tolerance = RMS_FORCE * (3 * samples.positions.shape[1]) ** 0.5
    elapsed = 0.0
    for index in range(len(samples)):
        sample = samples[index : index + 1]
        with polymer_in_lammps(sample, BeadSpring.from_yaml()) as engine:
            engine.commands_list(["min_style cg", "min_modify norm two dmax 0.1"])
            start = time.perf_counter()
            for strain in path[1:]:
                deform(engine, sample.box[0], strain)
                engine.command(f"minimize 0 {tolerance} 100000 100000")
            elapsed += time.perf_counter() - start
    return elapsed * 1e3 / len(samples) / (len(path) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 cells instead of 16")
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args()
    samples = load_library("polymer_80_a")[0][: 2 if options.quick else 16]
    path = sample_paths("nonproportional", 1, 60, seed=1)[0]
    us, peer = ours(samples, path), lammps(samples, path)
    rows = [{"name": "aqs_vs_lammps", "ours": us, "peer": peer, "ratio": us / peer, "unit": "ms/increment"}]
    for row in rows:
        print("{name}: {ours:.2f} against {peer:.2f} {unit}, ratio {ratio:.2f}".format(**row))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
