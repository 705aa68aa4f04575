"""Configurations of a periodic particle system."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

FARTHEST = 1e7
"""Largest coordinate, in units of the largest one of the box vectors."""


def check_members(name: str, members: Tensor, particles: int, size: int) -> None:
    """ValueError unless each row of `members` (B, size) holds that many different particles."""
    if members.dim() != 2 or members.shape[1] != size:
        raise ValueError(f"{name} must be rows of {size} particles, got the shape {tuple(members.shape)}.")
    ordered = members.sort(dim=-1).values
    wrong = ((members < 0) | (members >= particles)).any(-1) | (ordered.diff(dim=-1) == 0).any(-1)
    if bool(wrong.any()):
        row = members[wrong][0].tolist()
        raise ValueError(f"{name}: {row} are not {size} different ones of {particles} particles.")


@dataclass(frozen=True)
class Samples:
    """Microstructures of one kind: S samples of N particles with the same types and bonds.

    `positions` (S, N, 3), unwrapped: bonds join them as they are; `box` (S, 3, 3) with the box vectors in columns, both
    in the unit of length of the force field; `bonds` (B, 2) indices; `types` (N,) numbers from zero, all zero if left
    out. ValueError for what is no configuration.
    """

    positions: Tensor
    box: Tensor
    bonds: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.int64))
    types: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        x, box = self.positions, self.box
        if x.dim() != 3 or x.shape[-1] != 3 or 0 in x.shape or box.shape != (len(x), 3, 3):
            shapes = f"got {tuple(x.shape)} and {tuple(box.shape)}"
            raise ValueError(f"Samples need positions (samples, particles, 3) and boxes (samples, 3, 3), {shapes}.")
        if not bool(x.isfinite().all()):
            sample, particle = (~x.isfinite()).nonzero()[0, :2].tolist()
            raise ValueError(f"Sample {sample}: the position of particle {particle} is not finite.")
        far = x.abs().amax((1, 2)) > FARTHEST * box.abs().amax((1, 2))
        if bool(far.any()):
            sample = int(far.nonzero()[0])
            message = "positions are so far from the origin, compared with the box, that their digits are lost"
            raise ValueError(f"Sample {sample}: {message}.")
        wrong = ~(torch.linalg.det(box.double()) > 0.0) | ~box.isfinite().all(-1).all(-1)
        if bool(wrong.any()):
            sample = int(wrong.nonzero()[0])
            rule = "box vectors, in columns, must be finite, right-handed and span a volume"
            raise ValueError(f"Sample {sample}: {rule}, got {box[sample].tolist()}.")
        particles = x.shape[1]
        if not len(self.types):
            object.__setattr__(self, "types", torch.zeros(particles, dtype=torch.int64))
        if self.types.shape != (particles,) or bool((self.types < 0).any()):
            raise ValueError(f"types must be {particles} numbers from zero, got {self.types.tolist()}.")
        check_members("bonds", self.bonds, particles, 2)

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
