"""Configurations of a periodic particle system."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Microstructures of one kind: S samples of N particles with the same types and bonds.

    `positions` (S, N, 3), unwrapped: bonds join them as they are; `box` (S, 3, 3) with the box vectors in columns, both
    in the unit of length of the force field; `bonds` (B, 2) indices; `types` (N,) numbers from zero, all zero if left
    out.
    """

    positions: Tensor
    box: Tensor
    bonds: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.int64))
    types: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        if not len(self.types):
            object.__setattr__(self, "types", torch.zeros(self.positions.shape[1], dtype=torch.int64))

    def __len__(self) -> int:
        return self.positions.shape[0]

    def __getitem__(self, index: slice | Tensor | list[int]) -> "Samples":
        """The chosen samples (always a batch of samples, never a single one without the leading dimension)."""
        return self.moved(self.positions[index], self.box[index])

    def moved(self, positions: Tensor, box: Tensor) -> "Samples":
        """The same particles elsewhere."""
        return replace(self, positions=positions, box=box)

    @staticmethod
    def cat(samples: "list[Samples]") -> "Samples":
        """Samples of the same kind, one after another."""
        positions, box = (torch.cat([getattr(s, name) for s in samples]) for name in ("positions", "box"))
        return samples[0].moved(positions, box)
