"""Small polymer cells: short random-walk chains, pushed apart, in sheared boxes."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch

from prnn_md.md.sample import Samples

MakePolymer = Callable[..., Samples]


@pytest.fixture(scope="session")
def make_polymer() -> MakePolymer:
    """Returns `polymer(seed, chains=6, length=10, density=0.8, shear=0.15)`: one sample, read only."""
    return polymer


@cache
def polymer(seed: int, chains: int = 6, length: int = 10, density: float = 0.8, shear: float = 0.15) -> Samples:
    rng = np.random.default_rng(seed)
    edge = (chains * length / density) ** (1 / 3)
    box = edge * (np.eye(3) + shear * rng.uniform(-1, 1, (3, 3)))
    box *= edge / np.linalg.det(box) ** (1 / 3)
    steps = rng.standard_normal((chains, length, 3))
    steps *= 0.97 / np.linalg.norm(steps, axis=-1, keepdims=True)
    steps[:, 0] = rng.uniform(0, edge, (chains, 3))
    first = np.array([i for i in range(chains * length - 1) if (i + 1) % length])
    bonds = np.stack([first, first + 1], axis=1)
    positions = push_apart(steps.cumsum(axis=1).reshape(-1, 3), box, bonds)
    return Samples(torch.from_numpy(positions)[None], torch.from_numpy(box)[None], torch.from_numpy(bonds))


def push_apart(x: np.ndarray, box: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """Descend along springs that hold bonds at 0.97 and push other pairs to 1 or more."""
    partners = np.zeros((len(x), len(x)), dtype=bool)
    partners[bonds[:, 0], bonds[:, 1]] = partners[bonds[:, 1], bonds[:, 0]] = True
    for _ in range(300):
        d = x[None] - x[:, None]
        d = np.where(partners[..., None], d, d - np.round(d @ np.linalg.inv(box).T) @ box.T)
        r = np.linalg.norm(d, axis=-1) + np.eye(len(x))
        stretch = np.where(partners, r - 0.97, np.minimum(r - 1.0, 0.0))
        x = x + 0.15 * ((stretch / r)[..., None] * d).sum(axis=1)
    return x
