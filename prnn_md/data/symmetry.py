"""Turning paths as the symmetry of a material allows, so that few of them teach a model what holds for all."""

from collections.abc import Sequence
from math import pi
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from prnn_md.mechanics import mandel_rotation, rotation_from_vector

Symmetry = Literal["isotropic", "about_x", "about_y", "about_z"]
"""Any rotation, or any about an axis with or without a half turn that reverses the axis: transverse isotropy."""

SYMMETRIES: tuple[Symmetry, ...] = get_args(Symmetry)


def random_turns(symmetry: Symmetry, seeds: Sequence[Sequence[int]]) -> Tensor:
    """A rotation (seeds, 6, 6) of Mandel vectors for each seed, a sequence of numbers, evenly among those allowed."""
    generators = [np.random.default_rng(np.random.SeedSequence(list(seed))) for seed in seeds]
    if symmetry == "isotropic":
        return mandel_rotation(_rotation(torch.tensor(np.array([draw.normal(size=4) for draw in generators]))))
    axis = SYMMETRIES.index(symmetry) - 1
    turns, reversals = torch.zeros(2, len(generators), 3, dtype=torch.float64)
    for item, draw in enumerate(generators):
        turns[item, axis] = draw.uniform(0.0, 2 * pi)
        reversals[item, axis - 1] = pi * draw.integers(2)
    return mandel_rotation(rotation_from_vector(turns) @ rotation_from_vector(reversals))


def turned(batch: dict[str, Tensor], turns: Tensor) -> dict[str, Tensor]:
    """A batch with its paths turned by rotations (paths, 6, 6), which it then has as `turns`.

    Errors are turned as if those of components were independent.
    """
    vectors = {name: batch[name] @ turns.mT for name in ("strain", "stress")}
    variance = batch["standard_error"].square() @ turns.square().mT
    return batch | vectors | {"standard_error": variance.sqrt(), "turns": turns}


def _rotation(quaternion: Tensor) -> Tensor:
    """Rotations (..., 3, 3) of quaternions (..., 4) of any length; those of normal numbers are uniform."""
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = (
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    )
    return torch.stack(rows, -2)
