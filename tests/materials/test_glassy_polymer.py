"""The glassy polymer against Hooke's law, its flow rule integrated by SciPy, Eyring's flow stress, and differences."""

from functools import partial
from math import asinh, exp, log

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from prnn_md.cell import Cell, State
from prnn_md.materials import GlassyPolymer
from prnn_md.mechanics import biot_from_cauchy, from_mandel, stretch_of, to_mandel

MODEL = {
    "bulk_modulus": 3750.0,
    "shear_moduli": (250.0, 70.0),
    "viscosities": (2.1e11, 3e8),
    "hardening_modulus": 26.0,
    "characteristic_stress": 0.7,
    "pressure_dependence": 0.08,
    "age": 27.0,
    "softening": (0.965, 50.0, -5.0),
}
DIRECTION = torch.tensor([0.10, -0.03, -0.02, 0.03, -0.04, 0.05], dtype=torch.float64)
RATE = 1e-2
"""Of the factor of DIRECTION, per second."""


def loading(increments: int, turn: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    """Strains (T+1, 6) up to DIRECTION and back to a part of it, in equal times (T+1,)."""
    times = torch.linspace(0.0, (1.0 + turn) / RATE, increments + 1, dtype=torch.float64)
    factor = 1.0 - (RATE * times - 1.0).abs()
    return factor.unsqueeze(-1) * DIRECTION, times


def softening(strain: float) -> float:
    r0, r1, r2 = MODEL["softening"]
    return ((1 + (r0 * exp(strain)) ** r1) / (1 + r0**r1)) ** ((r2 - 1) / r1)


def cauchy_and_rates(factor: float, elastic: np.ndarray, accumulated: float) -> tuple[np.ndarray, list, float]:
    """Cauchy stress, the rates of flow of both modes and of the plastic strain, from the equations of the model."""
    stretch = stretch_of(factor * DIRECTION).numpy()
    jacobian = np.linalg.det(stretch)
    deviators = [b - np.trace(b) / 3 * np.eye(3) for b in elastic]
    driving = [g * d for g, d in zip(MODEL["shear_moduli"], deviators, strict=True)]
    tau = np.sqrt(np.sum(sum(driving) ** 2) / 2)
    pressure, tau_0 = -MODEL["bulk_modulus"] * (jacobian - 1), MODEL["characteristic_stress"]
    z = tau / tau_0
    shape = z / np.sinh(z) if z > 1e-8 else 1.0
    common = shape * np.exp(MODEL["pressure_dependence"] * pressure / tau_0 + MODEL["age"] * softening(accumulated))
    flows = [d / (2 * eta * common) for d, eta in zip(driving, MODEL["viscosities"], strict=True)]
    total = jacobian ** (-2 / 3) * stretch @ stretch
    hardening = MODEL["hardening_modulus"] * (total - np.trace(total) / 3 * np.eye(3))
    plastic = np.sqrt(np.sum(driving[0] ** 2) / 2) / (MODEL["viscosities"][0] * common)
    return sum(driving) + hardening - pressure * np.eye(3), flows, plastic


def by_scipy(turn: float) -> torch.Tensor:
    """Biot stress (6,) at the end of `loading`, with the flow rule integrated in the current configuration."""

    def change(time: float, y: np.ndarray) -> np.ndarray:
        sign = 1.0 if time < 1.0 / RATE else -1.0
        factor = 1.0 - abs(RATE * time - 1.0)
        gradient = sign * RATE * from_mandel(DIRECTION).numpy() @ np.linalg.inv(stretch_of(factor * DIRECTION).numpy())
        gradient = gradient - np.trace(gradient) / 3 * np.eye(3)
        elastic = y[:18].reshape(2, 3, 3)
        _, flows, plastic = cauchy_and_rates(factor, elastic, y[18])
        rates = [(gradient - d) @ b + b @ (gradient - d).T for d, b in zip(flows, elastic, strict=True)]
        return np.concatenate([np.ravel(rates), [plastic]])

    state = np.concatenate([np.tile(np.eye(3).ravel(), 2), [0.0]])
    for start, end in ((0.0, 1.0), (1.0, 1.0 + turn)):
        found = solve_ivp(change, (start / RATE, end / RATE), state, method="LSODA", rtol=1e-9, atol=1e-11)
        state = found.y[:, -1]
    factor = 1.0 - turn
    cauchy, _, _ = cauchy_and_rates(factor, state[:18].reshape(2, 3, 3), state[18])
    return biot_from_cauchy(to_mandel(torch.from_numpy(cauchy)), factor * DIRECTION)


def test_steps_converge_to_the_flow_rule_integrated_by_scipy() -> None:
    expected, errors = by_scipy(0.6), []
    for increments in (80, 160, 320):
        strains, times = loading(increments)
        stresses, state = GlassyPolymer(**MODEL).rollout(strains, times)
        errors.append(float((stresses[-1] - expected).norm() / stresses.norm(dim=-1).max()))
        assert not state.failed
    assert errors[2] < 1e-3
    assert errors[2] < 0.3 * errors[0]
    assert errors[1] > 1.7 * errors[2], "of first order at least"


def test_small_quick_strains_are_elastic() -> None:
    cell, size = GlassyPolymer(**MODEL), 1e-7
    strain = size * torch.eye(6, dtype=torch.float64)
    stress, _ = cell(strain, 1e-9, cell.initial_state((6,)))
    shear = sum(MODEL["shear_moduli"]) + MODEL["hardening_modulus"]
    mean = torch.zeros(6, 6, dtype=torch.float64)
    mean[:3, :3] = 1 / 3
    expected = 3 * MODEL["bulk_modulus"] * mean + 2 * shear * (torch.eye(6) - mean)
    torch.testing.assert_close(stress / size, expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("rate", [1e-4, 1e-2])
def test_it_flows_at_eyrings_stress(rate: float) -> None:
    """Without hardening, pressure and softening, shear at a rate g' ends at tau_0 asinh(eta g' / tau_0)."""
    viscosity = 1e9
    cell = GlassyPolymer(3750.0, (300.0,), (viscosity,), 0.0, 0.7, 0.0, 0.0)
    # the rate of D in simple shear, here of the stretch at small strains
    shear = torch.zeros(401, 6, dtype=torch.float64)
    shear[:, 5] = torch.linspace(0.0, 0.2, 401, dtype=torch.float64) / 2**0.5
    times = torch.linspace(0.0, 0.2 / rate, 401, dtype=torch.float64)
    state = cell.initial_state(())
    for strain, dt in zip(shear, torch.diff(times, prepend=times[:1]), strict=True):
        _, state = cell(strain, dt, state)
    stretch = stretch_of(shear[-1])
    unimodular = stretch / torch.linalg.det(stretch) ** (1 / 3)
    elastic = unimodular @ from_mandel(state.plastic[0]) @ unimodular
    stress = 300.0 * (elastic - elastic.trace() / 3 * torch.eye(3))
    gradient = from_mandel(shear[-1] - shear[-2]) / (times[-1] - times[-2]) @ torch.linalg.inv(stretch)
    rate_of_strain = (gradient + gradient.T) / 2
    rate_of_strain = rate_of_strain - rate_of_strain.trace() / 3 * torch.eye(3)
    equivalent = float((2 * rate_of_strain.square().sum()).sqrt())
    tau = float((stress.square().sum() / 2).sqrt())
    assert tau == pytest.approx(0.7 * asinh(viscosity * equivalent / 0.7), rel=5e-3)


def test_the_yield_stress_rises_with_rate_and_age_by_about_as_much_as_their_logarithm_in_tau_0() -> None:
    strain = torch.zeros(101, 6, dtype=torch.float64)
    strain[:, 5] = torch.linspace(0.0, 0.1, 101, dtype=torch.float64)
    heights = []
    for rate, age in ((1e-3, 27.0), (1e-2, 27.0), (1e-3, 30.0)):
        times = torch.linspace(0.0, 0.1 / rate, 101, dtype=torch.float64)
        model = {**MODEL, "shear_moduli": (320.0,), "viscosities": (2.1e11,), "age": age}
        heights.append(GlassyPolymer(**model).rollout(strain, times)[0][:, 5].max() / 2**0.5)
    assert float(heights[1] - heights[0]) == pytest.approx(0.7 * log(10.0), rel=0.25)
    assert float(heights[2] - heights[0]) == pytest.approx(0.7 * 3.0, rel=0.25)


def test_tangent_and_gradients_are_those_of_differences() -> None:
    cell = GlassyPolymer(**MODEL)
    strains, times = loading(20, 0.3)
    _, state = cell.rollout(strains[:13], times[:13])
    stress, tangent, _ = cell.stress_and_tangent(strains[13], times[13] - times[12], state)
    step = 1e-7 * torch.eye(6, dtype=torch.float64)
    state = state.detach()
    moved = [[cell(strains[13] + sign * row, times[13] - times[12], state)[0] for sign in (1, -1)] for row in step]
    differences = torch.stack([(up - down) / 2e-7 for up, down in moved], -1)
    torch.testing.assert_close(tangent, differences, rtol=0, atol=1e-6 * float(differences.abs().max()))
    assert stress.isfinite().all()

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cell.rollout(scale * strains, times)[0].square().sum(), scale)
    with torch.no_grad():
        up, down = (cell.rollout((1 + h) * strains, times)[0].square().sum() for h in (1e-6, -1e-6))
    assert float(slope) == pytest.approx(float(up - down) / 2e-6, rel=1e-5)


def test_gradients_are_finite_at_rest() -> None:
    cell = GlassyPolymer(**MODEL)
    strain = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    stress, _ = cell(strain, 1.0, cell.initial_state(()))
    assert stress.abs().max() < 1e-12
    stress.sum().backward()
    assert strain.grad.isfinite().all()


def test_plastic_flow_keeps_the_volume() -> None:
    strains, times = loading(40)
    _, state = GlassyPolymer(**MODEL).rollout(strains, times)
    torch.testing.assert_close(torch.linalg.det(from_mandel(state.plastic)), torch.ones(2).double(), rtol=1e-9, atol=0)
    assert state.accumulated > 0.01


def test_long_steps_and_large_strains_are_solved() -> None:
    generator = torch.Generator().manual_seed(2)
    steps = 0.1 * torch.randn(50, 8, 6, generator=generator, dtype=torch.float64)
    strains = torch.cat([torch.zeros(50, 1, 6, dtype=torch.float64), steps.cumsum(1)], 1).clamp(-0.4, 0.4)
    cell = GlassyPolymer(**MODEL)
    for span in (1e-6, 1.0, 1e6):
        stresses, state = cell.rollout(strains, span * torch.arange(9.0, dtype=torch.float64))
        fine = ~state.failed
        assert fine.sum() > 40
        assert stresses[fine].isfinite().all()
        assert stresses[fine].abs().max() < 1e5


PEEK = {**MODEL, "shear_moduli": (1045.5,), "viscosities": (7.59e21,), "characteristic_stress": 1.386, "age": 3.0}


@pytest.mark.parametrize("case", ["two modes", "one mode", "no stress left"])
def test_compiled_roll_out_and_its_way_back_are_those_of_single_steps(case: str) -> None:
    """Also from a state amid a history, from one that failed, and where tension leaves the modes without stress."""
    cell = GlassyPolymer(**(PEEK | {"softening": (0.95, 1.0, -5.0)} if case == "one mode" else MODEL))
    generator = torch.Generator().manual_seed(3)
    path, times = loading(30)
    if case == "no stress left":
        path = path + times.unsqueeze(-1) / times[-1] * torch.tensor([0.06, 0.06, 0.06, 0, 0, 0], dtype=torch.float64)
    paths = path + 2e-3 * torch.randn(4, 31, 6, generator=generator, dtype=torch.float64) * (times > 0).unsqueeze(-1)
    _, memory = cell.rollout(paths[:, :20], times[:20])
    results = []
    for roll_out in (cell.rollout, partial(Cell.rollout, cell)):
        strains = paths.clone().requires_grad_()
        plastic, amount = memory.plastic.clone().requires_grad_(), memory.accumulated.clone().requires_grad_()
        state = State(torch.tensor([False, True, False, False]), plastic=plastic, accumulated=amount)
        stresses, end = roll_out(strains, times.expand(4, -1), state)
        fine = stresses[[0, 2, 3]]
        value = (fine * torch.linspace(-1, 1, fine.numel()).reshape(fine.shape)).sum()
        value = value + 100 * end.plastic[[0, 2, 3]].square().sum() + 1e3 * end.accumulated[[0, 2, 3]].sum()
        gradients = torch.autograd.grad(value, [strains, plastic, amount])
        assert end.failed.tolist() == [False, True, False, False]
        assert stresses[1].isnan().all()
        results.append(
            [fine.detach(), end.plastic.detach()[[0, 2, 3]], end.accumulated.detach()[[0, 2, 3]], *gradients]
        )
    for compiled, stepped in zip(*results, strict=True):
        share = 1e-6 if case == "no stress left" else 1e-9  # flow is a small difference there
        torch.testing.assert_close(compiled, stepped, rtol=1e-7, atol=share * float(stepped.abs().max()))


def test_gradient_through_a_history_agrees_with_central_differences() -> None:
    cell, (path, times) = GlassyPolymer(**MODEL), loading(8)
    assert torch.autograd.gradcheck(lambda strains: cell.rollout(strains, times)[0], path.requires_grad_(), atol=1e-3)


def test_a_crushed_item_fails_and_leaves_the_others_alone() -> None:
    strains, times = loading(10)
    batch = strains.repeat(3, 1, 1)
    batch[1, 4:, :3] = -1.1
    batch[2, 6:, 0] = torch.nan
    batch.requires_grad_(True)
    stresses, state = GlassyPolymer(**MODEL).rollout(batch, times)
    assert state.failed.tolist() == [False, True, True]
    assert stresses[1, 4:].isnan().all()
    assert stresses[1, :4].isfinite().all()
    torch.testing.assert_close(stresses[0], GlassyPolymer(**MODEL).rollout(strains, times)[0])
    torch.where(stresses.isnan(), 0.0, stresses).sum().backward()
    assert batch.grad.isfinite().all()
    assert batch.grad[1, 1:4].abs().amax(-1).min() > 0, "what was before the failure still counts"
    assert not batch.grad[1, 4:].any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"viscosities": (1.0,)}, "one entry per mode each, got 2 and 1"),
        ({"shear_moduli": (1.0, -1.0)}, r"shear_moduli\[1\] must be positive"),
        ({"softening": (0.9, 50.0)}, "softening needs r_0"),
        ({"age": -1.0}, "age must not be negative"),
    ],
)
def test_impossible_constants_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GlassyPolymer(**{**MODEL, **wrong})


@pytest.mark.parametrize("case", ["model", "peek"])
def test_exported_programs_find_the_same_flow(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = GlassyPolymer(**(MODEL if case == "model" else PEEK))
    generator = torch.Generator().manual_seed(3)
    steps = 0.02 * torch.randn(6, 20, 6, generator=generator, dtype=torch.float64)
    strains, times = steps.cumsum(1) - steps[:, :1], torch.linspace(0.0, 2.0, 20, dtype=torch.float64)
    expected, _ = Cell.rollout(cell, strains, times)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    stresses, _ = Cell.rollout(cell, strains, times)
    torch.testing.assert_close(stresses, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
