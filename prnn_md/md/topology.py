"""What follows from the bonds of molecules: angles, torsions, exclusions, and molecules made whole."""

from collections import defaultdict, deque

import torch
from torch import Tensor


def angles_of(bonds: Tensor) -> Tensor:
    """All pairs of bonds with a common particle, (A, 3), which is in the middle."""
    near = _neighbours(bonds)
    found = [(i, j, k) for j in sorted(near) for i in near[j] for k in near[j] if i < k]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 3)


def torsions_of(bonds: Tensor) -> Tensor:
    """All rows of three successive bonds, (D, 4)."""
    near = _neighbours(bonds)
    found = [(i, j, k, m) for j in sorted(near) for k in near[j] if j < k for i in near[j] for m in near[k]]
    found = [row for row in found if len(set(row)) == 4]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 4)


def whole_molecules(positions: Tensor, box: Tensor, bonds: Tensor) -> Tensor:
    """Positions (N, 3), moved by box vectors so that bonds join nearest images as they are.

    `box` (3, 3) has its vectors in columns. Raises ValueError for a molecule that is bonded to its own image.
    """
    near, places, fractions = _neighbours(bonds), positions.clone(), torch.linalg.solve(box, positions.mT).mT
    seen: set[int] = set()
    for start in sorted(near):
        queue = deque([start] if start not in seen else [])
        seen.update(queue)
        while queue:
            i = queue.popleft()
            for j in near[i]:
                if j not in seen:
                    images = -torch.round(fractions[j] - torch.linalg.solve(box, places[i]))
                    places[j] = positions[j] + box @ images
                    seen.add(j)
                    queue.append(j)
    for i, j in bonds.tolist():
        if bool((torch.linalg.solve(box, places[j] - places[i]).abs() > 0.5 + 1e-9).any()):
            raise ValueError(f"Particle {i} is bonded to an image of its own molecule at {j}: use a larger box.")
    return places


def _neighbours(bonds: Tensor) -> dict[int, list[int]]:
    near: dict[int, list[int]] = defaultdict(list)
    for i, j in bonds.tolist():
        near[i].append(j)
        near[j].append(i)
    return {i: sorted(others) for i, others in near.items()}
