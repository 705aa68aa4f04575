"""Which particles meet through which periodic image: the neighbour list of a batch of cells."""

from dataclasses import dataclass

import torch
from torch import Tensor

from prnn_md.mechanics import face_widths


@dataclass(frozen=True)
class Neighbours:
    """All pairs of particles near each other in a batch of cells, each pair once.

    Pair p is of particles `first` and `second` (P,) in cell `cell` (P,), the latter moved by `images` (P, 3) box
    vectors, whole numbers. Where a box is small a pair occurs with several images, and a particle with its own.
    """

    cell: Tensor
    first: Tensor
    second: Tensor
    images: Tensor

    def vectors(self, positions: Tensor, box: Tensor) -> Tensor:
        """Vectors (P, 3) from the first to the second particle, for positions (cells, N, 3) and boxes (cells, 3, 3)."""
        apart = positions[self.cell, self.second] - positions[self.cell, self.first]
        return apart + torch.einsum("pij,pj->pi", box[self.cell], self.images.to(box.dtype))


@torch.no_grad()
def find_neighbours(positions: Tensor, box: Tensor, reach: float, excluded: Tensor | None = None) -> Neighbours:
    """All pairs within `reach`, with every image that is that near.

    `positions` (cells, N, 3) are unwrapped, `box` (cells, 3, 3) has the box vectors in columns. The pairs in `excluded`
    (X, 2) are left out where they join unwrapped positions as they are; their other images count.
    """
    particles = positions.shape[1]
    fractions = torch.linalg.solve(box, positions.mT).mT
    pairs = torch.triu_indices(particles, particles, device=box.device)
    apart = fractions[:, pairs[1]] - fractions[:, pairs[0]]
    nearest = -torch.round(apart)
    found = []
    for shift in _images(box, reach):
        images = nearest + shift
        square = torch.einsum("cij,cpj->cpi", box, apart + images).square().sum(-1)
        near = square < reach**2
        if not _counts_for_itself(shift):
            near &= (pairs[0] != pairs[1])[None]
        if excluded is not None and len(excluded):
            near &= ~(_is_excluded(pairs, excluded, particles)[None] & (images == 0.0).all(-1))
        cell, pair = near.nonzero(as_tuple=True)
        found.append((cell, pairs[0, pair], pairs[1, pair], images[cell, pair]))
    cell, first, second, images = (torch.cat(parts) for parts in zip(*found, strict=True))
    order = torch.argsort(cell, stable=True)
    return Neighbours(cell[order], first[order], second[order], images[order])


def _images(box: Tensor, reach: float) -> Tensor:
    """Box vectors, in whole numbers (n, 3), by which a nearest image may be moved and still be within reach."""
    ranges = [torch.arange(-n, n + 1) for n in torch.floor(reach / face_widths(box).amin(0) + 0.5).int().tolist()]
    return torch.cartesian_prod(*ranges).to(box)


def _counts_for_itself(shift: Tensor) -> bool:
    """Whether a particle meets its own image there: half of the images, since the other half are the same pairs."""
    return tuple(shift.tolist()) > (0.0, 0.0, 0.0)


def _is_excluded(pairs: Tensor, excluded: Tensor, particles: int) -> Tensor:
    low, high = excluded.amin(-1).to(pairs.device), excluded.amax(-1).to(pairs.device)
    return torch.isin(pairs[0] * particles + pairs[1], low * particles + high)
