"""J2 plasticity along whole paths, with its own way back."""

from typing import Any

import torch
from torch import Tensor

from prnn_md.materials.kernels.j2 import KEPT, LANES, follow, follow_back


def roll_out(
    constants: tuple[float, ...], strains: Tensor, plastic_strain: Tensor, accumulated: Tensor, failed: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Stresses (items, T, 6) along strains of that shape; plastic strain (items, 6), its amount and failures (items,)
    at the end.

    `constants` are bulk and shear modulus, yield stress, hardening modulus, saturation stress and rate, and the least
    slope of `J2`; everything is float64 on the CPU. The stress of an item that has failed is NaN.
    """
    valid = torch.where(failed, 0, strains.shape[1])
    stresses, plastic, amount = _RollOut.apply(  # type: ignore[no-untyped-call]
        constants, strains, plastic_strain, accumulated, valid, torch.is_grad_enabled()
    )
    return stresses, plastic, amount, valid < strains.shape[1]


class _RollOut(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        constants: tuple[float, ...],
        strains: Tensor,
        plastic_strain: Tensor,
        accumulated: Tensor,
        valid: Tensor,
        differentiated: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        needed, strains = differentiated and any(ctx.needs_input_grad), strains.detach().contiguous()
        plastic, amount = (entry.detach().contiguous().clone() for entry in (plastic_strain, accumulated))
        stresses = torch.empty_like(strains)
        blocks = -(-len(strains) // LANES) if needed else 0
        kept = torch.empty(blocks, strains.shape[1], KEPT, LANES, dtype=torch.float64)
        follow(constants, *(tensor.numpy() for tensor in (strains, stresses, plastic, amount, valid, kept)))
        ctx.constants = constants
        ctx.save_for_backward(kept, valid, stresses)
        return stresses, plastic, amount

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_stress: Tensor, of_plastic: Tensor, of_amount: Tensor) -> tuple[Tensor | None, ...]:
        kept, valid, stresses = ctx.saved_tensors
        of_stress = of_stress.contiguous()
        of_strain = torch.empty_like(of_stress)
        of_plastic, of_amount = (gradient.contiguous().clone() for gradient in (of_plastic, of_amount))
        arrays = (kept, valid, stresses, of_stress, of_strain, of_plastic, of_amount)
        follow_back(ctx.constants, *(tensor.numpy() for tensor in arrays))
        return None, of_strain, of_plastic, of_amount, None, None
