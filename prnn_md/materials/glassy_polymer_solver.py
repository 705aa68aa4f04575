"""How fast the modes of a glassy polymer flow, by a fixed number of tensor operations, as exported programs need it."""

import torch
from torch import Tensor

from prnn_md.materials.kernels.glassy_polymer_flow import FASTEST

OUTER, LAST, INNER = 30, 3, 3
"""Steps for the fluidity, each at least as good as a bisection, then some of Newton's method alone, and steps for the
means of modes within each."""


def solved_flow(
    moduli: Tensor, characteristic_stress: float, values: Tensor, axes: Tensor, at_rest: Tensor, rates: Tensor
) -> tuple[Tensor, Tensor]:
    """Logarithm y (*batch,) of the fluidity's factor, and the principal values (*batch, modes, 3) after flow.

    As `solve_flow` of the kernels does it, with the same arguments, each with the batch first; but what is found for
    the means is no better than from one step for the fluidity to the next, so that the last ones need no bracket.
    """
    mean = values.mean(-1)
    deviators = (values - mean.unsqueeze(-1)).square().sum(-1).div(2).sqrt()
    low = at_rest
    high = at_rest + _log_sinh_over((moduli * deviators).sum(-1) / characteristic_stress)[0]
    y = torch.minimum(torch.maximum(-rates.amax(-1).clamp(min=1e-300).log(), low), high)
    projections = axes.mT.unsqueeze(-1) * axes.mT.unsqueeze(-2)  # (*batch, modes, 3, 3, 3), of each axis
    before = torch.full_like(y, torch.inf)
    for step in range(OUTER + LAST):
        b, mean, slopes = _principal(values, _factor(rates, y), mean)
        stress, change = (
            (moduli[:, None, None, None] * part[..., None, None] * projections).sum((-4, -3))
            for part in (b - mean.unsqueeze(-1), slopes)
        )
        ratio = stress.square().sum((-2, -1)).div(2).sqrt() / characteristic_stress
        logarithm, slope = _log_sinh_over(ratio)
        gap = y - at_rest - logarithm
        low, high = torch.where(gap < 0, y, low), torch.where(gap < 0, high, y)
        newton = y - gap / (1 - slope * (stress * change).sum((-2, -1)) / (2 * characteristic_stress**2))
        good = (newton >= low) & (newton <= high) & (gap.abs() < before / 2)
        y, before = newton if step >= OUTER else torch.where(good, newton, (low + high) / 2), gap.abs()
    return y, _principal(values, _factor(rates, y), mean)[0]


def _principal(trial: Tensor, k: Tensor, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Principal values b with k b (b - mean b) + b = trial, (*batch, modes, 3), their mean (*batch, modes), and the
    derivatives of their deviators by log k; from a guess of the mean.
    """
    k = k.unsqueeze(-1)
    for _ in range(INNER):
        linear = 1 - k * mean.unsqueeze(-1)
        root = (linear.square() + 4 * k * trial).sqrt()
        b = torch.where(linear > 0, 2 * trial / (linear + root), (root - linear) / (2 * k))
        slopes = k * b / root
        mean = mean - (mean - b.mean(-1)) / (1 - slopes.mean(-1))
    deviator = b - mean.unsqueeze(-1)
    of_mean = -(slopes * deviator).mean(-1) / (1 - slopes.mean(-1))
    slopes = slopes * (of_mean.unsqueeze(-1) - deviator)
    return b, mean, slopes - slopes.mean(-1, keepdim=True)


def _factor(rates: Tensor, y: Tensor) -> Tensor:
    return (rates.log() + y.unsqueeze(-1)).clamp(max=FASTEST).exp()


def _log_sinh_over(z: Tensor) -> tuple[Tensor, Tensor]:
    """log(sinh z / z) and its derivative over z, for z >= 0."""
    small = z < 1e-2
    far = torch.where(small, 1.0, z)
    value = far + (-torch.expm1(-2 * far) / (2 * far)).log()
    slope = (1 / far.tanh() - 1 / far) / far
    square = z.square()
    series = square / 6 - square.square() / 180, 1 / 3 - square / 45 + 2 * square.square() / 945
    return torch.where(small, series[0], value), torch.where(small, series[1], slope)
