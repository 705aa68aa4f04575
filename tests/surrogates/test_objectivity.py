"""A strain that is turned turns the stress: exactly where the cells are turned too, or have no direction of their own.

That a turn of the deformed body changes nothing is a property of the Biot strain, see tests/test_mechanics.py.
"""

from functools import partial

import pytest
import torch
from torch import Tensor

from prnn_md.materials import J2, Elastic, Viscoelastic
from prnn_md.md.aqs import AQSCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.mechanics import mandel_rotation, rotation_from_vector
from prnn_md.surrogates import PRNN, IsotropicDecoder, TaylorEncoder

ROTATION = rotation_from_vector(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
TURN = mandel_rotation(ROTATION)
DECODER = partial(IsotropicDecoder, noise=0.5)
TIMES = torch.linspace(0, 1, 7, dtype=torch.float64)


def paths(count: int, size: float) -> Tensor:
    """Random walks (count, 7, 6) from zero strain."""
    steps = torch.randn(count, 7, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return size * (steps.cumsum(-2) - steps[:, :1])


def test_isotropic_cells_turn_with_the_strain() -> None:
    cells = {"metal": J2(count=2, yield_stress=0.5), "rubber": Viscoelastic(count=3), "stone": Elastic(count=1)}
    prnn, strain = PRNN(TaylorEncoder, DECODER, cells, seed=3), paths(4, 0.01)
    with torch.no_grad():
        stress, turned = (prnn.rollout(strains, TIMES)[0] for strains in (strain, strain @ TURN.mT))
    assert stress.abs().max() > 0.5
    torch.testing.assert_close(turned, stress @ TURN.mT, rtol=0, atol=1e-12)


def polymer(samples: Samples) -> PRNN:
    cells = AQSCell(samples, polymer_force_field(samples), force_tolerance=1e-10)
    return PRNN(TaylorEncoder, DECODER, {"polymer": cells}, seed=3)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return load_library("polymer_80_a")[0][:4]


def test_md_cells_turn_with_the_strain_if_they_are_turned_too(samples: Samples) -> None:
    turned = samples.moved(samples.positions @ ROTATION.T, ROTATION @ samples.box)
    strain = paths(1, 0.001)
    with torch.no_grad():
        stress, _ = polymer(samples).rollout(strain, TIMES)
        answer, _ = polymer(turned).rollout(strain @ TURN.mT, TIMES)
    assert stress.abs().max() > 0.05
    torch.testing.assert_close(answer, stress @ TURN.mT, rtol=0, atol=1e-7)


def test_md_cells_that_are_not_turned_differ_by_their_sampling(samples: Samples) -> None:
    strain = paths(1, 0.001)
    prnn = polymer(samples)
    with torch.no_grad():
        stress, turned = (prnn.rollout(strains, TIMES)[0] for strains in (strain, strain @ TURN.mT))
    difference = (turned - stress @ TURN.mT).norm() / stress.norm()
    assert 1e-3 < difference < 0.3
