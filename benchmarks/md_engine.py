"""Speed of the molecular dynamics engine: each row is our time against that of a peer, measured in the same run.

Prints a table; `--json FILE` writes its rows of name, ours, peer, ratio = ours / peer and unit; `--quick` does less of
everything. All works of a row take turns, several times, and their shortest times count, so that other jobs on the
machine matter little and compiling does not count. Torch runs on one core.

force_vs_lammps      one evaluation of energy and forces of an 80-bead cell, from a neighbour list with the skin of the
                     AQS minimiser, against one step of the same cell in LAMMPS, which also integrates, carries ghost
                     particles along and looks whether any particle has left the skin (the same). It is so cold that
                     neither builds a new list.
aqs_vs_lammps        one AQS increment of an 80-bead cell against LAMMPS' conjugate gradients, along the same path and
                     down to the same root-mean-square force over all components, which is checked. Ours includes the
                     stress, LAMMPS' none.
forces_vs_torchmd    forces of 32 replicas of 100 Lennard-Jones particles, on two cores, against TorchMD's loop, which
                     two cores do not make faster. Ours finds the pairs within the cutoff once for 100 evaluations, as
                     if no particle got far; TorchMD goes through all pairs each time. The forces are checked.
backward_vs_forward  reverse pass through an AQS roll-out of 16 cells of 80 beads against its forward pass.
two_cores_vs_one     AQS roll-out of 64 cells by two threads against one.
cells_4096_vs_32     cell-increments in one batch of 4096 cells (with --quick 1024) against batches of 32 cells, one
                     after another until there are as many.
compiled_vs_eager    forces of 32 x 100 Lennard-Jones particles from a given list, by compiled torch operations against
                     automatic differentiation of the energy.

The last line is the memory that an AQS roll-out keeps for its reverse pass.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torchmd.forcefields.forcefield import ForceField as TorchMDForceField
from torchmd.forces import Forces
from torchmd.parameters import Parameters

from prnn_md.compiled import FAST
from prnn_md.data.paths import sample_paths
from prnn_md.md import energy
from prnn_md.md.aqs import AQSCell
from prnn_md.md.batched.pair_forces import pair_forces
from prnn_md.md.force_field import ForceField
from prnn_md.md.force_field_file import read_force_field
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.minimiser import SKIN
from prnn_md.md.kernels.neighbours import find_terms
from prnn_md.md.kernels.potential import energy_and_forces
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import stretch_of
from prnn_md.reference.system import deform, in_lammps, read_sample

RMS_FORCE = 1e-6
KEPT_GOAL = 10.0  # kB per cell-increment
LENNARD_JONES = """
units: lj
atomtypes: [A]
masses: {A: 1.0}
lj: {A: {sigma: 1.0, epsilon: 1.0}}
cutoff: {inner: 2.5, outer: 2.5}
"""


@dataclass(frozen=True)
class Size:
    """How much of everything is measured."""

    repeats: int = 5
    evaluations: int = 20_000
    cells: int = 16
    increments: int = 60
    paths: int = 128
    few: int = 2


QUICK = Size(repeats=2, evaluations=5_000, cells=2, increments=20, paths=32, few=1)


@dataclass(frozen=True)
class Row:
    """Our time and that of the peer in `unit`; their ratio should be at most `goal`."""

    name: str
    ours: float
    peer: float
    unit: str
    goal: float

    @property
    def ratio(self) -> float:
        return self.ours / self.peer

    def __str__(self) -> str:
        numbers = f"{self.ours:10.4g} {self.peer:10.4g} {self.unit:22}"
        return f"{self.name:20} {numbers} {self.ratio:9.4f} {self.goal:9.4f}"

    def entry(self) -> dict[str, Any]:
        """What is written of it."""
        return {"name": self.name, "ours": self.ours, "peer": self.peer, "ratio": self.ratio, "unit": self.unit}


def fastest(repeats: int, *works: Callable[[], Any]) -> list[float]:
    """The shortest time of each work in seconds; they take turns, and the first round is left out: it may compile."""
    times = [[_seconds(work) for work in works] for _ in range(repeats + 1)]
    return [min(column) for column in zip(*times[1:], strict=True)]


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def polymer(cells: int) -> tuple[Samples, ForceField]:
    """So many 80-bead cells at rest."""
    samples = load_library("polymer_80_a")[0][:cells]
    return samples, polymer_force_field(samples)


def polymer_cell(cells: int, threads: int = 1) -> AQSCell:
    samples, force_field = polymer(cells)
    return AQSCell(samples, force_field, force_tolerance=RMS_FORCE, backend="kernel", threads=threads)


def strain_path(increments: int) -> Tensor:
    """The beginning (increments + 1, 6) of a path that wanders through all six components."""
    return sample_paths("nonproportional", 1, seed=1)[0][0, : increments + 1]


@njit(**FAST)
def evaluate(x, terms, p, forces, count):
    """Evaluate energy and forces so often; returns the sum of the energies."""
    total = 0.0
    for _ in range(count):
        total += energy_and_forces(x, terms, p, forces)
    return total


def force_vs_lammps(size: Size) -> Row:
    sample, force_field = polymer(1)
    x, field = padded(sample.positions[0].numpy()), compiled_field(force_field, sample.types)
    terms = find_terms(x, sample.box[0].numpy(), field, field.cutoff + SKIN)
    forces, count = padded(x), size.evaluations  # arrays of compiled functions are aligned, those of NumPy need not be
    with in_lammps(sample, force_field) as lammps:
        lammps.commands_list([f"neighbor {SKIN} bin", "velocity all create 1e-6 1", "fix move all nve"])
        lammps.commands_list(["timestep 0.005", "thermo 0", "run 0"])
        ours, peer = fastest(
            size.repeats,
            lambda: evaluate(x, terms, field, forces, count),
            lambda: lammps.command(f"run {count} pre no post no"),
        )
    return Row("force_vs_lammps", ours / count * 1e6, peer / count * 1e6, "us/evaluation", 0.25)


def aqs_vs_lammps(size: Size) -> Row:
    path, (samples, force_field) = strain_path(size.increments), polymer(size.cells)
    ours, peer = 0.0, 0.0
    for index in range(len(samples)):
        sample = samples[index : index + 1]
        cell = AQSCell(sample, force_field, force_tolerance=RMS_FORCE, backend="kernel", threads=1)
        runs = [(follow(cell, path), follow_in_lammps(sample, force_field, path)) for _ in range(size.repeats)]
        times = [(one[0], other[0]) for one, other in runs]
        ours, peer = (old + min(new) for old, new in zip((ours, peer), zip(*times, strict=True), strict=True))
        for _, minima in runs[0]:
            check_minima(minima, force_field)
    scale = 1e3 / len(samples) / (len(path) - 1)
    return Row("aqs_vs_lammps", ours * scale, peer * scale, "ms/increment", 0.3)


def follow(cell: AQSCell, path: Tensor) -> tuple[float, Samples]:
    """Seconds that a cell of one sample takes along a path (T+1, 6), and the sample at its end."""
    start = time.perf_counter()
    _, state = cell.rollout(path[None], torch.zeros(len(path)))
    elapsed = time.perf_counter() - start
    stretch = stretch_of(path[-1])
    return elapsed, Samples(state.positions @ stretch.mT, stretch @ cell.sample_box)


def follow_in_lammps(sample: Samples, force_field: ForceField, path: Tensor) -> tuple[float, Samples]:
    """The same for LAMMPS, with the samples at the end of all increments."""
    tolerance, elapsed, minima = RMS_FORCE * (3 * sample.positions.shape[1]) ** 0.5, 0.0, []
    with in_lammps(sample, force_field) as lammps:
        lammps.commands_list(["min_style cg", "min_modify norm two dmax 0.1", "thermo 0", "run 0"])
        for strain in path[1:]:
            start = time.perf_counter()
            deform(lammps, sample.box[0], strain)
            lammps.command(f"minimize 0 {tolerance:.17g} 100000 100000")
            elapsed += time.perf_counter() - start
            minima.append(read_sample(lammps, sample))
    return elapsed, Samples.cat(minima)


def check_minima(minima: Samples, force_field: ForceField) -> None:
    """RuntimeError unless the forces of the energy in torch are as small as they ought to be."""
    x, box = minima.positions, minima.box
    forces = energy.forces(force_field, x, box, minima.types, force_field.neighbours(x, box))
    largest = float(forces.square().mean((1, 2)).sqrt().max())
    if not largest <= 1.001 * RMS_FORCE:
        raise RuntimeError(f"A minimisation stopped at an rms force of {largest:.2e} instead of {RMS_FORCE:.0e}.")


@dataclass(frozen=True)
class Liquid:
    """Replicas of 100 Lennard-Jones particles at density 0.8, on lattice places with random displacements."""

    positions: Tensor
    box: Tensor
    types: Tensor
    force_field: ForceField
    torchmd: Forces


def liquid(replicas: int = 32) -> Liquid:
    places = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0), 1.25 * torch.arange(4.0)).double()
    jitter = torch.rand(replicas, 100, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
    names = ["A"] * 100
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "liquid.yaml"
        file.write_text(LENNARD_JONES)
        ours = read_force_field(file, names, torch.zeros(0, 2, dtype=torch.int64))
        theirs = torchmd_forces(str(file), names, ours.cutoff)
    box = 5.0 * torch.eye(3, dtype=torch.float64).repeat(replicas, 1, 1)
    return Liquid(places + 0.2 * jitter, box, torch.zeros(100, dtype=torch.int64), ours, theirs)


def torchmd_forces(file: str, names: list[str], cutoff: float) -> Forces:
    """TorchMD's Lennard-Jones forces, cut off without a switch."""
    nothing, ones = np.zeros((0, 2), dtype=np.int64), np.ones(len(names))
    kinds = np.array(names, dtype=object)
    molecule = SimpleNamespace(numAtoms=len(names), atomtype=kinds, charge=0.0 * ones, masses=ones, bonds=nothing)
    parameters = Parameters(TorchMDForceField.create(molecule, file), molecule, ["lj"], torch.float64)
    return Forces(parameters, terms=["lj"], cutoff=cutoff)


@njit(**FAST)
def evaluate_replicas(x, box, p, forces, count):
    """Find the pairs of replicas (R, N, 4), and evaluate their forces, one after another, so often."""
    terms = [find_terms(x[k], box[k], p, p.cutoff) for k in range(x.shape[0])]
    for _ in range(count):
        for k in range(x.shape[0]):
            energy_and_forces(x[k], terms[k], p, forces[k])


def forces_vs_torchmd(size: Size) -> Row:
    system, count = liquid(), 100
    x, box = np.pad(system.positions.numpy(), ((0, 0), (0, 0), (0, 1))), system.box.numpy()
    field = compiled_field(system.force_field, system.types)
    forces, reference = np.empty_like(x), torch.empty_like(system.positions)
    halves = [(x[h], box[h], field, forces[h], count) for h in (slice(16), slice(16, 32))]
    with ThreadPoolExecutor(2) as pool:
        ours, peer = fastest(
            size.repeats,
            lambda: list(pool.map(evaluate_replicas, *zip(*halves, strict=True))),
            lambda: system.torchmd.compute(system.positions, system.box, reference),
        )
    check_forces(torch.from_numpy(forces[..., :3]), reference)
    return Row("forces_vs_torchmd", ours / count * 1e3, peer * 1e3, "ms/32 replicas", 0.001)


def check_forces(ours: Tensor, peer: Tensor, tolerance: float = 1e-10) -> None:
    """RuntimeError unless two calculations of forces agree, relative to the largest of them."""
    difference = float((ours - peer).abs().max() / peer.abs().max())
    if not difference <= tolerance:
        raise RuntimeError(f"The forces differ by {difference:.1e} of the largest of them.")


def backward_vs_forward(size: Size) -> Row:
    cell, increments = polymer_cell(16), min(20, size.increments)
    strains = strain_path(increments).expand(16, -1, 6).clone().requires_grad_()
    stresses: list[Tensor] = []
    peer, ours = fastest(
        size.repeats,
        lambda: stresses.append(cell.rollout(strains, torch.zeros(increments + 1))[0]),
        lambda: torch.autograd.grad(stresses.pop().sum(), strains),
    )
    scale = 1e3 / 16 / increments
    return Row("backward_vs_forward", ours * scale, peer * scale, "ms/increment", 1.2)


def two_cores_vs_one(size: Size) -> Row:
    increments = min(10, size.increments)
    strains = strain_path(increments).expand(2, 32, -1, 6)
    two, one = (polymer_cell(32, threads) for threads in (2, 1))
    with torch.no_grad():
        ours, peer = fastest(
            size.repeats,
            lambda: two.rollout(strains, torch.zeros(increments + 1)),
            lambda: one.rollout(strains, torch.zeros(increments + 1)),
        )
    return Row("two_cores_vs_one", ours * 1e3, peer * 1e3, "ms", 1.0 / 1.8)


def cells_4096_vs_32(size: Size) -> Row:
    cell, times = polymer_cell(32), torch.zeros(size.few + 1)
    strains = strain_path(size.few).expand(size.paths, 32, -1, 6)
    with torch.no_grad():
        ours, peer = fastest(
            min(size.repeats, 3),
            lambda: cell.rollout(strains, times),
            lambda: [cell.rollout(path, times) for path in strains],
        )
    scale = 1e3 / (32 * size.paths * size.few)
    return Row("cells_4096_vs_32", ours * scale, peer * scale, "ms/increment", 1.15)


def compiled_vs_eager(size: Size) -> Row:
    system = liquid()
    x, box, types, force_field = system.positions, system.box, system.types, system.force_field
    neighbours, pairs = force_field.neighbours(x, box), force_field.terms["pairs"]
    ours, peer = fastest(
        4 * size.repeats,
        lambda: pair_forces(pairs, x, box, types, neighbours),
        lambda: energy.forces(force_field, x, box, types, neighbours),
    )
    reference = energy.forces(force_field, x, box, types, neighbours)
    check_forces(pair_forces(pairs, x, box, types, neighbours), reference)
    return Row("compiled_vs_eager", ours * 1e3, peer * 1e3, "ms/evaluation", 0.4)


ROWS = (
    force_vs_lammps,
    aqs_vs_lammps,
    forces_vs_torchmd,
    backward_vs_forward,
    two_cores_vs_one,
    cells_4096_vs_32,
    compiled_vs_eager,
)


def kept_for_backward() -> float:
    """Memory in kB that an AQS roll-out of 80-bead cells keeps for its reverse pass, per cell and increment."""
    strains = strain_path(20).expand(4, -1, 6).clone().requires_grad_()
    stresses, _ = polymer_cell(4).rollout(strains, torch.zeros(21))
    return kept_bytes(stresses) / 1e3 / 4 / 20


def kept_bytes(result: Tensor) -> int:
    """Bytes of all tensors and arrays that hang on the graph behind a result, each of them once."""
    nodes, seen, kept = [result.grad_fn], set(), {}
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
        held = [getattr(node, "__dict__", {}), [getattr(node, name) for name in dir(node) if name.startswith("_saved")]]
        for leaf in tree_leaves(held):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                kept[storage.data_ptr()] = storage.nbytes()
            elif isinstance(leaf, np.ndarray):
                kept[leaf.ctypes.data] = leaf.nbytes
    return sum(kept.values())


def measured(size: Size) -> Iterable[Row]:
    """All rows, each printed as soon as there is one."""
    header = f"{'name':20} {'ours':>10} {'peer':>10} {'unit':22} {'ratio':>9} {'goal':>9}"
    print(header, "-" * len(header), sep="\n", flush=True)
    for measure in ROWS:
        row = measure(size)
        print(row, flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under 45 s")
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(measured(QUICK if options.quick else Size()))
    print(f"\nkept for the reverse pass: {kept_for_backward():.2f} kB per cell and increment, goal {KEPT_GOAL:.0f}")
    if options.json:
        options.json.write_text(json.dumps([row.entry() for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
