"""The PRNN against the cells that it embeds, finite differences, and the laws of work."""

from functools import partial

import pytest
import torch
from torch import Tensor

from prnn_md.cell import Cell, State
from prnn_md.materials import J2, Elastic, Viscoelastic
from prnn_md.mechanics import LJ
from prnn_md.surrogates import (
    PRNN,
    AmplifiedRotationEncoder,
    FreeEncoder,
    HillMandelDecoder,
    LowRankEncoder,
    MultilayerEncoder,
    NormalisedDecoder,
    RecurrentBaseline,
    SoftplusDecoder,
)

FREE, ROTATION = partial(FreeEncoder, noise=0.4), partial(AmplifiedRotationEncoder, noise=0.4)
LOW_RANK, MULTILAYER = partial(LowRankEncoder, noise=0.4), partial(MultilayerEncoder, noise=0.4)
DENSE, TIED = partial(SoftplusDecoder, noise=1.0), partial(HillMandelDecoder, noise=0.5)
PAIRS = [(encoder, decoder) for encoder in (FREE, ROTATION, MULTILAYER) for decoder in (DENSE, TIED)]
PAIRS += [(LOW_RANK, partial(NormalisedDecoder, noise=0.5))]


def paths(*shape: int, size: float = 0.04) -> Tensor:
    """Random walks from zero strain, (*shape, 6) with time the last of `shape`."""
    generator = torch.Generator().manual_seed(5)
    steps = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
    return size * (steps.cumsum(-2) - steps[..., :1, :]) / shape[-1] ** 0.5


def mixed(encoder=FREE, decoder=TIED, seed=0) -> PRNN:
    return PRNN(encoder, decoder, {"metal": J2(count=2), "rubber": Viscoelastic(count=3)}, seed)


class Stiffening(Cell):
    """Hyperelastic: T = C E + k |E|^2 E, the derivative of a quartic energy."""

    units = LJ

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.linear = count, Elastic()

    def initial_state(self, batch_shape):
        return self.linear.initial_state(batch_shape)

    def forward(self, strain, dt, state):
        stress, state = self.linear(strain, dt, state)
        return stress + 1e3 * strain.square().sum(-1, keepdim=True) * strain, state


class Brittle(Elastic):
    """Elastic until |E| passes `limit`, then NaN, also in its derivative."""

    limit = 0.05

    def rollout(self, strains, times, state=None):
        stresses, state = super().rollout(strains, times, state)
        lost = strains.norm(dim=-1) > self.limit
        return torch.where(lost, torch.nan, 1.0).unsqueeze(-1) * stresses, State(lost.any(-1))


def test_start_is_the_mean_of_the_cells():
    strains, times = paths(4, 9), torch.linspace(0, 1, 9, dtype=torch.float64)
    cells = {"soft": Elastic(youngs_modulus=10.0, poissons_ratio=0.2), "hard": Elastic(30.0, 0.2, count=3)}
    stresses, state = PRNN(FreeEncoder, HillMandelDecoder, cells, seed=0).rollout(strains, times)
    expected = (Elastic(10.0, 0.2).rollout(strains, times)[0] + 3 * Elastic(30.0, 0.2).rollout(strains, times)[0]) / 4
    assert torch.allclose(stresses, expected, rtol=1e-13, atol=1e-15)
    assert state.batch_shape == (4,) and state.hard.batch_shape == (4, 3)


def test_an_encoder_or_decoder_of_another_number_of_cells_is_refused():
    def of_three(cells, generator):
        return FreeEncoder(3, generator)

    def of_both(counts, generator):
        return HillMandelDecoder((1, 1), generator)

    with pytest.raises(ValueError, match="FreeEncoder is for 3 cells, but md has 4"):
        PRNN(of_three, HillMandelDecoder, {"metal": J2(count=4)}, seed=0)
    with pytest.raises(ValueError, match="HillMandelDecoder is for 2 cells, but md has 4"):
        PRNN(FreeEncoder, of_both, {"metal": J2(count=4)}, seed=0)


@pytest.mark.parametrize("decoder", [SoftplusDecoder, HillMandelDecoder])
def test_equal_plastic_cells_answer_as_one(decoder):
    strains, times = paths(3, 20), torch.linspace(0, 1, 20, dtype=torch.float64)
    prnn = PRNN(AmplifiedRotationEncoder, decoder, {"metal": J2(count=4)}, seed=0)
    expected = J2().rollout(strains, times)[0]
    assert torch.allclose(prnn.rollout(strains, times)[0], expected, rtol=0, atol=1e-3 * expected.abs().max().item())


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@pytest.mark.parametrize("own_times", [False, True])
def test_stepping_equals_rollout(encoder, decoder, own_times):
    strains = paths(2, 3, 12)
    times = torch.linspace(0, 2, 12, dtype=torch.float64)
    if own_times:
        times = times * torch.tensor([[1.0, 2.0, 0.5], [3.0, 0.1, 1.0]], dtype=torch.float64).unsqueeze(-1)
    prnn = mixed(encoder, decoder)
    fused, fused_state = prnn.rollout(strains, times)
    stepped, state = Cell.rollout(prnn, strains, times)
    assert torch.allclose(fused, stepped, rtol=1e-12, atol=1e-14)
    assert torch.allclose(fused_state.rubber.branches, state.rubber.branches, rtol=1e-12, atol=1e-14)
    halves = prnn.rollout(strains[..., :5, :], times[..., :5])[1]
    last, _ = prnn(strains[..., 5, :], times[..., 5] - times[..., 4], halves)
    assert torch.allclose(last, fused[..., 5, :], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_tangent_is_the_derivative_of_the_stress(encoder, decoder):
    prnn, strains = mixed(encoder, decoder), paths(3, 10)
    _, state = prnn.rollout(strains[:, :9], torch.arange(9.0, dtype=torch.float64))
    strain = strains[:, 9]
    stress, tangent, new_state = prnn.stress_and_tangent(strain, 0.3, state)
    _, by_autograd, _ = Cell.stress_and_tangent(prnn, strain, 0.3, state)
    step = 1e-6 * torch.eye(6, dtype=torch.float64)
    moved = [prnn((strain + s), 0.3, state)[0] - prnn((strain - s), 0.3, state)[0] for s in step]
    differences = torch.stack(moved, dim=-1) / 2e-6
    assert torch.allclose(tangent, differences, rtol=0, atol=1e-7 * differences.abs().max().item())
    assert torch.allclose(tangent, by_autograd, rtol=1e-11, atol=1e-11)
    assert torch.allclose(stress, prnn(strain, 0.3, state)[0]) and new_state.batch_shape == (3,)


def loop_work(prnn: PRNN, points: int = 60) -> float:
    """Work around a closed loop that encloses an area, over the sum of its magnitudes; trapezoidal rule."""
    angle = torch.linspace(0, 2 * torch.pi, points + 1, dtype=torch.float64)
    directions = torch.randn(2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    circle = torch.stack([angle.cos() - 1, angle.sin()], dim=-1)
    strains = 0.02 * circle @ directions
    with torch.no_grad():
        stresses, _ = prnn.rollout(strains, angle)
    work = (0.5 * (stresses[1:] + stresses[:-1]) * strains.diff(dim=0)).sum(-1)
    return (work.sum().abs() / work.abs().sum()).item()


@pytest.mark.parametrize("encoder", [FREE, ROTATION])
def test_closed_loop_yields_no_work_with_hill_mandel(encoder):
    assert loop_work(PRNN(encoder, TIED, {"elastic": Elastic(count=4)}, seed=2)) < 1e-12


def test_closed_loop_of_nonlinear_elasticity_yields_no_work_with_hill_mandel():
    """The trapezoidal rule converges exponentially for smooth periodic integrands."""
    assert loop_work(PRNN(FREE, TIED, {"rubber": Stiffening(count=4)}, seed=2)) < 1e-10


@pytest.mark.parametrize("decoder", [SoftplusDecoder, DENSE])
def test_closed_loop_yields_work_with_softplus(decoder):
    """Its tangent sum D_m C A_m is not symmetric once D_m is not A_m transposed, so no energy exists."""
    prnn = PRNN(FREE, decoder, {"elastic": Elastic(count=4)}, seed=2)
    assert loop_work(prnn) > 1e-2
    tangent = prnn.stress_and_tangent(torch.zeros(6, dtype=torch.float64), 0.0, prnn.initial_state(()))[1]
    assert (tangent - tangent.T).abs().max() > 1e-2 * tangent.abs().max()


def test_tangent_of_hill_mandel_is_symmetric():
    prnn = PRNN(FREE, TIED, {"rubber": Stiffening(count=4)}, seed=2)
    strain = torch.full((6,), 0.03, dtype=torch.float64)
    tangent = prnn.stress_and_tangent(strain, 0.0, prnn.initial_state(()))[1]
    assert torch.allclose(tangent, tangent.T, rtol=0, atol=1e-12 * tangent.abs().max().item())


def test_seed_decides_the_start():
    strains, times = paths(2, 5), torch.arange(5.0, dtype=torch.float64)
    first, again, other = (mixed(FREE, DENSE, seed).rollout(strains, times)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.allclose(first, other)


def test_failed_cell_fails_its_item_only():
    prnn = PRNN(FreeEncoder, TIED, {"brittle": Brittle(count=2), "rubber": Viscoelastic()}, seed=0)
    strains = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None] * torch.tensor([[[0.04]], [[0.08]]]).expand(2, 1, 6)
    strains = strains / 6**0.5
    stresses, state = prnn.rollout(strains, torch.arange(5.0, dtype=torch.float64))
    assert state.failed.tolist() == [False, True]
    assert torch.isfinite(stresses[0]).all() and torch.isfinite(stresses[1, :3]).all()
    assert torch.isnan(stresses[1, 4]).all()
    stresses[0].square().sum().backward()
    together = [p.grad.clone() for p in prnn.parameters()]
    prnn.zero_grad()
    prnn.rollout(strains[:1], torch.arange(5.0, dtype=torch.float64))[0].square().sum().backward()
    for alone, grad in zip(prnn.parameters(), together, strict=True):
        assert torch.allclose(grad, alone.grad)


def test_declarations_come_from_the_cells():
    prnn = mixed()
    assert prnn.units == LJ and prnn.stress_measure == "biot" and prnn.rate_dependent
    assert not PRNN(FREE, TIED, {"metal": J2()}, 0).rate_dependent
    with pytest.raises(ValueError, match="units.*MPa"):
        PRNN(FREE, TIED, {"a": J2(), "b": J2(units="MPa")}, 0)


@pytest.mark.parametrize("md", [{}, {"failed": J2()}, {"a.b": J2()}, {"clone": J2()}, {"keys": J2()}, {"a": 3}])
def test_unusable_cells_are_refused(md):
    with pytest.raises((ValueError, TypeError), match="cell"):
        PRNN(FREE, TIED, md, 0)


def test_state_survives_a_file(tmp_path):
    prnn, strains = mixed(), paths(2, 6)
    _, state = prnn.rollout(strains[:, :5], torch.arange(5.0, dtype=torch.float64))
    state.save(tmp_path / "state.pt")
    loaded = State.load(tmp_path / "state.pt")
    assert torch.equal(prnn(strains[:, 5], 1.0, state)[0], prnn(strains[:, 5], 1.0, loaded)[0])
    assert torch.equal(prnn(strains[1:, 5], 1.0, state[1:])[0], prnn(strains[:, 5], 1.0, state)[0][1:])


def test_learned_cells_can_be_embedded():
    net = RecurrentBaseline("gru", hidden=3, layers=1, dropout=0.0, seed=0)
    prnn = PRNN(FreeEncoder, HillMandelDecoder, {"net": net, "metal": J2()}, seed=0)
    strains, times = paths(2, 6), torch.arange(6.0, dtype=torch.float64)
    prnn.set_scales(strains, torch.full((6,), 2.0))
    assert torch.equal(net.stress_scale, torch.full((6,), 4.0, dtype=torch.float64)), "it makes half of the stress"
    expected = (net.rollout(strains, times)[0] + J2().rollout(strains, times)[0]) / 2
    assert torch.allclose(prnn.rollout(strains, times)[0], expected)


def test_localisation_names_and_measures_the_cells():
    prnn = PRNN(ROTATION, TIED, {"metal": J2(count=2), "rubber": Viscoelastic()}, seed=0)
    prnn.encoder.log_amplifications.data = torch.tensor([1.3, 0.6], dtype=torch.float64).log()
    found = prnn.localisation()
    assert found.names == ("metal 0", "metal 1", "rubber 0")
    assert torch.allclose(found.volumetric, torch.full((3,), 1.3, dtype=torch.float64))
    assert torch.allclose(found.deviatoric, torch.full((3,), 0.6, dtype=torch.float64))
    assert torch.allclose(found.singular_values[:, 0], torch.full((3,), 1.3, dtype=torch.float64))
    assert torch.allclose(found.weights.sum(), torch.ones((), dtype=torch.float64))
    assert found.matrices.shape == found.operators.shape == (3, 6, 6)
