"""Small networks that other cells are made of, their initial weights and scales."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import softplus


def gaussian(shape: tuple[int, ...], deviation: float, generator: torch.Generator) -> Tensor:
    """Normal numbers of the given standard deviation, in double precision; ValueError for a negative one."""
    if not deviation >= 0:
        raise ValueError(f"noise must not be negative, got {deviation}.")
    return deviation * torch.randn(shape, generator=generator, dtype=torch.float64)


def largest_norm(strain: Tensor) -> Tensor:
    """The largest norm of training strains (paths, T+1, 6), a scale; ValueError if there is no strain at all."""
    largest = strain.detach().norm(dim=-1).max()
    if not bool(largest > 0):
        raise ValueError("The training strains are zero everywhere: there is nothing to scale by.")
    return largest


def typical_norm(strain: Tensor) -> Tensor:
    """The root mean square of norms of training strains (paths, T+1, 6), a scale; ValueError if there is no strain."""
    largest_norm(strain)
    return strain.detach().square().sum(-1).mean().sqrt()


class Potential(nn.Module):
    """A smooth scalar function N of (*batch, inputs), N(0) = 0 and N'(0) = 0, with its gradient in closed form.

    `layers` layers of `width` softplus units; with `convex` all weights after the first layer are positive, so that N
    is convex and not negative.

    Source: B. Amos, L. Xu, J. Z. Kolter, Proc. Mach. Learn. Res. 70 (2017) 146 for networks that are convex in their
    input.
    """

    def __init__(self, inputs: int, width: int, layers: int, generator: torch.Generator, convex: bool = False) -> None:
        super().__init__()
        self.convex = convex
        sizes = [inputs, *[width] * layers]
        self.weights = nn.ParameterList(
            nn.Parameter(gaussian((rows, columns), columns**-0.5, generator)) for columns, rows in pairwise([*sizes, 1])
        )
        self.biases = nn.ParameterList(nn.Parameter(gaussian((rows,), 0.5, generator)) for rows in sizes[1:])
        if convex:
            with torch.no_grad():
                for weights in list(self.weights)[1:]:  # so that they are about 1 / columns after the softplus
                    weights.add_(torch.log(torch.expm1(weights.new_tensor(1.0 / weights.shape[1]))))

    def forward(self, inputs: Tensor) -> Tensor:
        """N (*batch,)."""
        rest = inputs.new_zeros(inputs.shape[-1])
        linear = (self._slope(rest, self._matrices()) * inputs).sum(-1)
        return self._value(inputs) - self._value(rest) - linear

    def gradient(self, inputs: Tensor) -> Tensor:
        """N' (*batch, inputs)."""
        return self.prepared()(inputs)

    def prepared(self) -> Callable[[Tensor], Tensor]:
        """The gradient as a function that is quick where it is asked for many times with the same weights."""
        matrices = self._matrices()
        rest = self._slope(self.weights[0].new_zeros(self.weights[0].shape[1]), matrices)
        return lambda inputs: self._slope(inputs, matrices) - rest

    def _matrices(self) -> list[Tensor]:
        first, *others = self.weights
        return [first, *(softplus(weights) if self.convex else weights for weights in others)]

    def _value(self, inputs: Tensor) -> Tensor:
        *hidden, last = self._matrices()
        for weights, bias in zip(hidden, self.biases, strict=True):
            inputs = softplus(functional.linear(inputs, weights, bias))
        return (inputs @ last.mT).squeeze(-1)

    def _slope(self, inputs: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        *hidden, last = matrices
        slopes = []
        for weights, bias in zip(hidden, self.biases, strict=True):
            linear = functional.linear(inputs, weights, bias)
            slopes.append(torch.sigmoid(linear))
            inputs = softplus(linear)
        gradient = last[0].expand(*inputs.shape)
        for weights, slope in zip(reversed(hidden), reversed(slopes), strict=True):
            gradient = (gradient * slope) @ weights
        return gradient


class Perceptron(nn.Module):
    """`layers` layers of `width` tanh units and a linear one, from (*batch, inputs) to (*batch, outputs)."""

    def __init__(self, inputs: int, width: int, layers: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [inputs, *[width] * layers, outputs]
        self.weights = nn.ParameterList(
            nn.Parameter(gaussian((rows, columns), columns**-0.5, generator)) for columns, rows in pairwise(sizes)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(rows, dtype=torch.float64)) for rows in sizes[1:])

    def forward(self, inputs: Tensor) -> Tensor:
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weights, bias in hidden:
            inputs = torch.tanh(functional.linear(inputs, weights, bias))
        return functional.linear(inputs, *last)
