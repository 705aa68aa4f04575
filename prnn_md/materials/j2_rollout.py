"""J2 plasticity along whole paths, with its own way back."""

from typing import Any

import torch
from torch import Tensor

from prnn_md.materials.kernels.j2 import KEPT, LANES, follow, follow_back


def roll_out(
    constants: tuple[float, ...], strains: Tensor, plastic_strain: Tensor, accumulated: Tensor, failed: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Stresses (*batch, T, 6) along strains of that shape; plastic strain (*batch, 6), its amount and failures
    (*batch,) at the end.

    `constants` are bulk and shear modulus, yield stress, hardening modulus, saturation stress and rate, and the least
    slope of `J2`; everything is float64 on the CPU. The stress of an item that has failed is NaN.
    """
    failed = _copy(failed)
    return *_RollOut.apply(  # type: ignore[no-untyped-call]
        constants, strains, plastic_strain, accumulated, failed, torch.is_grad_enabled()
    ), failed


class _RollOut(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        constants: tuple[float, ...],
        strains: Tensor,
        plastic_strain: Tensor,
        accumulated: Tensor,
        failed: Tensor,
        differentiated: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Marks in place who has failed at the end."""
        needed, points = differentiated and any(ctx.needs_input_grad), strains.shape[-2]
        kept = strains.new_empty(-(-failed.numel() // LANES) if needed else 0, points, KEPT, LANES)
        strains, valid = strains.detach().contiguous(), torch.empty(failed.shape, dtype=torch.int64)
        stresses = torch.empty_like(strains)
        plastic, amount = _copy(plastic_strain), _copy(accumulated)
        paths = (tensor.numpy().reshape(-1, points, 6) for tensor in (strains, stresses))
        items = (tensor.numpy().reshape(-1) for tensor in (amount, failed, valid))
        follow(constants, *paths, plastic.numpy().reshape(-1, 6), *items, kept.numpy())
        ctx.constants = constants
        ctx.save_for_backward(kept, valid, stresses)
        ctx.set_materialize_grads(False)
        return stresses, plastic, amount

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, of_stress: Tensor | None, of_plastic: Tensor | None, of_amount: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        kept, valid, stresses = ctx.saved_tensors
        of_strain = torch.empty_like(stresses)
        of_stress = torch.zeros_like(stresses) if of_stress is None else of_stress.contiguous()
        of_plastic = stresses.new_zeros(*valid.shape, 6) if of_plastic is None else _copy(of_plastic)
        of_amount = stresses.new_zeros(valid.shape) if of_amount is None else _copy(of_amount)
        points = stresses.shape[-2]
        paths = (tensor.numpy().reshape(-1, points, 6) for tensor in (stresses, of_stress, of_strain))
        items = valid.numpy().reshape(-1), *paths, of_plastic.numpy().reshape(-1, 6), of_amount.numpy().reshape(-1)
        follow_back(ctx.constants, kept.numpy(), *items)
        return None, of_strain, of_plastic, of_amount, None, None


def _copy(tensor: Tensor) -> Tensor:
    """One to write into, in the order of its indices, so that its flat view is no copy again."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)
