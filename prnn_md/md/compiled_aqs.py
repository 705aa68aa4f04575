"""Athermal quasi-static roll-outs by compiled functions, one core a cell."""

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from prnn_md.md.kernels.aqs import rollout, rollout_adjoint, stiffness_matrices
from prnn_md.md.kernels.minimiser import FIRE, NEWTON
from prnn_md.md.md_cell import MDCell, as_numpy
from prnn_md.mechanics import from_mandel

MINIMISERS = {"newton": NEWTON, "fire": FIRE}


class CompiledAQS:
    """Roll-outs of a cell's samples and what follows from them; stresses are in the force field's own units.

    `limits` are the force tolerance, the largest number of evaluations per increment and the largest move per step.
    """

    def __init__(self, cell: MDCell, minimiser: str, limits: tuple[float, int, float]) -> None:
        self.cell, self.minimiser, self.limits = cell, MINIMISERS[minimiser], limits

    def rollout(self, y: Tensor, stretches: Tensor, work: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Follow `stretches` (I, T, 3, 3) from positions y (I, N, 3), updated in place, for the items in `work` (I,).

        Returns Biot stresses (I, T, 3, 3), NaN where there are none; the minima (I, T, N, 3) if they are to be kept,
        else (I, 0, N, 3); status and increments done (I,).
        """
        items, increments = stretches.shape[:2]
        stresses = np.full((items, increments, 3, 3), np.nan)
        kept = np.zeros((items, increments if keep else 0, y.shape[1], 3))
        status, done = torch.zeros(items, dtype=torch.int64), torch.zeros(items, dtype=torch.int64)
        places, path, field, box = y.numpy(), as_numpy(stretches), self.cell.field, as_numpy(self.cell.sample_box)
        chosen = work.nonzero().flatten().tolist()
        fixed = (self.minimiser, *self.limits)
        arguments = (
            (places[k], box[k % self.cell.count], field, path[k], *fixed, stresses[k], kept[k]) for k in chosen
        )
        for k, (code, count, _) in zip(chosen, self.cell.side_by_side(rollout, arguments), strict=True):
            status[k], done[k] = code, count
            if code:
                stresses[k, count:] = np.nan
        return torch.from_numpy(stresses), torch.from_numpy(kept), status, done

    def adjoint(self, kept: Tensor, stretches: Tensor, gradients: Tensor, keep: bool) -> tuple[Tensor, Tensor, int]:
        """Gradients by the strains (I, T, 3, 3), of those by the stresses (I, T, 3, 3), which are updated in place.

        Returns them, the displacements (I, T, N, 3) that go with them if `keep`, and at how many increments there is no
        gradient; there `gradients` become zero.
        """
        result = torch.zeros_like(gradients)
        moves = torch.zeros(len(kept), kept.shape[1] if keep else 0, *kept.shape[2:], dtype=torch.float64)
        field, box = self.cell.field, as_numpy(self.cell.sample_box)
        tensors = (as_numpy(kept), as_numpy(stretches), gradients.numpy(), result.numpy(), moves.numpy())
        arguments = (
            (kept_k, box[k % self.cell.count], field, path_k, gradient_k, result_k, moves_k)
            for k, (kept_k, path_k, gradient_k, result_k, moves_k) in enumerate(zip(*tensors, strict=True))
        )
        return result, moves, sum(self.cell.side_by_side(rollout_adjoint, arguments))

    def tangents(self, y: Tensor, stretches: Tensor, work: Tensor) -> Tensor:
        """Tangents (I, 6, 6) at minima y (I, N, 3) carried back, one factorisation each; NaN without `work`."""
        tangents = np.full((len(y), 6, 6), np.nan)
        chosen = work.nonzero().flatten().tolist()
        field = self.cell.field
        places, stretch, box = as_numpy(y), as_numpy(stretches), as_numpy(self.cell.sample_box)
        arguments = ((places[k], stretch[k], box[k % self.cell.count], field) for k in chosen)
        for k, tangent in zip(chosen, self.cell.side_by_side(_tangent, arguments), strict=True):
            tangents[k] = tangent
        return torch.from_numpy(tangents)


def _tangent(y: np.ndarray, stretch: np.ndarray, box: np.ndarray, field: object) -> np.ndarray:
    basis = from_mandel(torch.eye(6, dtype=torch.float64)).numpy()
    x = np.zeros((len(y), 4))
    x[:, :3] = y @ stretch.T
    hessian, coupling, born = stiffness_matrices(x, stretch, box, field, basis)
    # Rigid translations cost no energy: give each one a stiffness, which changes nothing else.
    scale = np.abs(np.diag(hessian)).mean() / len(y)
    for axis in range(3):
        hessian[axis::3, axis::3] += scale
    nonaffine = scipy.linalg.lu_solve(scipy.linalg.lu_factor(hessian), coupling)
    tangent: np.ndarray = (born - coupling.T @ nonaffine) / abs(np.linalg.det(box))
    return tangent
