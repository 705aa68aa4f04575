"""Force fields from TorchMD's YAML files, with further sections for what TorchMD does not know.

TorchMD's own sections are `atomtypes`, `masses`, `electrostatics`, `lj`, `bonds`, `angles` and `dihedrals`. Ours are

    units: lj | kcal/mol-angstrom | eV-angstrom         default kcal/mol-angstrom, TorchMD's
    exclusions: [bonds, angles, 1-4]                    which pairs of a molecule have no pair energy
    switch: {inner: 1.2, outer: 1.5}                    taper of the pair energy, in units of sigma
    cutoff: {inner: 10.0, outer: 12.0}                  the same in units of length, instead of `switch`; where inner
                                                        and outer are equal, `shifted: true` raises the energy to zero
    pairs: {"(A, B)": {epsilon: 1.5, sigma: 0.8}}       in place of the Lorentz-Berthelot rule
    fene: {"(B, B)": {k0: 30.0, r0: 1.5}}               bonds, instead of `bonds`
    bending: {k0: 1.0}                                  k (1 - cos a) between successive bonds
    reaction_field: {cutoff: 9.0, dielectric: 78.5}     for charges
    stillinger_weber: {epsilon: ..., sigma: ..., ...}   instead of `lj`
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from prnn_md.md.bonded_energy import (
    CosineAngles,
    FENEBonds,
    HarmonicAngles,
    HarmonicBonds,
    ScaledPairs,
    Torsions,
)
from prnn_md.md.force_field import ForceField
from prnn_md.md.pair_energy import LennardJones, ReactionField
from prnn_md.md.stillinger_weber import StillingerWeber, StillingerWeberConstants
from prnn_md.md.topology import angles_of, torsions_of
from prnn_md.mechanics import EV_ANGSTROM, KCAL_ANGSTROM, LJ

UNITS = {"lj": LJ, "kcal/mol-angstrom": KCAL_ANGSTROM, "eV-angstrom": EV_ANGSTROM}
EXCLUSIONS = ["bonds", "angles", "1-4"]
COULOMB = {  # energy times length per charge squared; in reduced units charges are what makes it one
    LJ.stress: 1.0,
    KCAL_ANGSTROM.stress: 332.0637132991921,  # from SI constants as in TorchMD
    EV_ANGSTROM.stress: 14.399645478425668,
}
OWN_SECTIONS = (
    "units", "exclusions", "switch", "cutoff", "pairs", "fene", "bending", "reaction_field", "stillinger_weber"
)  # fmt: skip
TORCHMD_SECTIONS = ("atomtypes", "masses", "electrostatics", "lj", "bonds", "angles", "dihedrals")


class ForceFieldError(ValueError):
    """A force-field file that cannot be used, or that lacks what a system needs."""


def read_force_field(
    path: str | Path, types: Sequence[str], bonds: Tensor, several_images: bool = False, **changes: object
) -> ForceField:
    """The force field of particles with these names of types (N,) and bonds (B, 2).

    Angles and torsions are all that the bonds make, if the file has them. `changes` replace whole sections of the file,
    such as bending={"k0": 2.0}. Raises ForceFieldError.
    """
    sections = {**_sections(Path(path)), **changes}
    try:
        reader = _Reader(str(path), sections, list(types), bonds)
        return ForceField(reader.terms(), reader.masses(), reader.units(), reader.excluded(), several_images)
    except ForceFieldError:
        raise
    except ValueError as error:
        raise ForceFieldError(f"{path}: {error}") from error


def atom_types(path: str | Path) -> list[str]:
    """Names of all types of particles in the file, in the order of their numbers."""
    return list(dict.fromkeys(_sections(Path(path))["atomtypes"]))


def _sections(path: Path) -> dict[str, Any]:
    try:
        sections = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ForceFieldError(f"{path}: no readable force field ({error}).") from error
    if not isinstance(sections, dict) or not isinstance(sections.get("atomtypes"), list):
        raise ForceFieldError(f"{path}: no TorchMD force field (there is no list 'atomtypes').")
    unknown = sorted(set(sections) - {*OWN_SECTIONS, *TORCHMD_SECTIONS})
    if unknown:
        allowed = ", ".join([*TORCHMD_SECTIONS, *OWN_SECTIONS])
        raise ForceFieldError(f"{path}: there is no energy for the sections {', '.join(unknown)}. Allowed: {allowed}.")
    return sections


class _Reader:
    """The terms that a file gives for particles of types `names` with `bonds`."""

    def __init__(self, path: str, sections: dict[str, Any], names: list[str], bonds: Tensor) -> None:
        from torchmd.forcefields.ff_yaml import YamlForcefield

        self.path, self.sections, self.names, self.bonds = path, sections, names, bonds
        unknown = sorted(set(names) - set(sections["atomtypes"]))
        if unknown:
            allowed = ", ".join(sections["atomtypes"])
            raise ForceFieldError(f"{path} has no atom types {', '.join(unknown)}; it has {allowed}.")
        self.kinds = list(dict.fromkeys(sections["atomtypes"]))
        self.torchmd = YamlForcefield(SimpleNamespace(atomtype=np.array(names, dtype=object)), path)
        self.torchmd.prm = sections

    def units(self) -> Any:
        name = self.sections.get("units", "kcal/mol-angstrom")
        if name not in UNITS:
            raise ForceFieldError(f"{self.path}: units are one of {', '.join(UNITS)}, not '{name}'.")
        return UNITS[name]

    @contextmanager
    def reading(self, section: str) -> Iterator[None]:
        """Within the block whatever is wrong with an entry becomes a ForceFieldError that names the section."""
        place = f"{self.path}: section '{section}'"
        try:
            yield
        except ForceFieldError:
            raise
        except KeyError as error:
            raise ForceFieldError(f"{place}: an entry lacks {error}.") from error
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise ForceFieldError(f"{place}: {error}") from error

    def masses(self) -> Tensor:
        with self.reading("masses"):
            numbers = {kind: _number(self.one("masses", kind), "mass") for kind in dict.fromkeys(self.names)}
            return torch.tensor([numbers[kind] for kind in self.names], dtype=torch.float64)

    def one(self, section: str, *kinds: str) -> Any:
        """An entry of a section for these types, by TorchMD's rules (either order, X for any type)."""
        try:
            return (
                self.sections[section][kinds[0]]
                if section == "masses"
                else self.torchmd.get_parameters(section, list(kinds))
            )
        except (KeyError, RuntimeError, TypeError) as error:
            raise ForceFieldError(f"{self.path}: section '{section}' has nothing for ({', '.join(kinds)}).") from error

    def terms(self) -> dict[str, nn.Module]:
        terms: dict[str, nn.Module] = {}
        if "stillinger_weber" in self.sections:
            with self.reading("stillinger_weber"):
                terms["three_body"] = StillingerWeber(StillingerWeberConstants(**self.sections["stillinger_weber"]))
        pairs = self._lennard_jones() if "lj" in self.sections else None
        if pairs is not None:
            terms["pairs"] = pairs
        charges = torch.tensor([self._charge(name) for name in self.names], dtype=torch.float64)
        if bool(charges.any()):
            terms["charges"] = self._reaction_field(charges)
        if len(self.bonds):
            terms |= self._bonded(pairs, charges)
        return terms

    def excluded(self) -> Tensor:
        found = [self.bonds]
        listed = self.sections.get("exclusions", EXCLUSIONS)
        if not isinstance(listed, list) or not set(listed) <= set(EXCLUSIONS):
            raise ForceFieldError(f"{self.path}: exclusions are some of {', '.join(EXCLUSIONS)}, not {listed}.")
        if "angles" in listed:
            found.append(angles_of(self.bonds)[:, [0, 2]])
        if "1-4" in listed:
            found.append(torsions_of(self.bonds)[:, [0, 3]])
        pairs = torch.cat(found).sort(dim=-1).values
        return torch.unique(pairs, dim=0)

    def _lennard_jones(self) -> LennardJones:
        with self.reading("lj"):
            lj = [self.one("lj", kind) for kind in self.kinds]
            (epsilon,), (sigma,) = (_columns(lj, name, least=0.0) for name in ("epsilon", "sigma"))
            epsilon, sigma = (epsilon[:, None] * epsilon).sqrt(), 0.5 * (sigma[:, None] + sigma)
        with self.reading("pairs"):
            for place, entry in self.sections.get("pairs", {}).items():
                i, j = (self._place_of(kind.strip()) for kind in place.strip("()").split(","))
                epsilon[i, j] = epsilon[j, i] = _number(entry["epsilon"], "epsilon")
                sigma[i, j] = sigma[j, i] = _number(entry["sigma"], "sigma")
        if ("switch" in self.sections) == ("cutoff" in self.sections):
            raise ForceFieldError(
                f"{self.path}: say where the pair energy ends, by one section 'cutoff' (in units of length) or "
                "'switch' (in units of sigma), such as cutoff: {inner: 10.0, outer: 12.0}."
            )
        section, unit = ("switch", sigma) if "switch" in self.sections else ("cutoff", torch.ones_like(sigma))
        with self.reading(section):
            ends = self.sections[section]
            inner, outer = (_number(ends[name], name) for name in ("inner", "outer"))
            return LennardJones(epsilon, sigma, inner * unit, outer * unit, bool(ends.get("shifted", False)))

    def _place_of(self, kind: str) -> int:
        if kind not in self.kinds:
            raise ValueError(f"there is no atom type '{kind}', but {', '.join(self.kinds)}.")
        return self.kinds.index(kind)

    def _charge(self, kind: str) -> float:
        if "electrostatics" not in self.sections:
            return 0.0
        with self.reading("electrostatics"):
            return _number(self.one("electrostatics", kind)["charge"], "charge")

    def _reaction_field(self, charges: Tensor) -> ReactionField:
        if "reaction_field" not in self.sections:
            message = "particles are charged: add a section such as reaction_field: {cutoff: 9.0, dielectric: 78.5}."
            raise ForceFieldError(f"{self.path}: {message}")
        with self.reading("reaction_field"):
            return ReactionField(charges, self._coulomb(), **self.sections["reaction_field"])

    def _coulomb(self) -> float:
        return COULOMB[self.units().stress]

    def _bonded(self, pairs: LennardJones | None, charges: Tensor) -> dict[str, nn.Module]:
        terms: dict[str, nn.Module] = {}
        if "fene" in self.sections and pairs is None:
            raise ForceFieldError(f"{self.path}: section 'fene' needs the section 'lj' for the repulsion along bonds.")
        if "fene" in self.sections and pairs is not None:
            with self.reading("fene"):
                kind, entries = self._kinds_of("fene", self.bonds)
                stiffness, extent = _columns(entries, "k0", "r0")
                terms["bonds"] = FENEBonds(self.bonds, stiffness, extent, pairs, kind=kind)
        elif "bonds" in self.sections:
            with self.reading("bonds"):
                kind, entries = self._kinds_of("bonds", self.bonds)
                terms["bonds"] = HarmonicBonds(self.bonds, *_columns(entries, "k0", "req"), kind=kind)
        else:
            raise ForceFieldError(f"{self.path}: the particles are bonded, but there is no section 'bonds' or 'fene'.")
        angles, torsions = angles_of(self.bonds), torsions_of(self.bonds)
        if "bending" in self.sections and len(angles):
            with self.reading("bending"):
                terms["angles"] = CosineAngles(angles, *_columns([self.sections["bending"]], "k0"))
        elif "angles" in self.sections and len(angles):
            with self.reading("angles"):
                kind, entries = self._kinds_of("angles", angles)
                stiffness, degrees = _columns(entries, "k0", "theta0")
                terms["angles"] = HarmonicAngles(angles, stiffness, torch.deg2rad(degrees), kind=kind)
        if "dihedrals" in self.sections and len(torsions):
            with self.reading("dihedrals"):
                kind, entries = self._kinds_of("dihedrals", torsions)
                terms["torsions"] = Torsions(torsions, *_waves(entries), kind=kind)
                scaled = [row for row, k in zip(torsions, kind, strict=True) if "scnb" in entries[int(k)]]
                terms |= self._scaled_pairs(scaled, charges)
        return terms

    def _kinds_of(self, section: str, members: Tensor) -> tuple[Tensor, list[Any]]:
        """Which of the listed entries each row of `members` has."""
        entries: list[Any] = []
        kind = []
        for row in members.tolist():
            names = [self.names[i] for i in row]
            entry = self._fene(names) if section == "fene" else self.one(section, *names)
            if entry not in entries:
                entries.append(entry)
            kind.append(entries.index(entry))
        return torch.tensor(kind, dtype=torch.int64), entries

    def _fene(self, names: list[str]) -> Any:
        for pair in (names, names[::-1]):
            if f"({', '.join(pair)})" in self.sections["fene"]:
                return self.sections["fene"][f"({', '.join(pair)})"]
        raise ForceFieldError(f"{self.path}: section 'fene' has nothing for ({', '.join(names)}).")

    def _scaled_pairs(self, torsions: list[Tensor], charges: Tensor) -> dict[str, nn.Module]:
        """The term for the ends of these torsions, once each, by the 14 constants of their types."""
        found = {}
        nearer = {tuple(pair) for pair in torch.cat([self.bonds, angles_of(self.bonds)[:, [0, 2]]]).tolist()}
        for row in (members.tolist() for members in torsions):
            if nearer & {(row[0], row[3]), (row[3], row[0])}:
                continue  # in a small ring
            names = [self.names[i] for i in row]
            entry = self.one("dihedrals", *names)
            one, other = self.one("lj", names[0]), self.one("lj", names[3])
            epsilon = (one["epsilon14"] * other["epsilon14"]) ** 0.5 / entry["scnb"]
            sigma = 0.5 * (one["sigma14"] + other["sigma14"])
            charge = self._coulomb() * float(charges[row[0]] * charges[row[3]]) / entry.get("scee", 1.0)
            found[min(row[0], row[3]), max(row[0], row[3])] = (epsilon, sigma, charge)
        if not found:
            return {}
        numbers = torch.tensor(list(found.values()), dtype=torch.float64)
        return {"scaled_pairs": ScaledPairs(torch.tensor(list(found)), *numbers.T, kind=torch.arange(len(found)))}


def _number(value: Any, name: str, least: float = -inf) -> float:
    """The value as a finite number; ValueError for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < inf:
        limit = f" of at least {least:g}" if least > -inf else ""
        raise ValueError(f"{name} must be a finite number{limit}, not {value!r}.")
    return float(value)


def _columns(entries: list[Any], *names: str, least: float = -inf) -> tuple[Tensor, ...]:
    columns = [[_number(entry[name], name, least) for entry in entries] for name in names]
    return tuple(torch.tensor(column, dtype=torch.float64) for column in columns)


def _waves(entries: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Stiffness, phase (rad) and period (kinds, terms) of torsions; shorter sums are filled up with zeros."""
    longest = max(len(entry["terms"]) for entry in entries)
    table = torch.zeros(3, len(entries), longest, dtype=torch.float64)
    for row, entry in enumerate(entries):
        for column, term in enumerate(entry["terms"]):
            numbers = (term["phi_k"], np.radians(term["phase"]), term["per"])
            table[:, row, column] = torch.tensor(numbers, dtype=torch.float64)
    return table[0], table[1], table[2]
