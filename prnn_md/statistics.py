"""Means over replicas, and the errors, floors and net errors by which surrogates are judged.

Every error is relative to the stress scale: the standard deviation of each Mandel component over the training
pool. The floor is the label's own standard error, in the same scale and on the same paths. What is left of
the squared error above the squared floor is the net error, with a bootstrap interval over paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, copysign, isfinite, nan, sqrt

import torch
from scipy.special import stdtrit
from torch import Tensor


@dataclass(frozen=True)
class NetError:
    """Error of predictions against noisy labels, in units of the stress scale.

    `net_error` is the signed root, sign(x) sqrt(|x|), of x = error^2 - floor^2. A negative number says that
    the predictions are nearer to the labels than the noise would let the exact answer be. `net_low` and
    `net_high` bound it.
    """

    error: float
    floor: float
    net_error: float
    net_low: float
    net_high: float


def mean_and_standard_error(replicas: Tensor, dim: int = 0) -> tuple[Tensor, Tensor]:
    """Mean over the replicas along `dim` and its standard error, std (ddof = 1) / sqrt(replicas).

    Raises ValueError for fewer than two replicas, which say nothing about their spread.
    """
    count = replicas.shape[dim]
    if count < 2:
        raise ValueError(f"A standard error needs at least 2 replicas, got {count}.")
    return replicas.mean(dim), replicas.std(dim, correction=1) / sqrt(count)


def stress_scale(stress: Tensor) -> Tensor:
    """Standard deviation (6,) of each component of stresses (paths, T+1, 6) over paths and time (ddof = 0).

    Raises ValueError for a component without spread, in which no error could be expressed.
    """
    scale = stress.flatten(0, -2).std(0, correction=0)
    if not bool((scale > 0).all()):
        raise ValueError(f"Every stress component must vary over the paths, got the scale {scale.tolist()}.")
    return scale


def path_square_errors(predicted: Tensor, stress: Tensor, scale: Tensor) -> Tensor:
    """Mean over time and components of ((predicted - stress) / scale)^2, (paths,).

    `predicted` and `stress` are (paths, T+1, 6), `scale` is (6,). Raises ValueError where shapes disagree.
    """
    if predicted.shape != stress.shape or stress.dim() != 3 or scale.shape != stress.shape[-1:]:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (predicted, stress, scale))
        raise ValueError(f"Expected (paths, T+1, 6) predicted and stress and a (6,) scale, got {shapes}.")
    return ((predicted - stress) / scale).square().mean((-2, -1))


def path_square_floors(standard_error: Tensor, scale: Tensor) -> Tensor:
    """Mean over time and components of (standard error / scale)^2, (paths,), the labels' own square error."""
    return path_square_errors(standard_error, torch.zeros_like(standard_error), scale)


def relative_error(predicted: Tensor, stress: Tensor, scale: Tensor) -> float:
    """Root of the mean over paths of the square errors of predictions (paths, T+1, 6)."""
    return sqrt(path_square_errors(predicted, stress, scale).mean().item())


def noise_floor(standard_error: Tensor, scale: Tensor) -> float:
    """Root of the mean over paths of the square floors of labels with standard errors (paths, T+1, 6)."""
    return sqrt(path_square_floors(standard_error, scale).mean().item())


def signed_root(value: float) -> float:
    """sign(x) sqrt(|x|): a root that keeps a negative square visible."""
    return copysign(sqrt(abs(value)), value)


def net_error(
    predicted: Tensor,
    stress: Tensor,
    standard_error: Tensor,
    scale: Tensor,
    seed: int = 0,
    resamples: int = 10_000,
    level: float = 0.95,
) -> NetError:
    """Error, floor and net error of predictions, with the percentile interval of the net error over paths.

    `predicted`, `stress` and `standard_error` are (paths, T+1, 6), `scale` is (6,). The interval covers the
    choice of test paths, not the noise that the labels' replicas share; it is NaN for a single path. NaN in a
    prediction makes all but the floor NaN.
    """
    errors = path_square_errors(predicted, stress, scale).detach().double().cpu()
    floors = path_square_floors(standard_error, scale).detach().double().cpu()
    net = errors - floors
    low = high = nan
    if len(net) > 1:
        low, high = bootstrap_interval(net, torch.Generator().manual_seed(seed), resamples, level)
    return NetError(
        error=sqrt(errors.mean().item()),
        floor=sqrt(floors.mean().item()),
        net_error=signed_root(net.mean().item()),
        net_low=signed_root(low),
        net_high=signed_root(high),
    )


def bootstrap_interval(
    values: Tensor, generator: torch.Generator, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of independent values (n,), by resampling them with replacement.

    Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
    """
    if values.dim() != 1 or len(values) < 2:
        raise ValueError(f"A bootstrap interval needs at least 2 values (n,), got {tuple(values.shape)}.")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level must lie in (0, 1) and resamples be positive, got {level} and {resamples}.")
    if not isfinite(values.sum().item()):
        return float("nan"), float("nan")
    choice = torch.randint(len(values), (resamples, len(values)), generator=generator)
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype)
    low, high = torch.quantile(values[choice].mean(-1), tails).tolist()
    return low, high


def student_t_half_width(replicas: Tensor, level: float = 0.95) -> Tensor:
    """Half-width (...) of the confidence interval of means over replicas (R, ...), exact for normal ones.

    Raises ValueError for fewer than two replicas, or a level outside (0, 1).
    """
    _, error = mean_and_standard_error(replicas)
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}.")
    return float(stdtrit(len(replicas) - 1, 0.5 * (1 + level))) * error


def bootstrap_half_width(
    replicas: Tensor, generator: torch.Generator, resamples: int = 1000, level: float = 0.95
) -> Tensor:
    """Half-width (...) of the percentile interval of means over replicas (R, ...), which are resampled whole.

    It makes no assumption on the distribution, and is too narrow for few replicas. Memory: resamples times (...).
    Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
    """
    count = len(replicas)
    if count < 2:
        raise ValueError(f"A bootstrap interval needs at least 2 replicas, got {count}.")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level must lie in (0, 1) and resamples be positive, got {level} and {resamples}.")
    choice = torch.randint(count, (resamples, count), generator=generator)
    weights = torch.nn.functional.one_hot(choice, count).to(replicas).mean(1)
    means = (weights @ replicas.reshape(count, -1)).sort(0).values
    place = torch.tensor([0.5 * (1 - level), 0.5 * (1 + level)], dtype=means.dtype) * (resamples - 1)
    below, above = means[place.floor().long()], means[place.ceil().long()]
    low, high = torch.lerp(below, above, place.frac()[:, None])
    return 0.5 * (high - low).reshape(replicas.shape[1:])


@dataclass(frozen=True)
class ReplicaError:
    """How far means over so many replicas are from the truth, in units of the stress scale.

    `standard_error` is the root mean square over paths, times and components, as in a noise floor; `student_t` and
    `bootstrap` are mean half-widths of the 95 % confidence interval.
    """

    replicas: int
    standard_error: float
    student_t: float
    bootstrap: float


def replica_errors(
    replicas: Tensor, scale: Tensor, generator: torch.Generator, resamples: int = 1000, draws: int = 4000
) -> list[ReplicaError]:
    """Errors of means over 2, 3, ... all of the replicas (paths, R, T+1, 6); `scale` is (6,).

    Half-widths are means over `draws` random stresses (a path, time and component), each with replicas of its own
    choice. Raises ValueError for fewer than two replicas.
    """
    relative = (replicas / scale).movedim(1, 0).flatten(1)  # (R, values)
    _, error = mean_and_standard_error(relative)
    single = error.square().mean().sqrt().item() * sqrt(len(relative))
    found = []
    for count in range(2, len(relative) + 1):
        values = torch.randint(relative.shape[1], (draws,), generator=generator)
        rows = torch.rand(len(relative), draws, generator=generator).argsort(0)[:count]
        chosen = relative[rows, values]
        student_t = student_t_half_width(chosen).mean().item()
        bootstrap = bootstrap_half_width(chosen, generator, resamples).mean().item()
        found.append(ReplicaError(count, single / sqrt(count), student_t, bootstrap))
    return found


def replicas_needed(counts: Sequence[int], errors: Sequence[float], target: float) -> tuple[int, bool]:
    """The fewest replicas with which an error is at most `target`, and whether that is extrapolated.

    `errors` are those with each of the `counts`, which grow; beyond the last, errors fall as one over the root of the
    number of replicas. Raises ValueError for a target that is not positive.
    """
    if not 0 < target < float("inf"):
        raise ValueError(f"target must be positive, got {target}.")
    for count, error in zip(counts, errors, strict=True):
        if error <= target:
            return count, False
    return ceil(counts[-1] * (errors[-1] / target) ** 2), True
