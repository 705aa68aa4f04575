"""Langevin roll-outs of many cells at once, for any energy; the steps of `prnn_md.md.kernels.langevin`."""

import torch
from torch import Tensor

from prnn_md.md.batched.listed import Listed, strain_faults, unless
from prnn_md.md.batched.noise import keys_of, normals
from prnn_md.md.batched.overdamped import biot_of_virial, biot_stress
from prnn_md.md.failure import BROKEN_BOND, CONVERGED, UNSTABLE
from prnn_md.md.kernels.langevin import Bath
from prnn_md.md.md_cell import MDCell
from prnn_md.mechanics import face_widths


class BatchedLangevin:
    """The steps of one roll-out: what stays the same in it.

    `total` (I,) are all steps of each item, from whose end the `horizon` is counted; `taken` (I,) those before.
    """

    def __init__(self, cell: MDCell, bath: Bath, random: Tensor, total: Tensor) -> None:
        self.cell, self.bath, self.keys, self.first = cell, bath, keys_of(random[:, 0]), random[:, 1].clone()
        self.total = total
        self.box0 = cell.sample_box[cell.samples_of(len(random))]
        self.masses = cell.force_field.masses[:, None]

    def increment(
        self,
        before: Tensor,
        after: Tensor,
        y: Tensor,
        v: Tensor,
        taken: Tensor,
        steps: int,
        dt: float,
        work: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Stress (I, 3, 3), y and v (I, N, 3) after so many steps from stretch `before` to `after`, and status (I,)."""
        cell, bath, measured, rest = self.cell, self.bath, max(1, round(self.bath.window * steps)), y.detach()
        status = torch.where(work, strain_faults(cell.force_field, after.detach(), self.box0), CONVERGED)
        going = work & (status == CONVERGED)
        before, after = unless(~going, before), unless(~going, after)  # what does not go on stays at rest
        x, stretch = y @ before.mT, before
        listed = Listed(cell.force_field, cell.types, x, stretch @ self.box0, bath.skin)
        energies, forces = self._forces(listed, x)
        status = torch.where(going, listed.faults(x, energies.detach(), forces.detach()), status)
        going = going & (status == CONVERGED)
        total = torch.zeros_like(before)
        keep = torch.exp(torch.tensor(-bath.friction * dt, dtype=y.dtype, device=y.device))
        spread = ((1.0 - keep**2) * bath.temperature / self.masses).sqrt()
        for step in range(steps):
            if bool(((self.total - taken) % bath.horizon == 0).any()) and bool((taken > 0).any()):
                x, v, forces = x.detach(), v.detach(), self._forces(listed, x.detach())[1]
            noise = normals(self.keys, self.first + taken, cell.types.numel()).to(y.dtype)
            v = v + 0.5 * dt * forces / self.masses
            thermal = keep * v + spread * noise
            moved, v = 0.5 * dt * (v + thermal), thermal
            now = unless(~going, before + (step + 1) / steps * (after - before))
            x, stretch = (x + moved) @ (now @ torch.linalg.inv(stretch)).mT, now
            fault = torch.where(self._flown(moved, now), UNSTABLE, CONVERGED)
            narrow = strain_faults(cell.force_field, now.detach(), self.box0)
            status = torch.where(going, torch.where(narrow != CONVERGED, narrow, fault), status)
            going = going & (status == CONVERGED)
            stretch, fixed = unless(~going, stretch), ~going[:, None, None]
            x, v = _clipped(torch.where(fixed, rest, x), bath.clip), torch.where(fixed, 0.0, v)
            listed = Listed(cell.force_field, cell.types, x, stretch @ self.box0, bath.skin)
            energies, forces = self._forces(listed, x)
            fault = listed.faults(x, energies.detach(), forces.detach())
            fault = torch.where((fault != CONVERGED) & (fault != BROKEN_BOND), UNSTABLE, fault)
            status = torch.where(going, fault, status)
            going = going & (status == CONVERGED)
            forces = torch.where(going[:, None, None], forces, 0.0)
            v = _clipped(v + 0.5 * dt * forces / self.masses, bath.clip)
            taken = taken + 1
            if step >= steps - measured:
                total = total + self._stress(x, v, stretch, listed) / measured
        lost = ~(total.detach().isfinite().all(-1).all(-1) & v.detach().isfinite().all(-1).all(-1))
        status = torch.where(going & lost, UNSTABLE, status)
        fixed = (~work | (status != CONVERGED))[:, None, None]
        back = torch.linalg.inv(after)
        return total, torch.where(fixed, rest, x @ back.mT), torch.where(fixed, v.detach(), v), status

    def _flown(self, moved: Tensor, stretch: Tensor) -> Tensor:
        """Whether a particle of each item (I,) has moved farther in one step than any does that is not lost."""
        limit = 0.5 * face_widths((stretch @ self.box0).detach()).amin(-1) + 1e3 * self.bath.skin
        return ~(moved.detach().norm(dim=-1).amax(-1) < limit)

    def _forces(self, listed: Listed, x: Tensor) -> tuple[Tensor, Tensor]:
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            # a view: what clips gradients by x must not clip the forces
            place = x.view_as(x) if x.requires_grad else x.detach().requires_grad_(True)
            energies = listed.energy(place)
            (slope,) = torch.autograd.grad(energies.sum(), place, create_graph=graph)
        return energies, -slope

    def _stress(self, x: Tensor, v: Tensor, stretch: Tensor, listed: Listed) -> Tensor:
        back = torch.linalg.inv(stretch)
        kinetic = (self.masses * v).mT @ v
        static = biot_stress(self.cell, x, stretch @ self.box0, self.box0, back, listed)
        return static - biot_of_virial(kinetic, back, self.box0)


def _clipped(value: Tensor, limit: float) -> Tensor:
    """The value, whose gradient (I, N, 3) is scaled down to the norm `limit` for each item."""
    if value.requires_grad and limit < float("inf"):
        value = value.clone()
        value.register_hook(lambda g: g * (limit / g.norm(dim=(1, 2), keepdim=True).clamp(min=1e-300)).clamp(max=1.0))
    return value
