"""A small sample that LAMMPS made, and ways to deform it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from prnn_md.md.quench import QuenchProtocol
from prnn_md.md.sample import Samples
from prnn_md.mechanics import rotation_from_vector, stretch_of
from prnn_md.reference.polymer import build_sample

Strained = Callable[[Samples, int], tuple[Samples, Tensor]]


@pytest.fixture(scope="session")
def short() -> QuenchProtocol:
    return QuenchProtocol(melt_time=10.0, quench_time=20.0)


@pytest.fixture(scope="session")
def sample(short: QuenchProtocol) -> Samples:
    """Four chains of twenty beads."""
    return build_sample(80, 1, short)


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
