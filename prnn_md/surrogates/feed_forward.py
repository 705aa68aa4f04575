"""A feed-forward network on strain and previous stress, the simplest of the baselines with memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State
from prnn_md.mechanics import UNIT_SYSTEMS, Units
from prnn_md.surrogates.networks import Perceptron, largest_norm


class FeedForward(Cell):
    """The stress as a function of strain, its increment and the stress before; that stress is its only memory.

    On a path it goes by its own stresses. Strains are taken in units of their largest norm in training, stresses in
    units of `stress_scale` (6,): buffers that `set_scales` fixes, one before. The virgin state has no stress. The state
    holds the last `strain` and `stress` (*batch, 6).
    """

    strain_scale: Tensor
    stress_scale: Tensor

    def __init__(self, width: int, layers: int, seed: int, units: str = "epsilon/sigma^3") -> None:
        super().__init__()
        if width < 1 or layers < 1:
            raise ValueError(f"width and layers must be at least 1, got {width} and {layers}.")
        self.units = UNIT_SYSTEMS.get(units, Units(units))
        self.network = Perceptron(18, width, layers, 6, torch.Generator().manual_seed(seed))
        self.register_buffer("strain_scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("stress_scale", torch.ones(6, dtype=torch.float64))

    def set_scales(self, strain: Tensor, stress_scale: Tensor, times: Tensor | None = None) -> None:
        """ValueError if there is no strain at all."""
        self.strain_scale.copy_(largest_norm(strain))
        self.stress_scale.copy_(stress_scale)

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        zeros = self.stress_scale.new_zeros(*batch_shape, 6)
        return State(zeros[..., 0].bool(), strain=zeros, stress=zeros)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6); dt has no influence."""
        features = [strain / self.strain_scale, (strain - state.strain) / self.strain_scale]
        inputs = torch.cat([*features, state.stress / self.stress_scale], -1)
        stress = self.stress_scale * (self.network(inputs) - self.network(inputs.new_zeros(inputs.shape[-1])))
        return stress, State(state.failed, strain=strain, stress=stress)
