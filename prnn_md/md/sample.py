"""Configurations of a periodic particle system."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Microstructures of one kind: S samples of N particles with the same bonds.

    `positions` (S, N, 3), unwrapped; `box` (S, 3, 3) with the box vectors in columns, both in the unit of length of
    the force field; `bonds` (B, 2) indices.
    """

    positions: Tensor
    box: Tensor
    bonds: Tensor

    def __len__(self) -> int:
        return self.positions.shape[0]

    def __getitem__(self, index: slice | Tensor | list[int]) -> "Samples":
        """The chosen samples (always a batch of samples, never a single one without the leading dimension)."""
        return Samples(self.positions[index], self.box[index], self.bonds)
