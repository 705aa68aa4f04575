"""The Stillinger-Weber energy, with its three-body part."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prnn_md.md.neighbours import Neighbours
from prnn_md.md.pair_energy import sum_over_cells


@dataclass(frozen=True)
class StillingerWeberConstants:
    """Constants of one element, by their names in Stillinger & Weber, Phys. Rev. B 31, 5262 (1985)."""

    epsilon: float
    sigma: float
    a: float
    lambda_: float
    gamma: float
    A: float
    B: float
    p: float
    q: float
    cosine: float = -1.0 / 3.0


class StillingerWeber(nn.Module):
    """Pairs A epsilon (B (sigma/r)^p - (sigma/r)^q) exp(sigma/(r - a sigma)) and triples at a common particle,
    lambda epsilon (cos theta - cosine)^2 exp(gamma sigma/(r - a sigma) + gamma sigma/(r' - a sigma)).

    All derivatives go to zero at the cutoff a sigma. `epsilon` and `sigma` are parameters, (1,) each.
    Stillinger & Weber, Phys. Rev. B 31, 5262 (1985).
    """

    epsilon: Tensor
    sigma: Tensor

    def __init__(self, constants: StillingerWeberConstants) -> None:
        super().__init__()
        self.constants = constants
        self.register_buffer("epsilon", torch.tensor([constants.epsilon], dtype=torch.float64), persistent=False)
        self.register_buffer("sigma", torch.tensor([constants.sigma], dtype=torch.float64), persistent=False)

    @property
    def cutoff(self) -> float:
        return self.constants.a * float(self.sigma.detach().max())

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        vectors = neighbours.vectors(positions, box)
        near = (vectors.detach().square().sum(-1) < self.cutoff**2 * (1.0 - 1e-9)).nonzero().squeeze(-1)
        cell, vectors = neighbours.cell[near], vectors[near]
        pairs = sum_over_cells(self._of_pairs(vectors.norm(dim=-1)), cell, len(positions))
        particles = positions.shape[1]
        centre = torch.cat([neighbours.first[near], neighbours.second[near]]) + particles * cell.repeat(2)
        legs = torch.cat([vectors, -vectors])
        first, second = pairs_of_legs(centre)
        triples = self._of_triples(legs[first], legs[second])
        return pairs + sum_over_cells(triples, centre[first] // particles, len(positions))

    def _of_pairs(self, r: Tensor) -> Tensor:
        c, ratio = self.constants, self.sigma / r
        return c.A * self.epsilon * (c.B * ratio**c.p - ratio**c.q) * torch.exp(1.0 / (r / self.sigma - c.a))

    def _of_triples(self, one: Tensor, other: Tensor) -> Tensor:
        c, r, s = self.constants, one.norm(dim=-1), other.norm(dim=-1)
        cosine = (one * other).sum(-1) / (r * s)
        screen = torch.exp(c.gamma / (r / self.sigma - c.a) + c.gamma / (s / self.sigma - c.a))
        return c.lambda_ * self.epsilon * (cosine - c.cosine).square() * screen


def pairs_of_legs(centre: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of places in `centre` (L,) with the same number, each pair once: two index tensors."""
    if not len(centre):
        return centre, centre
    order = torch.argsort(centre, stable=True)
    _, numbers = torch.unique_consecutive(centre[order], return_counts=True)
    starts = torch.cumsum(numbers, 0) - numbers
    one, other = torch.triu_indices(int(numbers.max()), int(numbers.max()), offset=1, device=centre.device)
    there = other[None] < numbers[:, None]
    first, second = (starts[:, None] + one)[there], (starts[:, None] + other)[there]
    return order[first], order[second]
