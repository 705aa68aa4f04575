"""A PRNN that cannot follow large strains, and batches in which such paths are spread over two ranks in every way."""

import torch
from conftest import SCALE, PlasticPaths, make_fragile_prnn

from prnn_md.training.module import SurrogateModule

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
    return SurrogateModule(make_fragile_prnn(limit), torch.optim.Adam, None, SCALE)
