"""Energy minimisation of many cells at once, each at its own pace; the methods of `prnn_md.md.kernels.minimiser`."""

from collections.abc import Callable

import torch
from torch import Tensor

from prnn_md.md.batched.listed import Listed
from prnn_md.md.failure import CONVERGED, NOT_CONVERGED

FORCING = 0.05  # a Newton step is solved to this part of the force, or less where forces are smaller
FIRE_STEP, FIRE_MIXING = 0.01, 0.25
SOFTEST = 1e-6  # curvature below which the energy counts as flat along a direction
WORKING = -1


def minimise(
    listed: Listed, x: Tensor, work: Tensor, minimiser: str, tolerance: float, max_evaluations: int, max_move: float
) -> tuple[Tensor, Tensor]:
    """Positions (I, N, 3) of the minima downhill of x, and the status (I,) of each; items without `work` (I,) stay.

    `tolerance` is a root-mean-square force; see `prnn_md.md.kernels.minimiser.minimise`.
    """
    method = {"newton": by_newton, "fire": by_fire}[minimiser]
    status = torch.where(work, WORKING, CONVERGED)
    x, status = method(listed, x.detach(), status, tolerance, max_evaluations, max_move)
    return x, torch.where(status == WORKING, NOT_CONVERGED, status)


def by_fire(
    listed: Listed, x: Tensor, status: Tensor, tolerance: float, max_evaluations: int, max_move: float
) -> tuple[Tensor, Tensor]:
    """FIRE; `status` (I,) is WORKING for the items to minimise."""
    energies, forces = listed.energy_and_forces(x)
    v = torch.zeros_like(x)
    dt, mixing = (torch.full_like(x[:, :1, :1], number) for number in (FIRE_STEP, FIRE_MIXING))
    downhill = torch.zeros_like(dt)
    for _ in range(max_evaluations):
        status = judged(listed, x, status, energies, forces, tolerance)
        active = status == WORKING
        if not bool(active.any()):
            break
        forward = inner(forces, v) > 0.0
        downhill = torch.where(forward, downhill + 1.0, 0.0)
        dt = torch.where(forward & (downhill > 20), (1.1 * dt).clamp(max=10.0 * FIRE_STEP), dt)
        mixing = torch.where(forward, torch.where(downhill > 20, 0.99 * mixing, mixing), FIRE_MIXING)
        dt = torch.where(forward, dt, (0.5 * dt).clamp(min=0.02 * FIRE_STEP))
        step = torch.where(forward, 0.0, -0.5 * dt * v)
        v = torch.where(forward, v, 0.0) + dt * forces
        v = (1.0 - mixing) * v + mixing * (inner(v, v) / inner(forces, forces)).sqrt() * forces
        v = v * (max_move / (dt * largest(v))).clamp(max=1.0)
        x = torch.where(active[:, None, None], x + step + dt * v, x)
        energies, forces = listed.energy_and_forces(x)
    return x, judged(listed, x, status, energies, forces, tolerance)


def by_newton(
    listed: Listed, x: Tensor, status: Tensor, tolerance: float, max_evaluations: int, max_move: float
) -> tuple[Tensor, Tensor]:
    """A truncated Newton method; `status` (I,) is WORKING for the items to minimise."""
    energies, forces = listed.energy_and_forces(x)
    evaluations, round_off = 1, max(1e-12, 16.0 * torch.finfo(x.dtype).eps)
    while evaluations < max_evaluations:
        status = judged(listed, x, status, energies, forces, tolerance)
        active = status == WORKING
        if not bool(active.any()):
            break
        rms = rms_of(forces)
        accuracy = torch.maximum(rms.clamp(max=FORCING), 0.5 * tolerance / rms)
        right = torch.where(active[:, None, None], forces, 0.0)
        step, used = conjugate_gradients(hessian(listed, x), right, accuracy, max_evaluations - evaluations)
        evaluations += used
        descent = -inner(forces, step)
        length = (max_move / largest(step)).clamp(max=1.0)
        pending = active[:, None, None]
        while bool(pending.any()) and evaluations < max_evaluations:
            trial = torch.where(pending, x + length * step, x)
            new_energies, new_forces = listed.energy_and_forces(trial)
            evaluations += 1
            gain = (new_energies - energies)[:, None, None]
            flat = gain <= round_off * energies.abs()[:, None, None]
            good = (gain <= 1e-4 * length * descent) | (flat & (-inner(new_forces, step) <= -0.8 * descent))
            good = good & pending
            x = torch.where(good, trial, x)
            energies = torch.where(good[:, 0, 0], new_energies, energies)
            forces = torch.where(good, new_forces, forces)
            pending = pending & ~good
            length = torch.where(new_energies[:, None, None] == torch.inf, 0.1, 0.4) * length
            stuck = pending & ~(length * largest(step) >= 1e-14)
            status = torch.where(stuck[:, 0, 0], NOT_CONVERGED, status)
            pending = pending & ~stuck
    return x, judged(listed, x, status, energies, forces, tolerance)


def hessian(listed: Listed, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The map from displacements (I, N, 3) to products with the second derivatives of the energy at x."""
    with torch.enable_grad():
        place = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(listed.energy(place).sum(), place, create_graph=True)
    return lambda v: torch.autograd.grad(slope, place, v, retain_graph=True)[0]


def conjugate_gradients(
    times: Callable[[Tensor], Tensor], right: Tensor, accuracy: Tensor, max_products: int
) -> tuple[Tensor, int]:
    """Solutions (I, N, 3) of `times` v = right to the relative `accuracy` (I, 1, 1), and the products used.

    An item ends early, with what was reached before, where the energy is not curved upwards along a search direction.
    """
    v, residual = torch.zeros_like(right), right.clone()
    direction, square = residual.clone(), inner(right, right)
    goal = (accuracy.reshape(-1, 1, 1).square() * square).clamp(min=0.0)
    active, used = square > goal, 0
    while used < max_products and bool(active.any()):
        image = times(torch.where(active, direction, 0.0))
        used += 1
        curvature = inner(direction, image)
        curved = curvature > SOFTEST * inner(direction, direction)
        if used == 1:
            v = torch.where(active & ~curved, direction, v)
        active = active & curved
        length = torch.where(active, square / curvature, 0.0)
        v, residual = v + length * direction, residual - length * image
        new = inner(residual, residual)
        direction = torch.where(active, residual + new / square * direction, direction)
        square = torch.where(active, new, square)
        active = active & (square > goal)
    return v - v.mean(1, keepdim=True), used


def judged(listed: Listed, x: Tensor, status: Tensor, energies: Tensor, forces: Tensor, tolerance: float) -> Tensor:
    """The status of items that were working: a fault, converged, or still working."""
    fault = listed.faults(x, energies, forces)
    now = torch.where(rms_of(forces).flatten() <= tolerance, CONVERGED, WORKING)
    return torch.where(status == WORKING, torch.where(fault != CONVERGED, fault, now), status)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products (I, 1, 1) of the items of two tensors (I, N, 3)."""
    return (a * b).sum((1, 2), keepdim=True)


def rms_of(forces: Tensor) -> Tensor:
    """Root mean squares (I, 1, 1) over all components."""
    return forces.square().mean((1, 2), keepdim=True).sqrt()


def largest(v: Tensor) -> Tensor:
    """Longest rows (I, 1, 1) of the items."""
    return v.norm(dim=-1).amax(-1)[:, None, None].clamp(min=1e-300)
