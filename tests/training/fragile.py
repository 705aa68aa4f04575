"""A PRNN that cannot follow large strains, and batches in which such paths are spread over two ranks in every way."""

from functools import partial

import torch
from conftest import SCALE, PlasticPaths

from prnn_md.cell import State
from prnn_md.materials import J2
from prnn_md.surrogates import PRNN, AmplifiedRotationEncoder, HillMandelDecoder
from prnn_md.training.module import SurrogateModule


class Fragile(J2):
    """Plastic, but paths whose largest strain exceeds `limit` have failed and give NaN, in gradients too."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def rollout(self, strains, times, state=None):
        stresses, _ = super().rollout(strains, times, state)
        failed = strains.norm(dim=-1).amax(-1) > self.limit
        return torch.where(failed, torch.nan, 1.0)[..., None, None] * stresses, State(failed)


_SIZES = PlasticPaths().strain.norm(dim=-1).amax(-1)
LIMIT = _SIZES.sort().values[7:9].mean().item()
_GOOD = [row for row in range(12) if _SIZES[row] <= LIMIT]
_BAD = [row for row in range(12) if _SIZES[row] > LIMIT]
BATCHES = [
    _GOOD[:4],
    _GOOD[:5],
    _GOOD[:1],  # nothing for rank 1
    [_GOOD[0], _BAD[0], _GOOD[1], _GOOD[2], _BAD[1]],
    [_BAD[0], _GOOD[0], _BAD[1], _GOOD[1]],  # all of rank 0 fail
    [_GOOD[0], _BAD[0]],
]


def fragile_module(limit: float = LIMIT) -> SurrogateModule:
    cell = PRNN(partial(AmplifiedRotationEncoder, noise=0.3), HillMandelDecoder, {"metal": Fragile(limit)}, seed=0)
    return SurrogateModule(cell, torch.optim.Adam, None, SCALE)
