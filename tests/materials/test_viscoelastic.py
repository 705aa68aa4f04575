"""The generalised Maxwell cell against closed forms of relaxation and constant rate, and its limits in dt."""

import math
from typing import Any

import pytest
import torch

from prnn_md.materials import Elastic, Viscoelastic
from prnn_md.materials.viscoelastic import relaxed_mean

BULK, SHEAR, MODULI, TIMES = 70.0, 4.0, (9.0, 3.0), (0.2, 1.5)
DEVIATORIC = torch.tensor([0.02, -0.03, 0.01, 0.04, -0.01, 0.02], dtype=torch.float64)


def cell() -> Viscoelastic:
    return Viscoelastic(BULK, SHEAR, MODULI, TIMES)


def test_relaxation_after_a_jump_is_the_prony_series() -> None:
    times = torch.tensor([0.0, 0.0, 0.1, 0.5, 3.0, 50.0], dtype=torch.float64)
    strains = DEVIATORIC.expand(6, 6).clone()
    strains[0] = 0.0
    stresses, _ = cell().rollout(strains, times)
    modulus = SHEAR + torch.stack([g * torch.exp(-times / t) for g, t in zip(MODULI, TIMES, strict=True)]).sum(0)
    torch.testing.assert_close(stresses[1:], 2 * modulus[1:, None] * DEVIATORIC)
    assert not stresses[0].any()


def test_constant_rate_has_its_closed_form_at_any_step() -> None:
    times = torch.tensor([0.0, 0.01, 0.4, 0.41, 5.0], dtype=torch.float64)
    stresses, _ = cell().rollout(times[:, None] * DEVIATORIC, times)
    viscous = sum(g * tau * (1 - torch.exp(-times / tau)) for g, tau in zip(MODULI, TIMES, strict=True))
    torch.testing.assert_close(stresses, 2 * (SHEAR * times + viscous)[:, None] * DEVIATORIC)


def test_volumetric_strain_does_not_relax() -> None:
    strains = torch.tensor([[0.0] * 6, [0.01] * 3 + [0.0] * 3, [0.01] * 3 + [0.0] * 3], dtype=torch.float64)
    stresses, _ = cell().rollout(strains, torch.tensor([0.0, 0.1, 9.0], dtype=torch.float64))
    expected = torch.tensor([3 * BULK * 0.01] * 3 + [0.0] * 3, dtype=torch.float64)
    torch.testing.assert_close(stresses[1:], expected.expand(2, 6))


def test_result_does_not_depend_on_the_number_of_steps() -> None:
    """A piecewise linear history, cut finer, is the same history."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.cat([torch.zeros(1, 6), torch.randn(4, 6, generator=generator)]).double() * 0.05
    times = torch.tensor([0.0, 0.3, 0.35, 2.0, 2.6], dtype=torch.float64)
    weights = torch.arange(10, dtype=torch.float64)[None, :] / 10
    fine_times = torch.cat([(times[:-1, None] + weights * times.diff()[:, None]).flatten(), times[-1:]])
    fine = (coarse[:-1, None] + weights[..., None] * coarse.diff(dim=0)[:, None]).flatten(0, 1)
    few, _ = cell().rollout(coarse, times)
    many, _ = cell().rollout(torch.cat([fine, coarse[-1:]]), fine_times)
    torch.testing.assert_close(few, many[::10])


def test_fast_and_slow_limits_are_elastic() -> None:
    strains = torch.stack([torch.zeros_like(DEVIATORIC), DEVIATORIC])
    for duration, shear in ((0.0, SHEAR + sum(MODULI)), (1e-14, SHEAR + sum(MODULI)), (1e16, SHEAR)):
        young = 9 * BULK * shear / (3 * BULK + shear)
        elastic = Elastic(young, young / 2 / shear - 1)
        stresses, _ = cell().rollout(strains, torch.tensor([0.0, duration], dtype=torch.float64))
        torch.testing.assert_close(stresses[1], elastic.stiffness @ DEVIATORIC)


def test_each_item_may_have_its_own_times() -> None:
    times = torch.tensor([[0.0, 0.1], [0.0, 2.0]], dtype=torch.float64)
    strains = torch.stack([torch.zeros_like(DEVIATORIC), DEVIATORIC]).expand(2, 2, 6)
    together, _ = cell().rollout(strains, times)
    apart = [cell().rollout(path, time)[0] for path, time in zip(strains, times, strict=True)]
    torch.testing.assert_close(together, torch.stack(apart))


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 0.0499, 0.0501, 3.0, 800.0])
def test_relaxed_mean_and_its_derivative_are_integrals(ratio: float) -> None:
    nodes = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    x = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    value = relaxed_mean(x)
    (slope,) = torch.autograd.grad(value, x)
    assert value.item() == pytest.approx(torch.exp(-nodes * ratio).mean().item(), rel=1e-3 if ratio > 10 else 1e-8)
    assert slope.item() == pytest.approx(-(nodes * torch.exp(-nodes * ratio)).mean().item(), rel=1e-3)


@pytest.mark.parametrize("duration", [0.0, 1e-8, 0.02, 0.4])
def test_tangent_agrees_with_central_differences(duration: float) -> None:
    model, step = cell(), 1e-5
    _, state = model(-DEVIATORIC, 0.1, model.initial_state(()))
    _, tangent, _ = model.stress_and_tangent(DEVIATORIC, duration, state)
    basis = step * torch.eye(6, dtype=torch.float64)
    columns = [
        (model(DEVIATORIC + e, duration, state)[0] - model(DEVIATORIC - e, duration, state)[0]) / 2 / step
        for e in basis
    ]
    torch.testing.assert_close(tangent, torch.stack(columns, -1), rtol=1e-8, atol=1e-8)


def test_derivative_with_respect_to_a_vanishing_time_step() -> None:
    """At dt = 0 branches lose their stress and half of the jump's, each over its relaxation time."""
    model = cell()
    _, state = model(DEVIATORIC, 0.0, model.initial_state(()))
    dt = torch.zeros((), dtype=torch.float64, requires_grad=True)
    stress, _ = model(3 * DEVIATORIC, dt, state)
    (slope,) = torch.autograd.grad(stress[0], dt)
    expected = -sum(2 * g / tau for g, tau in zip(MODULI, TIMES, strict=True)) * (1 + 2 / 2) * DEVIATORIC[0]
    torch.testing.assert_close(slope, expected)


def test_failure_is_marked() -> None:
    model = cell()
    strain = DEVIATORIC.repeat(2, 1)
    strain[0, 1] = math.inf
    stress, state = model(strain, 0.1, model.initial_state((2,)))
    assert state.failed.tolist() == [True, False]
    assert stress[0].isnan().all()
    assert stress[1].isfinite().all()


def test_it_declares_its_dependence_on_rate() -> None:
    assert Viscoelastic.rate_dependent
    assert not Elastic.rate_dependent


def test_negative_time_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="dt must not be negative"):
        cell()(DEVIATORIC, -0.1, cell().initial_state(()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bulk_modulus": 0.0}, "bulk_modulus must be positive"),
        ({"moduli": (1.0,), "relaxation_times": (1.0, 2.0)}, "one entry per branch each, got 1 and 2"),
        ({"moduli": (1.0, -2.0)}, r"moduli\[1\] must be positive, got -2.0"),
        ({"relaxation_times": (0.0, 2.0)}, r"relaxation_times\[0\] must be positive"),
        ({"count": 0}, "count"),
    ],
)
def test_impossible_constants_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Viscoelastic(**options)
