"""Checks of material constants and paths, and the marking of failed items, that all constitutive cells share."""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.mechanics import least_stretch


def checked_count(count: int) -> int:
    """The number of samples; ValueError below one."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}.")
    return count


def check_positive(**constants: float) -> None:
    """ValueError, with its name, for the first constant that is not positive and finite."""
    for name, value in constants.items():
        if not (value > 0 and isfinite(value)):
            raise ValueError(f"{name} must be positive, got {value}.")


def check_not_negative(**constants: float) -> None:
    """ValueError, with its name, for the first constant that is negative or not finite."""
    for name, value in constants.items():
        if not (value >= 0 and isfinite(value)):
            raise ValueError(f"{name} must not be negative, got {value}.")


def check_path(strains: Tensor, times: Tensor) -> None:
    """ValueError for strains without six components, or with other times."""
    if strains.shape[-1:] != (6,) or strains.dim() < 2 or times.shape[-1:] != strains.shape[-2:-1]:
        shapes = f"got {tuple(strains.shape)} and {tuple(times.shape)}"
        raise ValueError(f"A path needs strains (*batch, T+1, 6) and times (T+1,) or (*batch, T+1), {shapes}.")


def is_possible(strain: Tensor) -> Tensor:
    """Which strains (*batch, 6) are finite and leave all principal stretches positive, (*batch,)."""
    finite = strain.isfinite().all(-1)
    return finite & (least_stretch(torch.where(finite.unsqueeze(-1), strain.detach(), 0.0)) > 0)


def no_failures(batch_shape: Sequence[int], like: Tensor, **entries: Tensor) -> State:
    """A state in which nothing failed yet, on the device of `like`."""
    return State(torch.zeros(tuple(batch_shape), dtype=torch.bool, device=like.device), **entries)


def mark_failures(stress: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Stress (*batch, 6), NaN where an item failed before or is not finite now, and the flags (*batch,)."""
    failed = state.failed | ~stress.isfinite().all(-1)
    return torch.where(failed.unsqueeze(-1), torch.nan, stress), failed
