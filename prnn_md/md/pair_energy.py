"""Energies of pairs of particles, from the neighbour list."""

from math import pi

import torch
from torch import Tensor, nn

from prnn_md.md.neighbours import Neighbours


class LennardJones(nn.Module):
    """4 epsilon ((sigma/r)^12 - (sigma/r)^6) between particles of K types, brought to zero at a cutoff.

    `epsilon`, `sigma`, `inner` and `outer` are symmetric tables (K, K). Between the distances `inner` and `outer` the
    energy is multiplied by 1 - 10 z^3 + 15 z^4 - 6 z^5 with z from 0 to 1, which leaves it twice continuously
    differentiable. Where the two are equal it is cut off, and if `shifted` raised by its value there, so that it is
    continuous; WCA repulsion is the shifted form with the cutoff 2^(1/6) sigma.

    As parameters, `epsilon` and `sigma` hold the entries of their upper triangles, row by row: (K (K + 1) / 2,).
    """

    epsilon: Tensor
    sigma: Tensor
    inner: Tensor
    outer: Tensor
    kinds: Tensor

    def __init__(self, epsilon: Tensor, sigma: Tensor, inner: Tensor, outer: Tensor, shifted: bool = False) -> None:
        super().__init__()
        types = len(epsilon)
        upper = torch.triu_indices(types, types)
        kinds = torch.empty(types, types, dtype=torch.int64)
        kinds[upper[0], upper[1]] = kinds[upper[1], upper[0]] = torch.arange(upper.shape[1])
        self.shifted = shifted
        self.register_buffer("kinds", kinds, persistent=False)
        for name, table in (("epsilon", epsilon), ("sigma", sigma), ("inner", inner), ("outer", outer)):
            if not bool(table.isfinite().all()):
                raise ValueError(f"{name} must be finite, got {table.tolist()}.")
            if table.shape != (types, types) or not torch.equal(table, table.mT):
                raise ValueError(f"{name} must be a symmetric table of {types} by {types} types, got {table.tolist()}.")
            self.register_buffer(name, table[upper[0], upper[1]].double(), persistent=False)
        positive = bool((self.sigma > 0).all()) and bool((self.epsilon >= 0).all())
        if not positive or not bool(((self.inner >= 0) & (self.inner <= self.outer)).all()):
            raise ValueError(
                "Lennard-Jones needs sigma > 0, epsilon >= 0 and 0 <= inner <= outer for all pairs of types."
            )

    @property
    def cutoff(self) -> float:
        return float(self.outer.max())

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        r2 = neighbours.vectors(positions, box).square().sum(-1)
        kind = self.kinds[types[neighbours.first], types[neighbours.second]]
        return sum_over_cells(self.of_pairs(r2, kind), neighbours.cell, len(positions))

    def of_pairs(self, r2: Tensor, kind: Tensor) -> Tensor:
        """Energies at squared distances r2 of pairs of these kinds, (P,) both."""
        inner, outer = self.inner[kind], self.outer[kind]
        near = r2 < outer.square()
        safe = torch.where(near, r2, outer.square())
        z = ((safe.sqrt() - inner) / (outer - inner).clamp(min=1e-30)).clamp(0.0, 1.0)
        energies = self.plain(safe, kind) * (1.0 - z**3 * (10.0 - 15.0 * z + 6.0 * z**2))
        if self.shifted:
            energies = energies - torch.where(inner == outer, self.plain(outer.square(), kind), 0.0)
        return torch.where(near, energies, 0.0)

    def plain(self, r2: Tensor, kind: Tensor) -> Tensor:
        """Energies without cutoff."""
        s6 = (self.sigma[kind].square() / r2) ** 3
        return 4.0 * self.epsilon[kind] * (s6.square() - s6)

    def repulsion(self, r2: Tensor, kind: Tensor) -> Tensor:
        """Weeks-Chandler-Andersen repulsion: the energy up to its minimum, raised to end there at zero."""
        minimum2 = 2.0 ** (1.0 / 3.0) * self.sigma[kind].square()
        return self.plain(torch.where(r2 < minimum2, r2, minimum2), kind) + self.epsilon[kind]

    def tail(self, types: Tensor, volume: Tensor) -> Tensor:
        """Energies (cells,) of what a plain cutoff leaves out, for particles of uniform density in these volumes."""
        numbers = torch.bincount(types, minlength=len(self.kinds)).to(self.epsilon)
        pairs = numbers[:, None] * numbers[None, :]
        ratio = self.sigma / self.outer
        integral = 16.0 * pi / 3.0 * self.epsilon * self.sigma**3 * (ratio**9 / 3.0 - ratio**3)
        return 0.5 * (pairs * integral[self.kinds]).sum() / volume


class ReactionField(nn.Module):
    """Coulomb energy of charges with a cutoff, beyond which a dielectric continuum answers.

    C q_i q_j (1/r + k r^2 - c) with k = (d - 1)/((2 d + 1) r_c^3) and c = 3 d/((2 d + 1) r_c), zero at the cutoff r_c
    (Tironi et al., J. Chem. Phys. 102, 5451, 1995). `charges` (N,); `coulomb` is C, energy times length per charge
    squared; `dielectric` is the relative permittivity d of the continuum. The slope jumps at the cutoff by a part
    1/(2 d + 1) of the plain one.
    """

    charges: Tensor

    def __init__(self, charges: Tensor, coulomb: float, cutoff: float, dielectric: float = 78.5) -> None:
        super().__init__()
        self.register_buffer("charges", charges.double(), persistent=False)
        self.coulomb, self.cutoff = coulomb, cutoff
        self.curvature = (dielectric - 1.0) / (2.0 * dielectric + 1.0) / cutoff**3
        self.offset = 3.0 * dielectric / (2.0 * dielectric + 1.0) / cutoff

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""
        r2 = neighbours.vectors(positions, box).square().sum(-1)
        near = r2 < self.cutoff**2
        safe = torch.where(near, r2, self.cutoff**2)
        product = self.coulomb * self.charges[neighbours.first] * self.charges[neighbours.second]
        energies = product * (safe.rsqrt() + self.curvature * safe - self.offset)
        return sum_over_cells(torch.where(near, energies, 0.0), neighbours.cell, len(positions))


def sum_over_cells(energies: Tensor, cell: Tensor, cells: int) -> Tensor:
    """Sums (cells,) of energies (P,) that belong to the cells `cell` (P,)."""
    return energies.new_zeros(cells).index_add(0, cell, energies)
