"""Athermal quasi-static roll-outs of many cells at once, for any energy; theory in `prnn_md.md.kernels.aqs`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from prnn_md.md.batched.listed import Listed, strain_faults, unless
from prnn_md.md.batched.minimise import conjugate_gradients, minimise
from prnn_md.md.energy import virial
from prnn_md.md.failure import CONVERGED, NOT_FINITE
from prnn_md.md.md_cell import MDCell
from prnn_md.mechanics import from_mandel, to_mandel

SKIN = 0.2
AT_ONCE = 512  # configurations in one adjoint solve


@dataclass(frozen=True)
class Branch:
    """Derivatives of the energy at minima: W_E (I, 3, 3) and W_y (I, N, 3) with a graph back to their variables."""

    strain: Tensor
    moves: Tensor
    by_strain: Tensor
    by_moves: Tensor


class BatchedAQS:
    """The same work as `prnn_md.md.compiled_aqs.CompiledAQS`, by its calls."""

    def __init__(self, cell: MDCell, minimiser: str, limits: tuple[float, int, float]) -> None:
        self.cell, self.minimiser, self.limits = cell, minimiser, limits

    def rollout(self, y: Tensor, stretches: Tensor, work: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `CompiledAQS.rollout`."""
        cell, (items, increments) = self.cell, stretches.shape[:2]
        box0 = cell.sample_box[cell.samples_of(items)]
        stresses = torch.full_like(stretches, torch.nan)
        kept = y.new_zeros(items, increments if keep else 0, *y.shape[1:])
        status = torch.zeros(items, dtype=torch.int64, device=y.device)
        done = torch.full_like(status, increments)
        for t in range(increments):
            going = work & (status == CONVERGED)
            status = torch.where(going, strain_faults(cell.force_field, stretches[:, t], box0), status)
            stretch = unless(~going | (status != CONVERGED), stretches[:, t])
            box = stretch @ box0
            listed = Listed(cell.force_field, cell.types, y @ stretch.mT, box, SKIN)
            x, found = minimise(listed, listed.listed_at, going & (status == 0), self.minimiser, *self.limits)
            status = torch.where(going & (status == CONVERGED), found, status)
            back = torch.linalg.inv(stretch)
            nominal = virial(cell.force_field, x, box, cell.types, listed.neighbours).detach() @ back
            stress = 0.5 * (nominal + nominal.mT) / torch.linalg.det(box0).abs()[:, None, None]
            lost = ~stress.isfinite().all(-1).all(-1)
            status = torch.where(going & lost & (status == CONVERGED), NOT_FINITE, status)
            good = going & (status == CONVERGED)
            done = torch.where(going & ~good, t, done)
            stresses[:, t] = torch.where(good[:, None, None], stress, torch.nan)
            y.copy_(torch.where(good[:, None, None], x @ back.mT, y))
            if keep:
                kept[:, t] = x
        return stresses, kept, status, done

    def adjoint(self, kept: Tensor, stretches: Tensor, gradients: Tensor, keep: bool) -> tuple[Tensor, Tensor, int]:
        """See `CompiledAQS.adjoint`."""
        result, moves = torch.zeros_like(gradients), torch.zeros_like(kept) if keep else kept[:, :0]
        items, times = (gradients.abs().amax((-1, -2)) > 0.0).nonzero(as_tuple=True)
        dropped = 0
        for item, time in zip(items.split(AT_ONCE), times.split(AT_ONCE), strict=True):
            box0 = self.cell.sample_box[item % self.cell.count]
            branch = self._branch(kept[item, time], stretches[item, time], box0)
            g = 0.5 * (gradients[item, time] + gradients[item, time].mT)
            with torch.enable_grad():
                along = (branch.by_strain * g).sum()
                (coupling,) = torch.autograd.grad(along, branch.moves, retain_graph=True)
                v, solved = self._relaxation(branch, -coupling)
                (total,) = torch.autograd.grad(along + (branch.by_moves * v).sum(), branch.strain)
            volumes = torch.linalg.det(box0).abs()[:, None, None]
            result[item, time] = torch.where(solved, 0.5 * (total + total.mT) / volumes, 0.0)
            gradients[item, time] = torch.where(solved, gradients[item, time], 0.0)
            if keep:
                moves[item, time] = torch.where(solved, v, 0.0)
            dropped += int((~solved).sum())
        return result, moves, dropped

    def tangents(self, y: Tensor, stretches: Tensor, work: Tensor) -> Tensor:
        """See `CompiledAQS.tangents`."""
        items, particles = y.shape[:2]
        box0, stretches = self.cell.sample_box[self.cell.samples_of(items)], unless(~work, stretches)
        branch = self._branch(y @ stretches.mT, stretches, box0)
        columns = torch.eye(3 * particles, dtype=y.dtype, device=y.device).reshape(-1, 1, particles, 3)
        hessian = torch.stack(
            [torch.autograd.grad(branch.by_moves, branch.moves, c.expand_as(y), retain_graph=True)[0] for c in columns]
        )
        hessian = hessian.permute(1, 0, 2, 3).reshape(items, 3 * particles, 3 * particles)
        basis = from_mandel(torch.eye(6, dtype=y.dtype, device=y.device))
        with torch.enable_grad():
            alongs = [(branch.by_strain * b).sum() for b in basis]
        seconds = [torch.autograd.grad(along, (branch.strain, branch.moves), retain_graph=True) for along in alongs]
        born = torch.stack([to_mandel(0.5 * (s + s.mT)) for s, _ in seconds], -1)
        coupling = torch.stack([m.flatten(1) for _, m in seconds], -1)
        rigid = torch.eye(3, dtype=y.dtype, device=y.device).repeat(particles, particles) / particles
        scale = hessian.diagonal(dim1=-2, dim2=-1).abs().mean(-1)[:, None, None]
        nonaffine = torch.linalg.solve(hessian + scale * rigid, coupling)
        tangents = (born - coupling.mT @ nonaffine) / torch.linalg.det(box0).abs()[:, None, None]
        return torch.where(work[:, None, None], tangents, torch.nan)

    def _branch(self, x: Tensor, stretches: Tensor, box0: Tensor) -> Branch:
        cell, y = self.cell, x @ torch.linalg.inv(stretches).mT
        neighbours = cell.force_field.neighbours(x, stretches @ box0)
        with torch.enable_grad():
            strain = torch.zeros_like(stretches).requires_grad_(True)
            moves = torch.zeros_like(x).requires_grad_(True)
            stretch = stretches + strain
            energies = cell.force_field(y @ stretch.mT + moves, stretch @ box0, cell.types, neighbours)
            by_strain, by_moves = torch.autograd.grad(energies.sum(), (strain, moves), create_graph=True)
        return Branch(strain, moves, by_strain, by_moves)

    def _relaxation(self, branch: Branch, right: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements (I, N, 3) under forces `right`, and whether they were found (I, 1, 1)."""

        def times(v: Tensor) -> Tensor:
            return torch.autograd.grad(branch.by_moves, branch.moves, v, retain_graph=True)[0]

        right = right - right.mean(1, keepdim=True)  # what is left of it by round-off moves the cell as a whole
        relative = max(1e-8, 1e3 * torch.finfo(right.dtype).eps)
        accuracy = torch.full_like(right[:, :1, :1], relative)
        v, _ = conjugate_gradients(times, right, accuracy, 4 * right[0].numel())
        left = times(v) - right
        left, size = left.square().sum((1, 2), keepdim=True), right.square().sum((1, 2), keepdim=True)
        return v, left <= 10.0 * relative**2 * size
