"""A small sample that LAMMPS made, and ways to deform it."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from prnn_md.md.force_field import ForceField
from prnn_md.md.sample import Samples
from prnn_md.mechanics import rotation_from_vector, stretch_of
from prnn_md.reference.systems import ArgonCrystal, KobAndersenGlass, Polyethylene, PolymerGlass, Silicon

Material = Callable[[str], tuple[Samples, ForceField]]
Strained = Callable[[Samples, int], tuple[Samples, Tensor]]


SYSTEMS = {
    "polymer": PolymerGlass(beads=80, melt_time=5.0, quench_time=10.0),
    "glass": KobAndersenGlass(particles=300, melt_time=1.0, quench_time=5.0),
    "polyethylene": Polyethylene(chains=6, chain_length=20, melt_time=500.0, quench_time=5000.0),
    "argon": ArgonCrystal(repeats=4),
    "silicon": Silicon("crystal", repeats=2),
}


@cache
def build(name: str) -> tuple[Samples, ForceField]:
    sample = SYSTEMS[name].build(4)
    return sample, SYSTEMS[name].force_field(sample)


@pytest.fixture(scope="session")
def material() -> Material:
    """Returns `material(name)`: a small sample of a system, and its force field."""
    return build


@pytest.fixture(scope="session", params=SYSTEMS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each system."""
    return str(request.param)


@pytest.fixture(scope="session")
def sample() -> Samples:
    """Four chains of twenty beads."""
    return PolymerGlass(beads=80, melt_time=10.0, quench_time=20.0).build(1)


@pytest.fixture(scope="session")
def strained_and_shaken() -> Strained:
    """Returns `strained_and_shaken(sample, seed)`: the sample deformed, and its strain."""
    return deformed


def deformed(sample: Samples, seed: int) -> tuple[Samples, Tensor]:
    """The sample under a random strain, turned at random, every bead displaced, chains in several images."""
    generator = torch.Generator().manual_seed(seed)
    strain = 0.05 * torch.randn(6, generator=generator, dtype=torch.float64)
    rotation = rotation_from_vector(torch.randn(3, generator=generator, dtype=torch.float64))
    gradient = rotation @ stretch_of(strain)
    shaken = sample.positions[0] + 0.01 * torch.randn(80, 3, generator=generator, dtype=torch.float64)
    whole = torch.randint(-2, 3, (4, 3), generator=generator).double()
    shaken += (whole @ sample.box[0].T).repeat_interleave(20, 0)
    return sample.moved((shaken @ gradient.T)[None], (gradient @ sample.box[0])[None]), strain
