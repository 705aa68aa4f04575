"""Work whose intermediate results are forgotten, and made again in the reverse pass."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def replayed(function: Callable[..., Any], tensors: Sequence[Tensor], parameters: Sequence[Tensor], *fixed: Any) -> Any:
    """function(*tensors, *fixed), several tensors, as `torch.utils.checkpoint` would have it.

    `parameters` are further tensors that the function uses and that take gradients. Unlike there, the function may
    differentiate on its own, which does not make its graph again each time.
    """
    return _Replayed.apply(function, fixed, len(tensors), *tensors, *parameters)  # type: ignore[no-untyped-call]


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, function: Callable[..., Any], fixed: tuple[Any, ...], count: int, *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.function, ctx.fixed, ctx.parameters = function, fixed, inputs[count:]
        ctx.save_for_backward(*inputs[:count])
        results: tuple[Tensor, ...] = function(*inputs[:count], *fixed)
        ctx.mark_non_differentiable(*(result for result in results if not result.is_floating_point()))
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            tensors = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
            results = ctx.function(*tensors, *ctx.fixed)
            used = [(one, by) for one, by in zip(results, gradients, strict=True) if one.requires_grad]
            outputs, by_outputs = zip(*used, strict=True)
            found = torch.autograd.grad(outputs, (*tensors, *ctx.parameters), by_outputs, allow_unused=True)
        return None, None, None, *found
