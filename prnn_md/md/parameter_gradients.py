"""Gradients of stresses with respect to parameters of the force field."""

import torch
from torch import Tensor

from prnn_md.md.force_field import ForceField

PAIRS_AT_ONCE = 2_000_000


def parameter_gradients(
    force_field: ForceField,
    parameters: list[Tensor],
    types: Tensor,
    positions: Tensor,
    box: Tensor,
    moves: Tensor,
    box_moves: Tensor,
) -> list[Tensor]:
    """Gradients of the sum over configurations M of dW/ds, by each of the parameters.

    W is the energy, and s moves positions (M, N, 3) along `moves` and boxes (M, 3, 3) along `box_moves`. The stress is
    such a derivative, and so is what an adjoint pass leaves of the forces, so that this is all that the gradient by a
    parameter takes beside it.
    """
    total = [torch.zeros_like(parameter) for parameter in parameters]
    chunk = max(1, PAIRS_AT_ONCE // positions.shape[1] ** 2)
    for start in range(0, len(positions), chunk):
        part = slice(start, start + chunk)
        neighbours = force_field.neighbours(positions[part], box[part])
        with torch.enable_grad():
            s = torch.zeros(len(positions[part]), 1, 1, dtype=box.dtype, device=box.device, requires_grad=True)
            moved, moved_box = positions[part] + s * moves[part], box[part] + s * box_moves[part]
            energies = force_field(moved, moved_box, types, neighbours)
            (slope,) = torch.autograd.grad(energies.sum(), s, create_graph=True)
            found = torch.autograd.grad(slope.sum(), parameters, materialize_grads=True)
        total = [old + new for old, new in zip(total, found, strict=True)]
    return total
