"""Overdamped roll-outs of many cells at once, for any energy; the steps of `prnn_md.md.kernels.overdamped`."""

import torch
from torch import Tensor

from prnn_md.md.batched.listed import Listed, strain_faults, unless
from prnn_md.md.batched.replay import replayed
from prnn_md.md.failure import CONVERGED, NOT_FINITE, UNSTABLE
from prnn_md.md.md_cell import MDCell

SKIN = 0.2


def rollout(
    cell: MDCell, stretches: Tensor, y: Tensor, lengths: Tensor, steps: int, work: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Biot stresses (I, T, 3, 3) and last positions y (I, N, 3), differentiable, and status and increments done (I,).

    `stretches` (I, T, 3, 3), `lengths` (I, T) of the steps; items without `work` (I,) stay.
    """
    box0 = cell.sample_box[cell.samples_of(len(y))]
    status = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    done, stresses = torch.full_like(status, stretches.shape[1]), []
    for t in range(stretches.shape[1]):
        going = work & (status == CONVERGED)
        fault = strain_faults(cell.force_field, stretches[:, t].detach(), box0)
        able = going & (fault == CONVERGED)
        fixed = (lengths[:, t], cell, box0, steps, able)
        stretch = unless(~able, stretches[:, t])
        stress, y, found = replayed(_increment, (stretch, y), cell.trained_parameters, *fixed)
        lost = ~stress.detach().isfinite().all(-1).all(-1) & (found == CONVERGED)
        found = torch.where(lost, NOT_FINITE, found)
        status = torch.where(going, torch.where(able, found, fault), status)
        done = torch.where(going & (status != CONVERGED), t, done)
        good = (going & (status == CONVERGED))[:, None, None]
        stresses.append(torch.where(good, stress, torch.nan))
    return torch.stack(stresses, 1), y, status, done


def _increment(
    stretch: Tensor, y: Tensor, length: Tensor, cell: MDCell, box0: Tensor, steps: int, work: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    box = stretch @ box0
    x = y @ stretch.mT
    listed = Listed(cell.force_field, cell.types, x, box, SKIN)
    status = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    moving = work & (length > 0.0)
    previous = torch.full_like(length, torch.inf)
    graph, round_off = torch.is_grad_enabled(), max(1e-9, 16.0 * torch.finfo(y.dtype).eps)
    for step in range(steps + 1):
        listed.renew(x)
        with torch.enable_grad():
            place = x if x.requires_grad else x.detach().requires_grad_(True)
            energies = listed.energy(place)
            (slope,) = torch.autograd.grad(energies.sum(), place, create_graph=graph)
        fault = listed.faults(x, energies.detach(), slope.detach())
        fault = torch.where((fault != CONVERGED) & torch.tensor(step > 0, device=y.device), UNSTABLE, fault)
        fault = torch.where((fault == CONVERGED) & (energies > previous + round_off * previous.abs()), UNSTABLE, fault)
        status = torch.where(work & (status == CONVERGED), fault, status)
        previous = energies.detach()
        if step < steps:
            going = (moving & (status == CONVERGED))[:, None, None]
            x = torch.where(going, x - length[:, None, None] * slope, x)
    back = torch.linalg.inv(stretch)
    return biot_stress(cell, x, box, box0, back, listed), torch.where(work[:, None, None], x @ back.mT, y), status


def biot_stress(cell: MDCell, x: Tensor, box: Tensor, box0: Tensor, back: Tensor, listed: Listed) -> Tensor:
    """Biot stresses (I, 3, 3) without kinetic part, differentiable where gradients are on."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        strain = torch.zeros_like(box).requires_grad_(True)
        stretched = torch.eye(3, dtype=box.dtype, device=box.device) + strain
        energies = cell.force_field(x @ stretched.mT, stretched @ box, cell.types, listed.neighbours)
        (tensor,) = torch.autograd.grad(energies.sum(), strain, create_graph=graph)
    return biot_of_virial(0.5 * (tensor + tensor.mT), back, box0)


def biot_of_virial(tensor: Tensor, back: Tensor, box0: Tensor) -> Tensor:
    """Biot stresses (I, 3, 3) of virials (I, 3, 3), with back = U^-1."""
    nominal = tensor @ back
    return 0.5 * (nominal + nominal.mT) / torch.linalg.det(box0).abs()[:, None, None]
