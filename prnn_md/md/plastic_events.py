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
"""An increment has an event if a particle moves farther beyond the affine, in units of (volume / particles)^(1/3).

Between events moves are in proportion to the increment; they are some 0.006 in increments of 0.2 % strain.
"""


def largest_moves(start: Tensor, minima: Tensor, volumes: Tensor) -> Tensor:
    """Farthest that a particle of each item moved in each increment (items, T), in units of (volume / particles)^(1/3).

    `start` (items, N, 3) and `minima` (items, T, N, 3) are positions before the first increment and after each, carried
    back to the undeformed box of `volumes` (items,), so that only what is beyond the affine is left.
    """
    spacing = (volumes / minima.shape[2]).pow(1 / 3)
    moves = torch.cat([start.unsqueeze(1), minima], dim=1).diff(dim=1)
    return moves.norm(dim=-1).amax(-1) / spacing[:, None]


def event_weights(moves: Tensor, choice: AtEvents) -> Tensor:
    """By what to multiply the gradient of each increment (items, T), given its largest move.

    This is one where there is no event; at an event it is LEAST_MOVE / move ("damp"), or zero ("skip"; also "average",
    where the gradient then comes from other samples). With "keep" there is nothing to multiply.
    """
    if choice == "damp":
        return LEAST_MOVE / moves.clamp(min=LEAST_MOVE)
    return (moves <= LEAST_MOVE).to(moves)
