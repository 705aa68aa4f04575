"""Recurrent baselines: a gated recurrent unit or a long short-term memory with variational dropout."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from prnn_md.cell import Cell, Number, State, time_steps
from prnn_md.mechanics import UNIT_SYSTEMS, Units

_FEATURES = 7
_GATES = {"gru": 3, "lstm": 4}
_MEMORY = {"gru": ("hidden",), "lstm": ("hidden", "memory")}


class RecurrentBaseline(Cell):
    """A GRU or an LSTM from strain and time step to stress, with a linear read-out of the last layer.

    Strains are taken in units of `strain_scale` (6,), time steps of `time_scale`, and stresses given in units
    of `stress_scale` (6,): buffers that `set_scales` fixes, one before. The state holds `hidden`
    (*batch, layers, hidden), for an LSTM also `memory` of that shape, and, where it was made in training with
    dropout, `masks`: the dropout of layer inputs, recurrent states and read-out of one path, the same at all
    times. Masks act wherever the state has them. Nothing makes the stress vanish at the virgin state. `units`
    names the unit of stress of the data.

    Raises ValueError for an unknown kind, sizes below one, and a dropout outside [0, 1).

    Source: K. Cho et al. (2014) for the GRU and S. Hochreiter, J. Schmidhuber (1997) for the LSTM; Y. Gal,
    Z. Ghahramani, Adv. Neural Inf. Process. Syst. 29 (2016) for the dropout, its masks shared by the gates.
    """

    rate_dependent = True
    strain_scale: Tensor
    stress_scale: Tensor
    time_scale: Tensor

    def __init__(
        self,
        kind: Literal["gru", "lstm"],
        hidden: int,
        layers: int,
        dropout: float,
        seed: int,
        units: str = "epsilon/sigma^3",
    ) -> None:
        super().__init__()
        _check(kind, hidden, layers, dropout)
        self.kind, self.hidden, self.layers, self.dropout, self.seed = kind, hidden, layers, dropout, seed
        self.units = UNIT_SYSTEMS.get(units, Units(units))
        self._stream: tuple[int, ...] = (seed,)
        self._draws = 0
        self._make_parameters(torch.Generator().manual_seed(seed))
        for name, shape in {"strain_scale": (6,), "stress_scale": (6,), "time_scale": ()}.items():
            self.register_buffer(name, torch.ones(shape, dtype=torch.float64))

    def _make_parameters(self, generator: torch.Generator) -> None:
        """Parameters uniform within 1 / sqrt(hidden), their gates stacked as in torch.nn.GRU and LSTM."""
        rows, bound = _GATES[self.kind] * self.hidden, 1 / sqrt(self.hidden)

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(bound * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1))

        self.input_weights = nn.ParameterList(uniform(rows, size) for size in self._input_sizes())
        self.hidden_weights = nn.ParameterList(uniform(rows, self.hidden) for _ in range(self.layers))
        self.input_biases = nn.ParameterList(uniform(rows) for _ in range(self.layers))
        self.hidden_biases = nn.ParameterList(uniform(rows) for _ in range(self.layers))
        self.readout_weight, self.readout_bias = uniform(6, self.hidden), uniform(6)

    def set_scales(self, strain: Tensor, stress_scale: Tensor, times: Tensor | None = None) -> None:
        """Scale each strain component by its root mean square, and time steps by their mean.

        A component that does not occur gets the scale of all. Raises ValueError if there is no strain at all.
        """
        squares = strain.detach().flatten(0, -2).square().mean(0)
        if not bool(squares.sum() > 0):
            raise ValueError("The training strains are zero everywhere: a recurrent baseline has nothing to scale by.")
        self.strain_scale.copy_(torch.where(squares > 0, squares, squares.mean()).sqrt())
        self.stress_scale.copy_(stress_scale)
        if times is not None:
            self.time_scale.copy_(times.diff(dim=-1).mean())

    def reseed(self, *numbers: int) -> None:
        """Derive all dropout masks from now on from the seed and these numbers, such as epoch and batch."""
        self._stream, self._draws = (self.seed, *numbers), 0

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Zero hidden state; in training with dropout also fresh masks."""
        shape = tuple(batch_shape)
        zeros = self.readout_bias.new_zeros(*shape, self.layers, self.hidden)
        entries = dict.fromkeys(_MEMORY[self.kind], zeros)
        if self.training and self.dropout > 0:
            entries["masks"] = self._draw_masks(shape)
        return State(torch.zeros(shape, dtype=torch.bool, device=zeros.device), **entries)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        steps = torch.as_tensor(dt, dtype=strain.dtype, device=strain.device).expand(strain.shape[:-1])
        stresses, state = self._advance(strain.unsqueeze(-2), steps.unsqueeze(-1), state)
        return stresses.squeeze(-2), state

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As for every cell, but layer after layer along the whole path."""
        state = self.initial_state(strains.shape[:-2]) if state is None else state
        return self._advance(strains, time_steps(times).expand(strains.shape[:-1]), state)

    def _advance(self, strains: Tensor, steps: Tensor, state: State) -> tuple[Tensor, State]:
        """Stresses (*batch, T, 6) after strains (*batch, T, 6) and time steps (*batch, T), and the state."""
        *masks, readout_mask = self._masks(state)
        outputs = torch.cat([strains / self.strain_scale, (steps / self.time_scale).unsqueeze(-1)], dim=-1)
        ends = []
        for layer in range(self.layers):
            start = tuple(getattr(state, name)[..., layer, :] for name in _MEMORY[self.kind])
            inputs = outputs * masks[layer].unsqueeze(-2)
            outputs, end = self._run_layer(layer, inputs, masks[self.layers + layer], start)
            ends.append(end)
        stresses = (outputs * readout_mask.unsqueeze(-2)) @ self.readout_weight.T + self.readout_bias
        entries = {
            n: torch.stack(tensors, -2) for n, tensors in zip(_MEMORY[self.kind], zip(*ends, strict=True), strict=True)
        }
        if hasattr(state, "masks"):
            entries["masks"] = state.masks
        return stresses * self.stress_scale, State(state.failed, **entries)

    def _run_layer(
        self, layer: int, inputs: Tensor, mask: Tensor, memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Hidden states (*batch, T, hidden) of a layer for inputs (*batch, T, ...), and its last memory."""
        from_inputs = inputs @ self.input_weights[layer].T + self.input_biases[layer]
        advance = _gru if self.kind == "gru" else _lstm
        outputs = []
        for gates in from_inputs.unbind(-2):
            from_hidden = (memory[0] * mask) @ self.hidden_weights[layer].T + self.hidden_biases[layer]
            memory = advance(gates, from_hidden, *memory)
            outputs.append(memory[0])
        return torch.stack(outputs, dim=-2), memory

    def _input_sizes(self) -> list[int]:
        return [_FEATURES] + [self.hidden] * (self.layers - 1)

    def _mask_sizes(self) -> list[int]:
        """Widths of the masks of layer inputs, of recurrent states, and of the read-out, in this order."""
        return self._input_sizes() + [self.hidden] * (self.layers + 1)

    def _masks(self, state: State) -> tuple[Tensor, ...]:
        """The state's masks (*batch, width) one by one, ones where it has none."""
        sizes = self._mask_sizes()
        if hasattr(state, "masks"):
            return torch.split(state.masks, sizes, dim=-1)
        return (self.readout_bias.new_ones(1),) * len(sizes)

    def _draw_masks(self, batch_shape: tuple[int, ...]) -> Tensor:
        """All masks side by side (*batch, width): zero with probability `dropout`, else 1 / (1 - dropout)."""
        sequence = np.random.SeedSequence(self._stream, spawn_key=(self._draws,))
        self._draws += 1
        generator = torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
        numbers = torch.rand((*batch_shape, sum(self._mask_sizes())), generator=generator, dtype=torch.float64)
        return ((numbers >= self.dropout) / (1 - self.dropout)).to(self.readout_bias)


def _gru(from_input: Tensor, from_hidden: Tensor, hidden: Tensor) -> tuple[Tensor]:
    """New hidden state (*batch, hidden) from both affine maps (*batch, 3 hidden)."""
    reset, update, candidate = from_input.chunk(3, dim=-1)
    hidden_reset, hidden_update, hidden_candidate = from_hidden.chunk(3, dim=-1)
    proposed = torch.tanh(candidate + torch.sigmoid(reset + hidden_reset) * hidden_candidate)
    return (torch.lerp(proposed, hidden, torch.sigmoid(update + hidden_update)),)


def _lstm(from_input: Tensor, from_hidden: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """New hidden state and memory (*batch, hidden) from both affine maps (*batch, 4 hidden)."""
    entry, forget, candidate, output = (from_input + from_hidden).chunk(4, dim=-1)
    memory = torch.sigmoid(forget) * memory + torch.sigmoid(entry) * torch.tanh(candidate)
    return torch.sigmoid(output) * torch.tanh(memory), memory


def _check(kind: str, hidden: int, layers: int, dropout: float) -> None:
    if kind not in _GATES:
        raise ValueError(f"kind must be one of {', '.join(_GATES)}, got '{kind}'.")
    if hidden < 1 or layers < 1:
        raise ValueError(f"hidden and layers must be at least 1, got {hidden} and {layers}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
