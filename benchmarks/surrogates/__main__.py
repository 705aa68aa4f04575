"""How much faster surrogates are than the simulations that they stand for; everything on one core.

Prints a table; `--json FILE` writes its rows of name, ours, peer, ratio = peer / ours, unit and goal; `--quick` does
less of everything. The shortest of several times counts, but for labels, which are long.

A label is the stress along a path of 60 increments, by LAMMPS, as the mean over 5 samples, of which one is timed. The
samples are copies of a quenched cell of 160 beads, side by side, moved apart a little and brought to rest; larger ones
take more of everything and somewhat more iterations. Surrogates are untrained, which costs as much.

j2_1280, j2_10240      a PRNN of 8 J2 cells against labels of that many beads, one path at a time
j2_batch_1280          the same for many paths at once, for each of them
gru_1280               a GRU of 234 units, as a search has found, one path at a time
md_1280, md_10240      a PRNN of 32 MD cells of 160 beads, one path at a time
md_batch_10240         the same for four paths at once, for each of them
md_equal_error         the same against as many samples of 1280 beads as have the standard error that this PRNN has as
                       an error: the fair figure. Both errors are estimated by --md-error and --sample-error, the net
                       error of the PRNN and the standard error of one sample, in units of the stress scale.
md_j2_equal_error      the same with four J2 cells beside the MD cells, with --md-j2-error
jax_8, jax_512         J2 along 60 increments, forward and backward, 8 or 512 items at a time, against the same model
                       written with jax.lax.scan (pip install jax); `compile` is how long compiling that takes.
"""

import os

if __name__ == "__main__":  # before any library has counted the cores
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peers import copies, jax_j2, label_seconds
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.data.paths import sample_paths
from prnn_md.materials.j2 import J2
from prnn_md.md.polymer import polymer_cells
from prnn_md.surrogates import PRNN, RecurrentBaseline
from prnn_md.surrogates.decoder import HillMandelDecoder
from prnn_md.surrogates.encoder import AmplifiedRotationEncoder, TaylorEncoder

REPLICAS = 5


@dataclass(frozen=True)
class Size:
    """How much is measured: increments that LAMMPS follows (of 60), paths in a batch, of MD cells too, repetitions."""

    increments: dict[int, int]
    batch: int = 64
    md_batch: int = 4
    repeats: int = 5
    md_repeats: int = 3


FULL = Size({1280: 60, 10_240: 60})
QUICK = Size({1280: 6, 10_240: 1}, batch=16, md_batch=1, repeats=2, md_repeats=1)


@dataclass(frozen=True)
class Row:
    """Seconds of a surrogate and of its peer for the same; the ratio should be at least `goal`."""

    name: str
    ours: float
    peer: float
    goal: float
    unit: str = "s/path"
    compile: float | None = None

    @property
    def ratio(self) -> float:
        return self.peer / self.ours

    def __str__(self) -> str:
        row = f"{self.name:16} {self.ours:12.4g} {self.peer:12.4g} {self.unit:8} {self.ratio:12.4g} {self.goal:10.4g}"
        return row if self.compile is None else f"{row}   after {self.compile:.2f} s of compiling"

    def entry(self) -> dict[str, Any]:
        numbers = {name: value for name, value in asdict(self).items() if value is not None}
        return {**numbers, "ratio": self.ratio}


def fastest(repeats: int, work: Callable[[], Any]) -> float:
    """The shortest time of a work in seconds; the first one, which may compile, is left out."""
    work()
    return min(_seconds(work) for _ in range(repeats))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def prnn_j2() -> Cell:
    return PRNN(AmplifiedRotationEncoder, HillMandelDecoder, {"j2": J2(count=8)}, seed=0)


def prnn_md() -> Cell:
    return PRNN(TaylorEncoder, HillMandelDecoder, {"polymer": polymer_cells("a", 160, 32)}, seed=0)


def prnn_md_j2() -> Cell:
    parts = {"polymer": polymer_cells("a", 160, 32), "j2": J2(count=4)}
    return PRNN(TaylorEncoder, HillMandelDecoder, parts, seed=0)


def gru(strains: Tensor, times: Tensor) -> Cell:
    cell = RecurrentBaseline("gru", 234, 1, 0.0, seed=0, units="epsilon/sigma^3")
    cell.set_scales(strains, torch.ones(6, dtype=torch.float64), times)
    return cell


@torch.no_grad()
def per_path(cell: Cell, strains: Tensor, times: Tensor, repeats: int) -> float:
    """Seconds for each of the paths (paths, T+1, 6), all at once."""
    return fastest(repeats, lambda: cell.eval().rollout(strains, times)) / len(strains)


def measured(size: Size, md_error: float, md_j2_error: float, sample_error: float) -> Iterator[Row]:
    """All rows, each printed as soon as it is there."""
    strains, times = sample_paths("nonproportional", size.batch, seed=1)
    one = strains[:1], times[:1]
    labels = {}
    for beads, increments in size.increments.items():
        seconds = label_seconds(copies(beads), strains[0], increments)
        labels[beads] = REPLICAS * seconds * (len(times[0]) - 1) / increments
        print(f"label of {beads} beads: {labels[beads]:.4g} s by {REPLICAS} samples, from {increments} increments")
    print(f"\n{'':16} {'ours':>12} {'peer':>12} {'':8} {'ratio':>12} {'goal':>10}")

    def shown(row: Row) -> Row:
        print(row, flush=True)
        return row

    single = per_path(prnn_j2(), *one, 10 * size.repeats)
    for beads, label in labels.items():
        yield shown(Row(f"j2_{beads}", single, label, 10_000.0))
    small, large = labels
    yield shown(Row(f"j2_batch_{small}", per_path(prnn_j2(), strains, times, size.repeats), labels[small], 10_000.0))
    yield shown(Row(f"gru_{small}", per_path(gru(strains, times), *one, 10 * size.repeats), labels[small], 1.0))
    cell, several = prnn_md(), (strains[: size.md_batch], times[: size.md_batch])
    seconds = per_path(cell, *one, size.md_repeats)
    yield shown(Row(f"md_{small}", seconds, labels[small], 1.0))
    yield shown(Row(f"md_{large}", seconds, labels[large], 100.0))
    yield shown(Row(f"md_batch_{large}", per_path(cell, *several, size.md_repeats), labels[large], 100.0))
    sample = labels[small] / REPLICAS
    yield shown(Row("md_equal_error", seconds, (sample_error / md_error) ** 2 * sample, 1.0))
    seconds = per_path(prnn_md_j2(), *one, size.md_repeats)
    yield shown(Row("md_j2_equal_error", seconds, (sample_error / md_j2_error) ** 2 * sample, 1.0))
    for items in (8, 512):
        yield shown(against_jax(items, strains, size.repeats))


def against_jax(items: int, strains: Tensor, repeats: int) -> Row:
    """J2 forward and backward, for so many items at once; the stresses and gradients of both are compared."""
    paths = strains.repeat(-(-items // len(strains)), 1, 1)[:items].contiguous()
    cell, weights = J2(), torch.linspace(-1.0, 1.0, paths.numel(), dtype=torch.float64).reshape(paths.shape)
    times = torch.arange(float(paths.shape[1]), dtype=torch.float64)

    def ours() -> tuple[Tensor, Tensor]:
        x = paths.detach().requires_grad_()
        stresses = cell.rollout(x, times)[0]
        return stresses.detach(), torch.autograd.grad(stresses, x, weights)[0]

    peer, compile_seconds = jax_j2(cell, paths, weights)
    for mine, its in zip(ours(), peer(), strict=True):
        torch.testing.assert_close(mine, torch.tensor(its), rtol=1e-9, atol=1e-9)
    seconds = fastest(10 * repeats, ours), fastest(10 * repeats, peer)
    return Row(f"jax_{items}", *seconds, goal=2.0, unit="s", compile=compile_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under 45 s")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--md-error", type=float, default=0.085, help="net error of the PRNN of MD cells")
    parser.add_argument("--md-j2-error", type=float, default=0.062, help="net error of that with J2 cells")
    parser.add_argument("--sample-error", type=float, default=0.164, help="standard error of one sample of a label")
    options = parser.parse_args()
    torch.set_num_threads(1)
    size = QUICK if options.quick else FULL
    rows = list(measured(size, options.md_error, options.md_j2_error, options.sample_error))
    if options.json:
        options.json.write_text(json.dumps([row.entry() for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
