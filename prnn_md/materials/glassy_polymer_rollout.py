"""The Eindhoven Glassy Polymer along whole paths, with its own way back."""

from typing import Any

import torch
from torch import Tensor

from prnn_md.materials.kernels.glassy_polymer_path import follow, follow_back

Constants = tuple[float, float, float, float, float, tuple[float, ...], int]
"""Bulk and hardening modulus, characteristic stress, pressure dependence, age, softening, and the slowest mode."""


def roll_out(
    constants: Constants, modes: tuple[Tensor, Tensor], strains: Tensor, durations: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Stresses (items, T, 6) along strains of that shape, and the state at the end.

    `modes` are moduli and viscosities (modes,), `durations` (items, T) those of the increments; the state is plastic
    tensors (items, modes, 6), plastic strain (items,) and failures (items,). Everything is float64 on the CPU. The
    stress of an item that has failed is NaN. For gradients (7 + 6 modes)^2 numbers are kept of each point.
    """
    plastic, accumulated, failed = state
    valid = torch.where(failed, 0, strains.shape[1])
    stresses, plastic, accumulated = _RollOut.apply(  # type: ignore[no-untyped-call]
        constants, modes, strains, durations, plastic, accumulated, valid, torch.is_grad_enabled()
    )
    return stresses, plastic, accumulated, valid < strains.shape[1]


class _RollOut(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        constants: Constants,
        modes: tuple[Tensor, Tensor],
        strains: Tensor,
        durations: Tensor,
        plastic: Tensor,
        accumulated: Tensor,
        valid: Tensor,
        differentiated: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        items, points = strains.shape[:2]
        needed, size = differentiated and any(ctx.needs_input_grad), 7 + 6 * len(modes[0])
        kept = strains.new_empty(items if needed else 0, points, size, size)
        strains, durations = strains.detach().contiguous(), durations.detach().contiguous()
        plastic, accumulated = (entry.detach().contiguous().clone() for entry in (plastic, accumulated))
        stresses = torch.empty_like(strains)
        arrays = (*modes, strains, durations, stresses, plastic, accumulated, valid, kept)
        follow(constants, *(tensor.numpy() for tensor in arrays))
        ctx.save_for_backward(kept, valid)
        return stresses, plastic, accumulated

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_stress: Tensor, of_plastic: Tensor, of_accumulated: Tensor) -> tuple[Tensor | None, ...]:
        kept, valid = ctx.saved_tensors
        of_stress, of_strain = of_stress.contiguous(), torch.empty(of_stress.shape, dtype=of_stress.dtype)
        of_plastic, of_accumulated = (gradient.contiguous().clone() for gradient in (of_plastic, of_accumulated))
        follow_back(*(tensor.numpy() for tensor in (kept, valid, of_stress, of_strain, of_plastic, of_accumulated)))
        return None, None, of_strain, None, of_plastic, of_accumulated, None, None
