"""Energies of bonds, angles and torsions: terms between particles that stay the same.

Each term joins unwrapped positions as they are. Its parameters are tables over kinds of the term, and `kind` says of
which kind each one is. The energies have no cutoff and need no neighbours.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from prnn_md.md.neighbours import Neighbours
from prnn_md.md.pair_energy import LennardJones


class Bonded(nn.Module):
    """Base of all bonded terms: `members` (B, size) are the particles of each, `kind` (B,) its kind."""

    cutoff = 0.0
    size = 2
    members: Tensor
    kind: Tensor

    def __init__(self, members: Tensor, kind: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("members", members, persistent=False)
        self.register_buffer(
            "kind", torch.zeros(len(members), dtype=torch.int64) if kind is None else kind, persistent=False
        )

    def separations(self, positions: Tensor) -> list[Tensor]:
        """Vectors (cells, B, 3) from each member to the next."""
        places = [positions[:, column] for column in self.members.T]
        return [after - before for before, after in pairwise(places)]


class FENEBonds(Bonded):
    """Finitely extensible bonds with repulsion, Kremer & Grest, J. Chem. Phys. 92, 5057 (1990).

    -k/2 r0^2 ln(1 - r^2/r0^2), inf from r0 on, plus the Weeks-Chandler-Andersen repulsion of `pairs`. `stiffness` k
    and `extent` r0 are (kinds,).
    """

    stiffness: Tensor
    extent: Tensor

    def __init__(self, members: Tensor, stiffness: Tensor, extent: Tensor, pairs: LennardJones, **kind: Tensor) -> None:
        super().__init__(members, **kind)
        self.pairs = pairs
        self.register_buffer("stiffness", stiffness.double(), persistent=False)
        if not bool((extent > 0.0).all()):
            raise ValueError(f"The extent r0 of FENE bonds must be positive, got {extent.tolist()}.")
        self.register_buffer("extent", extent.double(), persistent=False)

    def broken(self, positions: Tensor) -> Tensor:
        """Which bonds (cells, B) are as long as their extent, or longer."""
        (bond,) = self.separations(positions.detach())
        return bond.norm(dim=-1) >= self.extent[self.kind]

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        (bond,) = self.separations(positions)
        r2, extent2 = bond.square().sum(-1), self.extent[self.kind].square()
        whole = r2 < extent2
        logarithm = torch.log1p(-torch.where(whole, r2, 0.0) / extent2)
        fene = torch.where(whole, -0.5 * self.stiffness[self.kind] * extent2 * logarithm, torch.inf)
        pair = self.pairs.kinds[types[self.members[:, 0]], types[self.members[:, 1]]]
        return (fene + self.pairs.repulsion(r2, pair)).sum(-1)


class HarmonicBonds(Bonded):
    """k (r - r0)^2, as in TorchMD without a factor 1/2; `stiffness` k and `length` r0 are (kinds,)."""

    stiffness: Tensor
    length: Tensor

    def __init__(self, members: Tensor, stiffness: Tensor, length: Tensor, **kind: Tensor) -> None:
        super().__init__(members, **kind)
        self.register_buffer("stiffness", stiffness.double(), persistent=False)
        self.register_buffer("length", length.double(), persistent=False)

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        (bond,) = self.separations(positions)
        return (self.stiffness[self.kind] * (bond.norm(dim=-1) - self.length[self.kind]).square()).sum(-1)


class ScaledPairs(Bonded):
    """Pairs that interact by their own constants and without cutoff, such as the third neighbours (1-4) of a chain.

    4 epsilon ((sigma/r)^12 - (sigma/r)^6) + charge/r; `epsilon`, `sigma` and `charge` (energy times length) are
    (kinds,).
    """

    epsilon: Tensor
    sigma: Tensor
    charge: Tensor

    def __init__(self, members: Tensor, epsilon: Tensor, sigma: Tensor, charge: Tensor, **kind: Tensor) -> None:
        super().__init__(members, **kind)
        self.register_buffer("epsilon", epsilon.double(), persistent=False)
        self.register_buffer("sigma", sigma.double(), persistent=False)
        self.register_buffer("charge", charge.double(), persistent=False)

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        (pair,) = self.separations(positions)
        r2 = pair.square().sum(-1)
        s6 = (self.sigma[self.kind].square() / r2) ** 3
        dispersion = 4.0 * self.epsilon[self.kind] * (s6.square() - s6)
        return (dispersion + self.charge[self.kind] * r2.rsqrt()).sum(-1)


class CosineAngles(Bonded):
    """Bending stiffness of chains, k (1 - cos a) with the angle a between successive bonds, zero when straight.

    `stiffness` k is (kinds,). LAMMPS' angle style `cosine`.
    """

    size = 3
    stiffness: Tensor

    def __init__(self, members: Tensor, stiffness: Tensor, **kind: Tensor) -> None:
        super().__init__(members, **kind)
        self.register_buffer("stiffness", stiffness.double(), persistent=False)

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        before, after = self.separations(positions)
        cosine = (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1))
        return (self.stiffness[self.kind] * (1.0 - cosine)).sum(-1)


class HarmonicAngles(Bonded):
    """k (theta - theta0)^2 with the angle theta at the middle particle, as in TorchMD without a factor 1/2.

    `stiffness` k, energy per rad^2, and `angle` theta0, rad, are (kinds,).
    """

    size = 3
    stiffness: Tensor
    rest: Tensor

    def __init__(self, members: Tensor, stiffness: Tensor, angle: Tensor, **kind: Tensor) -> None:
        super().__init__(members, **kind)
        self.register_buffer("stiffness", stiffness.double(), persistent=False)
        self.register_buffer("rest", angle.double(), persistent=False)

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        before, after = self.separations(positions)
        across = torch.linalg.cross(before, after).square().sum(-1).clamp(min=1e-24).sqrt()
        theta = torch.atan2(across, -(before * after).sum(-1))
        return (self.stiffness[self.kind] * (theta - self.rest[self.kind]).square()).sum(-1)


class Torsions(Bonded):
    """Sum over n of k_n (1 + cos(n phi - phase_n)), with the dihedral angle phi of four particles, pi if trans.

    `stiffness` k_n, `phase` (rad) and `period` n are (kinds, terms).
    """

    size = 4
    stiffness: Tensor
    phase: Tensor
    period: Tensor

    def __init__(self, members: Tensor, stiffness: Tensor, phase: Tensor, period: Tensor, **kind: Tensor) -> None:
        super().__init__(members, **kind)
        self.register_buffer("stiffness", stiffness.double(), persistent=False)
        self.register_buffer("phase", phase.double(), persistent=False)
        self.register_buffer("period", period.double(), persistent=False)

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        waves = self.period[self.kind] * self.angles(positions).unsqueeze(-1) - self.phase[self.kind]
        return (self.stiffness[self.kind] * (1.0 + waves.cos())).sum((-2, -1))

    def angles(self, positions: Tensor) -> Tensor:
        """Dihedral angles (cells, B) in rad, by the IUPAC convention."""
        first, middle, last = self.separations(positions)
        before, after = torch.linalg.cross(first, middle), torch.linalg.cross(middle, last)
        sine = (first * after).sum(-1) * middle.norm(dim=-1)
        return torch.atan2(sine, (before * after).sum(-1))
