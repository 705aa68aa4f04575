"""Any sample with its force field as a LAMMPS simulation, and back."""

import ctypes
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.md.bonded_energy import Bonded, CosineAngles, FENEBonds, HarmonicAngles, HarmonicBonds, Torsions
from prnn_md.md.force_field import ForceField
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.sample import Samples
from prnn_md.md.stillinger_weber import StillingerWeber
from prnn_md.mechanics import EV_ANGSTROM, KCAL_ANGSTROM, LJ, stretch_of, to_mandel, upper_triangular_box
from prnn_md.reference.lammps import LammpsError, start_lammps

UNITS = {LJ.stress: "lj", KCAL_ANGSTROM.stress: "real", EV_ANGSTROM.stress: "metal"}
STRESS = {"lj": 1.0, "real": 0.101325, "metal": 0.1}  # LAMMPS' unit of pressure, atm or bar, in MPa
FEMTOSECOND = {"lj": 1.0, "real": 1.0, "metal": 1e-3}  # our unit of time, tau or fs, in LAMMPS' one
BONDED = {"bonds": "bond", "angles": "angle", "torsions": "dihedral"}


@contextmanager
def in_lammps(sample: Samples, force_field: ForceField) -> Iterator[Any]:
    """A LAMMPS instance that holds the one sample, its box upper triangular, with its force field."""
    lammps = start_lammps()
    units = UNITS[force_field.units.stress]
    try:
        lammps.commands_list([f"units {units}", "atom_style molecular", "atom_modify map array", "boundary p p p"])
        lammps.command("special_bonds lj/coul " + _special(force_field))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sample.data"
            path.write_text(data_file(sample, force_field))
            lammps.command(f"read_data {path}")
        skin = 0.3 if units == "lj" else 1.0
        lammps.commands_list([f"neighbor {skin} bin", "neigh_modify every 1 delay 0 check yes"])
        for name, term in force_field.terms.items():
            if name in BONDED and isinstance(term, Bonded):
                lammps.commands_list(_bonded_commands(BONDED[name], term, sample.types))
        use_pairs(lammps, force_field)
        yield lammps
    finally:
        lammps.close()


def use_pairs(lammps: Any, force_field: ForceField) -> None:
    """Give LAMMPS the pair energy: Lennard-Jones tapered by 1 - 10 x^3 + 15 x^4 - 6 x^5, which it calls lj/mdf."""
    terms = dict(force_field.terms.items())
    three_body, pairs = terms.get("three_body"), terms.get("pairs")
    if isinstance(three_body, StillingerWeber):
        _use_stillinger_weber(lammps, three_body)
    elif isinstance(pairs, LennardJones):
        lammps.command(f"pair_style lj/mdf {float(pairs.inner.min()):.17g} {pairs.cutoff:.17g}")
        for i in range(len(pairs.kinds)):
            for j in range(i, len(pairs.kinds)):
                kind = pairs.kinds[i, j]
                numbers = (float(table[kind]) for table in (pairs.epsilon, pairs.sigma, pairs.inner, pairs.outer))
                lammps.command(f"pair_coeff {i + 1} {j + 1} " + " ".join(f"{number:.17g}" for number in numbers))


def data_file(sample: Samples, force_field: ForceField) -> str:
    """The one sample as the text of a LAMMPS data file (atom style molecular)."""
    positions, box = sample.positions[0], sample.box[0]
    _, triangular = upper_triangular_box(box)
    fractions = torch.linalg.solve(box, positions.T)
    images = torch.floor(fractions)
    wrapped = (triangular @ (fractions - images)).T.tolist()
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = triangular.tolist()
    bonded = {BONDED[n]: term for n, term in force_field.terms.items() if isinstance(term, Bonded) and n in BONDED}
    kinds = int(sample.types.max()) + 1
    lines = ["sample", "", f"{len(wrapped)} atoms", f"{kinds} atom types"]
    for word, term in bonded.items():
        lines += [f"{len(term.members)} {word}s", f"{int(_numbers(term, sample.types).max())} {word} types"]
    lines += ["", f"0 {xx:.17g} xlo xhi", f"0 {yy:.17g} ylo yhi", f"0 {zz:.17g} zlo zhi"]
    lines += [f"{xy:.17g} {xz:.17g} {yz:.17g} xy xz yz", "", "Masses", ""]
    for kind in range(kinds):
        lines.append(f"{kind + 1} {float(force_field.masses[sample.types == kind][0]):.17g}")
    lines += ["", "Atoms # molecular", ""]
    for number, (x, image) in enumerate(zip(wrapped, images.T.int().tolist(), strict=True), start=1):
        place = " ".join(f"{value:.17g}" for value in x)
        kind = int(sample.types[number - 1]) + 1
        lines.append(f"{number} 1 {kind} {place} {image[0]} {image[1]} {image[2]}")
    for word, term in bonded.items():
        lines += ["", f"{word.capitalize()}s", ""]
        for number, (row, kind) in enumerate(zip(term.members.tolist(), _numbers(term, sample.types), strict=True), 1):
            lines.append(f"{number} {int(kind)} " + " ".join(str(i + 1) for i in row))
    return "\n".join(lines) + "\n"


def read_sample(lammps: Any, like: Samples) -> Samples:
    """The configuration of LAMMPS, unwrapped, in the frame of its box."""
    positions = torch.from_numpy(np.array(lammps.gather_atoms("x", 1, 3)).reshape(-1, 3).copy())
    images = torch.from_numpy(np.array(lammps.gather_atoms("image", 0, 3)).reshape(-1, 3).copy())
    box = lammps_box(lammps)
    return like.moved((positions + images.to(positions) @ box.T)[None], box[None])


def lammps_box(lammps: Any) -> Tensor:
    """The current box (3, 3), vectors in columns."""
    low, high, xy, yz, xz, _, _ = lammps.extract_box()
    diagonal = np.array(high) - np.array(low)
    return torch.tensor([[diagonal[0], xy, xz], [0.0, diagonal[1], yz], [0.0, 0.0, diagonal[2]]], dtype=torch.float64)


def velocities_of(lammps: Any) -> Tensor:
    """The velocities (N, 3) of LAMMPS in its units and the frame of its box."""
    return torch.from_numpy(np.array(lammps.gather_atoms("v", 1, 3)).reshape(-1, 3).copy())


def set_velocities(lammps: Any, velocities: Tensor) -> None:
    """Give all particles velocities (N, 3), in LAMMPS' units and the frame of its box."""
    numbers = np.ascontiguousarray(velocities.numpy(), dtype=np.float64)
    lammps.scatter_atoms("v", 1, 3, numbers.ctypes.data_as(ctypes.POINTER(ctypes.c_double)))


def cauchy_stress(lammps: Any, compute: str) -> Tensor:
    """Cauchy stress (6,) of a compute of style pressure, Mandel, tension positive, in the frame of LAMMPS' box.

    In epsilon/sigma^3, or in MPa for real materials.
    """
    pressure = lammps.extract_compute(compute, 0, 1)
    return cauchy_from_pressure([pressure[i] for i in range(6)], lammps)


def cauchy_from_pressure(pressure: Sequence[float], lammps: Any) -> Tensor:
    """The same of LAMMPS' six numbers for a pressure, in its order and its unit."""
    xx, yy, zz, xy, xz, yz = (-number * STRESS[lammps.extract_global("units")] for number in pressure)
    return to_mandel(torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64))


def deform(lammps: Any, reference_box: Tensor, strain: Tensor) -> Tensor:
    """Set the box to (I + E) h0 with positions remapped; returns the rotation Q from its frame to ours."""
    frame, box = upper_triangular_box(stretch_of(strain) @ reference_box)
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = box.tolist()
    lammps.command(
        f"change_box all x final 0 {xx:.17g} y final 0 {yy:.17g} z final 0 {zz:.17g} "
        f"xy final {xy:.17g} xz final {xz:.17g} yz final {yz:.17g} remap units box"
    )
    return frame


def _special(force_field: ForceField) -> str:
    """Whether first, second and third neighbours along bonds have a pair energy."""
    bonds = dict(force_field.terms.items()).get("bonds")
    only_bonds = not isinstance(bonds, Bonded) or len(force_field.excluded) <= len(bonds.members)
    return "0 1 1" if only_bonds else "0 0 0"


def _numbers(term: Bonded, types: Tensor) -> Tensor:
    """The type in LAMMPS, from one, of each member of a bonded term; of FENE bonds also by the pair of particles."""
    if isinstance(term, FENEBonds):
        return _fene_kinds(term, types)[1]
    return term.kind + 1


def _fene_kinds(term: FENEBonds, types: Tensor) -> tuple[Tensor, Tensor]:
    pair = term.pairs.kinds[types[term.members[:, 0]], types[term.members[:, 1]]]
    kinds, number = torch.unique(torch.stack([term.kind, pair], -1), dim=0, return_inverse=True)
    return kinds, number + 1


def _bonded_commands(word: str, term: Bonded, types: Tensor) -> list[str]:
    if isinstance(term, FENEBonds):
        kinds, style = _fene_kinds(term, types)[0].tolist(), "fene"
        p = term.pairs
        rows = [[term.stiffness[b], term.extent[b], p.epsilon[k], p.sigma[k]] for b, k in kinds]
    elif isinstance(term, HarmonicBonds):
        style, rows = "harmonic", [[k, r] for k, r in zip(term.stiffness, term.length, strict=True)]
    elif isinstance(term, CosineAngles):
        style, rows = "cosine", [[k] for k in term.stiffness]
    elif isinstance(term, HarmonicAngles):
        style, rows = "harmonic", [[k, torch.rad2deg(a)] for k, a in zip(term.stiffness, term.rest, strict=True)]
    elif isinstance(term, Torsions):
        return [f"{word}_style fourier", *(_torsion_command(term, k) for k in range(len(term.stiffness)))]
    else:
        raise LammpsError(f"There is no LAMMPS command for {type(term).__name__}.")
    lines = [" ".join(f"{float(number):.17g}" for number in row) for row in rows]
    return [f"{word}_style {style}", *(f"{word}_coeff {k} {line}" for k, line in enumerate(lines, start=1))]


def _torsion_command(term: Torsions, kind: int) -> str:
    waves = [
        f"{float(k):.17g} {round(float(n))} {round(float(torch.rad2deg(phase)))}"
        for k, n, phase in zip(term.stiffness[kind], term.period[kind], term.phase[kind], strict=True)
    ]
    return f"dihedral_coeff {kind + 1} {len(waves)} " + " ".join(waves)


def _use_stillinger_weber(lammps: Any, term: StillingerWeber) -> None:
    c = term.constants
    numbers = (float(term.epsilon), float(term.sigma), c.a, c.lambda_, c.gamma, c.cosine, c.A, c.B, c.p, c.q, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "element.sw"
        path.write_text("X X X " + " ".join(f"{number:.17g}" for number in numbers) + "\n")
        lammps.command("pair_style sw")
        lammps.command(f"pair_coeff * * {path} X")
