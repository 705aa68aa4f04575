"""Two hundred systems, sound and spoilt, through all MD cells: a right answer or one clear error, and nothing else.

A seed draws a system of random size, box, density, chains and species. Even seeds leave it as it is, gentle or hard;
odd seeds draw a gentle one, which would have an answer, and spoil it by one of the FAULTS. Answers are checked against
the energy alone, by forces at a minimum and by differences by the strain, and against the other backend.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.md.aqs import AQSCell
from prnn_md.md.bonded_energy import CosineAngles, FENEBonds, HarmonicBonds
from prnn_md.md.energy import forces, strained_energy
from prnn_md.md.failure import REASONS, CellFailure
from prnn_md.md.force_field import ForceField
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.md_cell import MDCell
from prnn_md.md.overdamped import OverdampedCell
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.sample import Samples
from prnn_md.md.topology import angles_of
from prnn_md.mechanics import LJ, least_stretch, stretch_of

CASES, SECONDS = 200, 60.0
TOLERANCE = 1e-3  # root-mean-square force of the AQS cells
EVALUATIONS = {"kernel": 20_000, "torch": 1_000}
OPTIONS: dict[type[MDCell], dict[str, Any]] = {
    AQSCell: {"force_tolerance": TOLERANCE},
    OverdampedCell: {"steps": 2},
    LangevinCell: {"equilibration": 0.01},
}
Rng = np.random.Generator


@dataclass
class System:
    """A fuzzed system, as the numbers that a fault may spoil; `gentle` ones must have an answer."""

    kind: type[MDCell]
    backend: str
    gentle: bool
    positions: Tensor
    box: Tensor
    bonds: Tensor
    types: Tensor
    masses: Tensor
    pairs: dict[str, Tensor]
    bond: dict[str, Tensor]
    fene: bool
    bending: float
    several_images: bool
    strains: Tensor
    times: Tensor
    on_failure: str

    def force_field(self) -> ForceField:
        pairs = LennardJones(**self.pairs, shifted=True)
        terms: dict[str, torch.nn.Module] = {"pairs": pairs}
        stiffness, length = self.bond["stiffness"], self.bond["length"]
        if len(self.bonds):
            fene = FENEBonds(self.bonds, stiffness, 1.6 * length, pairs)
            terms["bonds"] = fene if self.fene else HarmonicBonds(self.bonds, stiffness, length)
        if self.bending and len(angles_of(self.bonds)):
            terms["angles"] = CosineAngles(angles_of(self.bonds), torch.tensor([self.bending]))
        return ForceField(terms, self.masses, LJ, self.bonds, self.several_images)

    def run(self, backend: str) -> tuple[MDCell, Tensor, State]:
        """The cell, its stresses (paths, samples, T, 6), and its state at the end."""
        samples = Samples(self.positions, self.box, self.bonds, self.types)
        options = {"backend": backend, "threads": 1, "on_failure": self.on_failure, **OPTIONS[self.kind]}
        if self.kind is AQSCell:
            options["max_evaluations"] = EVALUATIONS[backend]
        cell = self.kind(samples, self.force_field(), **options)
        return cell, *cell.rollout(self.strains, self.times)


def drawn(seed: int) -> tuple[System, str]:
    """The system of a seed, and the name of the fault that spoils it or nothing."""
    rng = np.random.default_rng(seed)
    kind, backend = (AQSCell, OverdampedCell, LangevinCell)[seed % 3], str(rng.choice(["kernel", "torch"]))
    fault = list(FAULTS)[seed // 2 % len(FAULTS)] if seed % 2 else ""
    gentle = bool(fault or rng.random() < 0.5)
    particles = int(rng.integers(3 if fault else 2, 61 if backend == "kernel" else 17))
    count, species = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    box = np.stack([random_box(rng, grid_edge(particles), gentle) for _ in range(count)])
    positions = np.stack([(on_a_grid if gentle else anywhere)(rng, particles) for _ in range(count)])
    size = rng.uniform(0.85, 0.95) if gentle else 10 ** rng.uniform(-1.0, 0.3)  # from dilute to far too dense
    sigma, epsilon = size * symmetric(rng, species, 0.9, 1.0), symmetric(rng, species, 0.5, 1.5)
    stretching = 0.03 if gentle else 10 ** rng.uniform(-3.0, 0.5)
    strains = stretching * rng.uniform(-1, 1, (int(rng.integers(1, 3)), count, 3, 6))
    strains[:, :, 0] = 0.0
    system = System(
        kind=kind,
        backend=backend,
        gentle=gentle,
        positions=torch.from_numpy(positions),
        box=torch.from_numpy(box),
        bonds=chains(particles, int(rng.integers(2 if fault else 1, 21))),
        types=torch.from_numpy(rng.integers(0, species, particles)),
        masses=torch.from_numpy(rng.uniform(0.5, 2.0, particles)),
        pairs={"epsilon": epsilon, "sigma": sigma, "inner": 1.2 * sigma, "outer": rng.choice([1.2, 1.5]) * sigma},
        bond={"stiffness": torch.tensor([30.0]), "length": torch.tensor([1.0])},
        fene=bool(rng.random() < 0.5),
        bending=float(rng.choice([0.0, 1.0])),
        several_images=gentle or bool(rng.random() < 0.7),
        strains=torch.from_numpy(strains),
        times=torch.arange(3, dtype=torch.float64) * (0.001 if gentle else 10 ** rng.uniform(-4.0, -1.0)),
        on_failure=str(rng.choice(["raise", "mask"])),
    )
    if fault:
        system.gentle, system.on_failure = False, "raise"
        FAULTS[fault][1](system, rng)
    return system, fault


def grid_edge(particles: int) -> int:
    """Points along the edge of the smallest cubic grid that has a point for each particle."""
    return next(edge for edge in range(1, particles + 1) if edge**3 >= particles)


def random_box(rng: Rng, edge: float, gentle: bool) -> np.ndarray:
    """A box (3, 3), of which half are turned around and half so strongly triclinic that they are narrow.

    Gentle ones have vectors of the lattice of cubes, so that what lies on a grid in the cube does so in the box.
    """
    box = np.eye(3) + (0.0 if gentle else 0.3) * rng.uniform(-1, 1, (3, 3))
    box *= edge / np.cbrt(abs(np.linalg.det(box)))
    if rng.random() < 0.5:
        box[:, :2] *= -1.0
    if rng.random() < 0.5:
        box[:, 1] += rng.integers(-2, 3) * box[:, 0]
        box[:, 2] += rng.integers(-2, 3) * box[:, 1]
    return box


def on_a_grid(rng: Rng, particles: int) -> np.ndarray:
    """Places (N, 3) near the points of a grid, each next to the one before it, somewhere far from the origin."""
    points, edge = [], grid_edge(particles)
    for row, (i, j) in enumerate(product(range(edge), range(edge))):
        points += [(i, j if i % 2 == 0 else edge - 1 - j, k if row % 2 == 0 else edge - 1 - k) for k in range(edge)]
    near = np.array(points[:particles]) + 0.05 * rng.uniform(-1, 1, (particles, 3))
    return near + rng.uniform(-100.0, 100.0, 3)


def anywhere(rng: Rng, particles: int) -> np.ndarray:
    """Places (N, 3) of a random walk, overlaps and all."""
    return 0.5 * rng.standard_normal((particles, 3)).cumsum(0)


def chains(particles: int, length: int) -> Tensor:
    """Bonds (B, 2) of chains of so many particles; the last one may be shorter."""
    bonds = [(i, i + 1) for i in range(particles - 1) if (i + 1) % length]
    return torch.tensor(bonds, dtype=torch.int64).reshape(-1, 2)


def symmetric(rng: Rng, species: int, low: float, high: float) -> Tensor:
    """A symmetric table (K, K) of numbers in this range."""
    table = rng.uniform(low, high, (species, species))
    return torch.from_numpy(np.minimum(table, table.T))


def put(number: float, *names: str) -> Callable[[System, Rng], None]:
    """Spoils a system by this number at a random place of an array, or of one in a dictionary."""

    def spoil(system: System, rng: Rng) -> None:
        array = getattr(system, names[0])
        array = array[names[1]] if names[1:] else array
        place = tuple(int(rng.integers(size)) for size in array.shape)
        array[place] = number
        if names[0] == "pairs":
            array[place[::-1]] = number

    return spoil


def change(**changes: Callable[[Tensor], Any]) -> Callable[[System, Rng], None]:
    """Spoils a system by functions of its arrays, each by its name."""

    def spoil(system: System, rng: Rng) -> None:
        for name, function in changes.items():
            setattr(system, name, function(getattr(system, name)))

    return spoil


def bond_with(*pair: int) -> Callable[[System, Rng], None]:
    """Spoils a system by a further bond between these particles."""
    return change(bonds=lambda bonds: torch.cat([bonds, torch.tensor([pair])]))


def overlap(system: System, rng: Rng) -> None:
    """Puts the last particle on the first one, to which it is not bonded."""
    system.positions[:, -1] = system.positions[:, 0]
    system.bonds = system.bonds[:0]


def no_bond_length(system: System, rng: Rng) -> None:
    """Puts the two particles of a bond on the same place."""
    system.bonds, system.fene = torch.tensor([[0, 1]]), True
    system.positions[:, 1] = system.positions[:, 0]


def narrow(system: System, rng: Rng) -> None:
    """Makes the box smaller than twice the cutoff, without leave to do so."""
    system.several_images, system.box = False, system.box * (0.5 / torch.linalg.det(system.box).abs().max() ** (1 / 3))


def strained_by(*sizes: float) -> Callable[[System, Rng], None]:
    """Spoils a system by the same strain along the axes at all points."""
    strain = torch.tensor([*sizes, 0.0, 0.0, 0.0], dtype=torch.float64)
    return change(strains=lambda strains: strain.expand_as(strains))


def other_numbers(dtype: torch.dtype, *names: str) -> Callable[[System, Rng], None]:
    """Spoils a system by numbers of another precision."""
    return change(**{name: lambda array: array.to(dtype) for name in names})


FAILURES = [*REASONS.values(), "narrower than"]
NAN, INF = float("nan"), float("inf")
PAIRS = "Lennard-Jones|epsilon|sigma|inner|outer|cutoff"
FAULTS: dict[str, tuple[str, Callable[[System, Rng], None]]] = {  # what the error must name, and what spoils a system
    "NaN position": ("[Pp]osition", put(NAN, "positions")),
    "infinite position": ("[Pp]osition", put(INF, "positions")),
    "position lost in round-off": ("[Pp]osition", put(1e20, "positions")),
    "NaN box": ("[Bb]ox", put(NAN, "box")),
    "infinite box": ("[Bb]ox", put(INF, "box")),
    "flat box": ("[Bb]ox", change(box=lambda box: torch.cat([box[..., :2], box[..., :1]], -1))),
    "left-handed box": ("[Bb]ox", change(box=lambda box: box.flip(-1))),
    "box of no size": ("[Bb]ox", change(box=lambda box: 0.0 * box)),
    "tiny box": ("[Bb]ox", change(box=lambda box: 1e-3 * box)),
    "narrow box": ("twice the cutoff", narrow),
    "NaN strain": ("strain", put(NAN, "strains")),
    "infinite strain": ("strain", put(INF, "strains")),
    "strain to nothing": ("strain", strained_by(-1.0, -1.0, -1.0)),
    "strain to a plane": ("strain", strained_by(-1.0, 0.0, 0.0)),
    "strain inside out": ("strain", strained_by(-2.0, 0.0, 0.0)),
    "strain to almost nothing": ("strain|box|overlap", strained_by(-0.999, -0.999, -0.999)),
    "NaN epsilon": (PAIRS, put(NAN, "pairs", "epsilon")),
    "infinite epsilon": (PAIRS, put(INF, "pairs", "epsilon")),
    "negative epsilon": (PAIRS, put(-1.0, "pairs", "epsilon")),
    "NaN sigma": (PAIRS, put(NAN, "pairs", "sigma")),
    "infinite sigma": (PAIRS, put(INF, "pairs", "sigma")),
    "no sigma": (PAIRS, put(0.0, "pairs", "sigma")),
    "inner beyond outer cutoff": (PAIRS, put(9.0, "pairs", "inner")),
    "NaN outer cutoff": (PAIRS, put(NAN, "pairs", "outer")),
    "infinite outer cutoff": (PAIRS, put(INF, "pairs", "outer")),
    "NaN bond stiffness": ("stiffness", put(NAN, "bond", "stiffness")),
    "NaN bond length": ("length|extent", put(NAN, "bond", "length")),
    "negative bond length": ("length|extent", put(-1.0, "bond", "length")),
    "infinite bond length": ("length|extent", put(INF, "bond", "length")),
    "bond of no length": ("bond|overlap", no_bond_length),
    "bond to itself": ("[Bb]ond", bond_with(1, 1)),
    "bond just out of range": ("[Bb]ond", lambda system, rng: bond_with(0, system.positions.shape[1])(system, rng)),
    "bond far out of range": ("[Bb]ond", bond_with(0, 10**9)),
    "bond to a negative number": ("[Bb]ond", bond_with(-1, 1)),
    "bonds of three": ("[Bb]ond", change(bonds=lambda bonds: torch.tensor([[0, 1, 1]]))),
    "overlap": ("overlap", overlap),
    "type out of range": ("[Tt]ype", put(9, "types")),
    "negative type": ("[Tt]ype", put(-1, "types")),
    "too few types": ("[Tt]ype", change(types=lambda types: types[1:])),
    "too few masses": ("mass", change(masses=lambda masses: masses[1:])),
    "NaN mass": ("mass", put(NAN, "masses")),
    "no mass": ("mass", put(0.0, "masses")),
    "positions without samples": ("[Pp]osition", change(positions=lambda x: x[0])),
    "positions in a plane": ("[Pp]osition", change(positions=lambda x: x[..., :2])),
    "more samples than boxes": ("[Bb]ox", change(positions=lambda x: torch.cat([x, x]))),
    "box without samples": ("[Bb]ox", change(box=lambda box: box[0])),
    "no particles": ("particle|[Pp]osition", change(positions=lambda x: x[:, :0], bonds=lambda bonds: bonds[:0])),
    "strains of five components": ("[Ss]train", change(strains=lambda e: e[..., :5])),
    "strains for more samples": ("sample", change(strains=lambda e: torch.cat([e, e], 1))),
    "strains without increments": ("strain|increment", change(strains=lambda e: e[..., :0, :], times=lambda t: t[:0])),
    "too few times": ("time", change(times=lambda times: times[1:])),
    "NaN time": ("time", put(NAN, "times")),
    "times that go back": ("time", change(times=lambda times: times.flip(0))),
    "strains in single precision": ("float", other_numbers(torch.float32, "strains")),
    "times in single precision": ("float", other_numbers(torch.float32, "times")),
    "samples in single precision": ("float", other_numbers(torch.float32, "positions", "box")),
    "all in single precision": ("float", other_numbers(torch.float32, "positions", "box", "strains", "times")),
    "whole numbers as strains": ("float", other_numbers(torch.int64, "strains")),
}


def within_time(work: Callable[[], Any]) -> Any:
    """What the work returns; TimeoutError if it takes too long, and then it is left to itself."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(work).result(SECONDS)
    finally:
        pool.shutdown(wait=False)


def items_of(system: System, cell: MDCell, strains: Tensor) -> tuple[Tensor, Tensor]:
    """Strains (I, 6) and undeformed boxes (I, 3, 3) of all items, paths by samples."""
    return strains.reshape(-1, 6), cell.sample_box.double().expand(len(system.strains), -1, 3, 3).reshape(-1, 3, 3)


def check_marks(stresses: Tensor, failed: Tensor) -> None:
    """Stresses (paths, samples, T, 6) are finite until an item fails, and NaN from there on; none else is marked."""
    finite, lost = stresses.isfinite().all(-1), stresses.isnan().all(-1)
    assert (finite | lost).all(), "a stress is NaN or infinite in part"
    assert torch.equal(lost[..., -1], failed), "NaN and mark do not go together"
    assert (finite.int().diff(dim=-1) <= 0).all(), "a stress is finite after one that is not"


def check_answer(system: System, cell: Any, stresses: Tensor, state: State) -> None:
    """The energy alone gives the last stress, as its difference by the strain, and small forces at a minimum."""
    good, force_field, types = ~state.failed.reshape(-1), cell.force_field, cell.types
    if not good.any():
        return
    assert (least_stretch(system.strains.double()).amin(-1).reshape(-1)[good] > 0.0).all(), "a cell is inside out"
    strains, box = (array[good] for array in items_of(system, cell, system.strains[:, :, -1].double()))
    y = state.positions.double().reshape(len(good), -1, 3)[good]
    stretch = stretch_of(strains)
    neighbours = force_field.neighbours(y @ stretch.mT, stretch @ box)
    force = forces(force_field, y @ stretch.mT, stretch @ box, types, neighbours)
    if system.kind is AQSCell:
        assert (force.square().mean((1, 2)).sqrt() <= 1.01 * TOLERANCE).all(), "a particle feels a force"
    if system.kind is LangevinCell:
        return  # an average over time is compared with that of the other backend
    found = (stresses + cell.residual_stress.unsqueeze(-2))[:, :, -1].reshape(-1, 6)[good].double()
    volume, h = torch.linalg.det(box).abs(), 1e-6
    for component in range(6):
        step = h * torch.eye(6, dtype=torch.float64)[component]
        up, down = (
            strained_energy(force_field, strains + sign * step, y, box, types, neighbours) for sign in (1.0, -1.0)
        )
        expected = (up - down) / (2 * h * volume)
        round_off = 1e-15 * up.abs() / (h * volume)
        error = (found[:, component] - expected).abs()
        assert (error <= 1e-5 * (1.0 + found.abs().amax(-1)) + 10 * round_off).all(), "no difference of the energy"


def check_backends(system: System, stresses: Tensor, state: State) -> None:
    """The other backend gives the same stresses, failures and all."""
    other_stresses, other_state = system.run("torch" if system.backend == "kernel" else "kernel")[1:]
    assert torch.equal(state.failed, other_state.failed), "backends do not agree on what failed"
    torch.testing.assert_close(other_stresses, stresses, rtol=1e-6, atol=1e-6, equal_nan=True)


def checked(system: System, fault: str) -> str:
    """Run a system and check what comes of it: the error's message, or nothing for a right answer."""
    try:
        cell, stresses, state = system.run(system.backend)
    except (ValueError, CellFailure) as error:
        return str(error)
    check_marks(stresses, state.failed)
    assert not (system.gentle and state.failed.any()), "a gentle system failed"
    check_answer(system, cell, stresses, state)
    if system.kind is not AQSCell and not fault:  # AQS cells may find another minimum
        check_backends(system, stresses, state)
    return ""


def may_be_right(system: System, fault: str) -> bool:
    """Whether there is a right answer in spite of the fault: other precision, and what a cell does not use."""
    without_time = fault in ("NaN time", "times that go back") and system.kind is AQSCell
    without_inertia = fault in ("NaN mass", "no mass") and system.kind is not LangevinCell
    return without_time or without_inertia or "precision" in fault or fault == "whole numbers as strains"


@pytest.fixture(scope="module", autouse=True)
def kernels_are_compiled() -> None:
    """Which may take a minute, and is not to count for one of the systems."""
    gentle = (system for system, _ in map(drawn, range(CASES)) if system.gentle)
    for system in {system.kind: system for system in gentle}.values():
        system.on_failure = "mask"
        system.run("kernel")
        system.run("torch")


@pytest.mark.parametrize("seed", range(CASES))
def test_a_fuzzed_system_has_a_right_answer_or_one_clear_error(seed: int) -> None:
    system, fault = drawn(seed)
    message = within_time(lambda: checked(system, fault))
    if not fault:
        assert not message or (not system.gentle and any(word in message for word in FAILURES)), message
    elif message:
        assert re.search(FAULTS[fault][0], message), f"{fault}: '{message}' does not name it"
    else:
        assert may_be_right(system, fault), f"{fault} was not refused"


def test_the_fuzzed_systems_are_of_all_kinds() -> None:
    systems, faults = zip(*map(drawn, range(CASES)), strict=True)
    assert len({(system.kind, system.backend, system.gentle) for system in systems}) == 12
    assert set(faults) == {"", *FAULTS}
    assert sum(system.gentle for system in systems) > CASES // 6
