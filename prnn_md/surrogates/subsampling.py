"""Training with a part of the cells: each path asks some of them at random, which stand for all."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class CellSampler:
    """Draws for each path which cells are asked: of each kind with count n about `share` n, and at least one.

    As with dropout, what is drawn follows from `seed` and the numbers that `reseed` was given last, such as epoch and
    batch. Raises ValueError for a share that is not above 0 and at most 1.
    """

    def __init__(self, counts: Sequence[int], share: float, seed: int) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"The share of the cells must be above 0 and at most 1, got {share}.")
        self.counts, self.seed = tuple(counts), seed
        self.asked = tuple(max(1, round(share * count)) for count in counts)
        self._stream: tuple[int, ...] = (seed,)
        self._draws = 0

    @property
    def asks_all(self) -> bool:
        return self.asked == self.counts

    def reseed(self, *numbers: int) -> None:
        """Derive all draws from now on from the seed and these numbers."""
        self._stream, self._draws = (self.seed, *numbers), 0

    def draw(self, batch_shape: Sequence[int]) -> Tensor:
        """Weights (*batch, cells) of the cells' stresses: zero where a cell is not asked, else count / asked."""
        sequence = np.random.SeedSequence(self._stream, spawn_key=(self._draws,))
        self._draws += 1
        generator = torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
        parts = []
        for count, asked in zip(self.counts, self.asked, strict=True):
            order = torch.rand(*batch_shape, count, generator=generator).argsort(-1).argsort(-1)
            parts.append(torch.where(order < asked, torch.tensor(count / asked, dtype=torch.float64), 0.0))
        return torch.cat(parts, dim=-1)
