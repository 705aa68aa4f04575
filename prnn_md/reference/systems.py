"""The materials of the reference simulations: what a sample is made of, and how LAMMPS makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from prnn_md.md import crystals, glass, polyethylene, polymer
from prnn_md.md.crystals import argon_force_field, crystal, silicon_force_field
from prnn_md.md.force_field import ForceField
from prnn_md.md.glass import glass_force_field, random_mixture
from prnn_md.md.polyethylene import polyethylene_force_field, random_chains
from prnn_md.md.polymer import polymer_force_field, random_walk_chains
from prnn_md.md.quench import QuenchProtocol, relax_stress
from prnn_md.md.sample import Samples
from prnn_md.mechanics import EV_ANGSTROM, KCAL_ANGSTROM, LJ, Units
from prnn_md.reference.dynamics import plain_fields
from prnn_md.reference.samples import quench_crystal_in_lammps, quench_in_lammps

VERSION = 1
"""Of all systems: to be raised when one of them makes other samples of the same numbers."""


class ReferenceSystem(Protocol):
    """A material: makes samples, and knows their force field. Its fields are numbers that samples depend on."""

    force_field_file: ClassVar[Path]
    units: ClassVar[Units]

    @property
    def protocol(self) -> Mapping[str, Any]:
        """All other numbers that its samples depend on."""

    def build(self, seed: int) -> Samples:
        """One sample at rest, free of stress; `seed` (1 to 899 million) fixes all that is random."""

    def force_field(self, samples: Samples) -> ForceField:
        """The force field of such samples."""


def physics(system: ReferenceSystem) -> Mapping[str, Any]:
    """All that the samples of a system depend on but their seeds, as plain numbers and strings."""
    return {
        "system": type(system).__name__,
        "version": VERSION,
        **plain_fields(system),
        "protocol": dict(system.protocol),
        "force_field": system.force_field_file.read_text(),
    }


@dataclass(frozen=True)
class PolymerGlass:
    """Bead-spring polymer of `beads` in chains, in reduced units: molten, quenched at zero pressure; times in tau."""

    beads: int = 1000
    chain_length: int = 20
    bending_stiffness: float = 0.0
    melt_time: float = 1000.0
    quench_time: float = 1000.0
    timestep: float = 0.005

    units: ClassVar[Units] = LJ
    force_field_file: ClassVar[Path] = polymer.FORCE_FIELD

    @property
    def protocol(self) -> Mapping[str, Any]:
        return plain_fields(self._quench)

    @property
    def _quench(self) -> QuenchProtocol:
        return _timed(QuenchProtocol(beads_per_chain=self.chain_length), self)

    def build(self, seed: int) -> Samples:
        start = random_walk_chains(self.beads, self._quench, np.random.default_rng(seed))
        return quench_in_lammps(start, self.force_field(start), self._quench, seed)

    def force_field(self, samples: Samples) -> ForceField:
        return polymer_force_field(samples, self.bending_stiffness)


@dataclass(frozen=True)
class KobAndersenGlass:
    """Binary Lennard-Jones glass of Kob and Andersen, in reduced units; times in tau."""

    particles: int = 1000
    melt_time: float = 100.0
    quench_time: float = 400.0
    timestep: float = 0.005

    units: ClassVar[Units] = LJ
    force_field_file: ClassVar[Path] = glass.FORCE_FIELD

    @property
    def protocol(self) -> Mapping[str, Any]:
        return plain_fields(self._quench)

    @property
    def _quench(self) -> QuenchProtocol:
        return _timed(glass.PROTOCOL, self)

    def build(self, seed: int) -> Samples:
        start = random_mixture(self.particles, self._quench.density, np.random.default_rng(seed))
        return quench_in_lammps(start, self.force_field(start), self._quench, seed)

    def force_field(self, samples: Samples) -> ForceField:
        return glass_force_field(samples)


@dataclass(frozen=True)
class Polyethylene:
    """United-atom polyethylene in kcal/mol and angstrom; times in fs."""

    chains: int = 20
    chain_length: int = 50
    melt_time: float = 40_000.0
    quench_time: float = 100_000.0
    timestep: float = 2.0

    units: ClassVar[Units] = KCAL_ANGSTROM
    force_field_file: ClassVar[Path] = polyethylene.FORCE_FIELD

    @property
    def protocol(self) -> Mapping[str, Any]:
        return plain_fields(self._quench)

    @property
    def _quench(self) -> QuenchProtocol:
        return _timed(polyethylene.PROTOCOL, self)

    def build(self, seed: int) -> Samples:
        start = random_chains(self.chains, self.chain_length, self._quench.density, np.random.default_rng(seed))
        return quench_in_lammps(start, self.force_field(start), self._quench, seed)

    def force_field(self, samples: Samples) -> ForceField:
        return polyethylene_force_field(samples)


@dataclass(frozen=True)
class ArgonCrystal:
    """Face-centred cubic Lennard-Jones argon of 4 repeats^3 atoms in kcal/mol and angstrom; all samples are equal."""

    repeats: int = 6

    units: ClassVar[Units] = KCAL_ANGSTROM
    force_field_file: ClassVar[Path] = crystals.FORCE_FIELDS / "argon.yaml"

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {"lattice": crystals.ARGON_LATTICE}

    def build(self, seed: int) -> Samples:
        start = crystal(crystals.FCC, crystals.ARGON_LATTICE, self.repeats)
        return relax_stress(start, self.force_field(start))

    def force_field(self, samples: Samples) -> ForceField:
        return argon_force_field(samples)


@dataclass(frozen=True)
class Silicon:
    """Stillinger-Weber silicon of 8 repeats^3 atoms in eV and angstrom: a crystal, or molten and quenched."""

    structure: Literal["crystal", "amorphous"] = "amorphous"
    repeats: int = 5

    units: ClassVar[Units] = EV_ANGSTROM
    force_field_file: ClassVar[Path] = crystals.FORCE_FIELDS / "silicon.yaml"

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {"lattice": crystals.SILICON_LATTICE, "temperatures": crystals.QUENCH, "stage": list(crystals.STAGE)}

    def build(self, seed: int) -> Samples:
        start = crystal(crystals.DIAMOND, crystals.SILICON_LATTICE, self.repeats)
        if self.structure == "crystal":
            return relax_stress(start, self.force_field(start))
        return quench_crystal_in_lammps(start, self.force_field(start), crystals.QUENCH, *crystals.STAGE, seed)

    def force_field(self, samples: Samples) -> ForceField:
        return silicon_force_field(samples)


def _timed(standard: QuenchProtocol, system: PolymerGlass | KobAndersenGlass | Polyethylene) -> QuenchProtocol:
    """The standard protocol with the times of a system."""
    return replace(standard, melt_time=system.melt_time, quench_time=system.quench_time, timestep=system.timestep)
