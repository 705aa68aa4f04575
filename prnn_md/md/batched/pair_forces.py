"""Forces of Lennard-Jones pairs in one compiled pass over the neighbour list, without the graph of an energy."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from prnn_md.md.neighbours import Neighbours
from prnn_md.md.pair_energy import LennardJones


def pair_forces(pairs: LennardJones, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
    """Forces (cells, N, 3), the same as `prnn_md.md.energy.forces` of `pairs`, without a graph behind them.

    The first call compiles, which takes a C++ compiler and some seconds; later ones may have any number of pairs.
    """
    with torch.no_grad():
        return _compiled()(pairs, positions, box, types, neighbours)


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(_forces, dynamic=True, fullgraph=True)


def _forces(pairs: LennardJones, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
    cells, particles = positions.shape[:2]
    kind = pairs.kinds[types[neighbours.first], types[neighbours.second]]
    apart = neighbours.vectors(positions, box).unbind(-1)
    by_square = torch.func.grad(lambda r2: pairs.of_pairs(r2, kind).sum())(sum(d * d for d in apart))
    first, second = (neighbours.cell * particles + place for place in (neighbours.first, neighbours.second))
    forces = []
    for d in apart:  # one coordinate after another, which the compiler makes loops over pairs of
        pull = 2.0 * by_square * d
        none = pull.new_zeros(cells * particles)
        forces.append(none.index_add(0, first, pull).index_add(0, second, -pull))
    return torch.stack(forces, -1).reshape(positions.shape)
