"""What becomes of gradients at plastic events, where particles jump to other places.

The derivative of an athermal cell is that of the branch on which it is, and tells nothing of the jump between two
branches. So an optimiser may trust it less at increments with an event.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

AtEvents = Literal["keep", "skip", "damp", "average"]
CHOICES: tuple[AtEvents, ...] = get_args(AtEvents)

LEAST_MOVE = 0.1
"""An increment has an event if a particle moves farther beyond the affine, in units of (volume / particles)^(1/3)."""


def largest_moves(minima: Tensor, volumes: Tensor) -> Tensor:
    """Farthest that a particle of each item moved in each increment (items, T), in units of (volume / particles)^(1/3).

    `minima` (items, T, N, 3) are carried back to the undeformed box of `volumes` (items,), so that only what is beyond
    the affine is left; the first increment counts as one without a move.
    """
    spacing = (volumes / minima.shape[2]).pow(1 / 3)
    moves = torch.zeros(minima.shape[:2], dtype=minima.dtype, device=minima.device)
    moves[:, 1:] = minima.diff(dim=1).norm(dim=-1).amax(-1) / spacing[:, None]
    return moves


def event_weights(minima: Tensor, volumes: Tensor, choice: AtEvents) -> Tensor:
    """What the gradient of each increment (items, T) weighs: one without an event, see `largest_moves`.

    At an event it is one ("keep"), zero ("skip", "average"), or LEAST_MOVE / move ("damp").
    """
    if choice == "keep":
        return minima.new_ones(minima.shape[:2])
    moves = largest_moves(minima, volumes)
    if choice == "damp":
        return LEAST_MOVE / moves.clamp(min=LEAST_MOVE)
    return (moves <= LEAST_MOVE).to(moves)


def averaged(gradients: Tensor, weights: Tensor, count: int) -> Tensor:
    """Gradients by the strains (items, T, 3, 3), at events replaced by the mean over the samples without one.

    The items are paths of `count` samples each; where all samples have an event, the mean is zero.
    """
    shape = gradients.shape
    by_path, calm = gradients.reshape(-1, count, *shape[1:]), weights.reshape(-1, count, *weights.shape[1:], 1, 1)
    mean = (by_path * calm).sum(1, keepdim=True) / calm.sum(1, keepdim=True).clamp(min=1.0)
    return torch.where(calm > 0.0, by_path, mean).reshape(shape)
