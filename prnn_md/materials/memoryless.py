"""Materials whose stress depends on nothing but the strain."""

import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State
from prnn_md.materials.constants import check_path, mark_failures


class Memoryless(Cell):
    """A cell that answers all points of a path at once; its state only says what has failed."""

    def stress(self, strain: Tensor) -> Tensor:
        """Stress (*batch, 6) of strains (*batch, 6), NaN where there is no such deformation."""
        raise NotImplementedError

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6), NaN where there is no such deformation; dt has no influence."""
        stress, failed = mark_failures(self.stress(strain), state)
        return stress, State(failed)

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As for every cell, all points at once."""
        check_path(strains, times)
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        stress = self.stress(strains)
        failed = state.failed.unsqueeze(-1) | ((~stress.isfinite().all(-1)).cumsum(-1) > 0)
        return torch.where(failed.unsqueeze(-1), torch.nan, stress), State(failed[..., -1])
