"""What an energy is here, and all that follows from it by differentiation: forces, stress, stiffness and tangent.

An energy is a function of the positions of a batch of cells and of their boxes. Positions (cells, N, 3) are unwrapped,
boxes (cells, 3, 3) have their vectors in columns, `types` (N,) are the same in all cells. Whatever follows this
protocol can be a term of a `prnn_md.md.force_field.ForceField`, alone or with others, and so the material of an MD
cell: a learned potential is a `torch.nn.Module` with the two members of `Energy`.
"""

from typing import Protocol

import torch
from torch import Tensor

from prnn_md.md.neighbours import Neighbours
from prnn_md.mechanics import stretch_of


class Energy(Protocol):
    """The potential energy of cells, twice differentiable with respect to positions and boxes.

    `cutoff` is the distance within which it needs neighbours, zero if it needs none.
    """

    @property
    def cutoff(self) -> float: ...

    def __call__(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,)."""


def forces(energy: Energy, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
    """Forces (cells, N, 3), minus the gradient of the energy."""
    return energy_and_forces(energy, positions, box, types, neighbours)[1]


def energy_and_forces(
    energy: Energy, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours
) -> tuple[Tensor, Tensor]:
    """Energies (cells,) and forces (cells, N, 3), without a graph behind them."""
    with torch.enable_grad():
        positions = positions.detach().requires_grad_(True)
        energies = energy(positions, box, types, neighbours)
        return energies.detach(), -torch.autograd.grad(energies.sum(), positions)[0]


def virial(energy: Energy, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
    """Virial tensors (cells, 3, 3), the derivative of the energy by a strain of all vectors.

    Volume times Cauchy stress without its kinetic part, tension positive.
    """
    with torch.enable_grad():
        strain = torch.zeros_like(box).requires_grad_(True)
        stretch = torch.eye(3, dtype=box.dtype, device=box.device) + strain
        energies = energy(positions @ stretch.mT, stretch @ box, types, neighbours)
        gradient = torch.autograd.grad(energies.sum(), strain)[0]
    return 0.5 * (gradient + gradient.mT)


def hessian_times(
    energy: Energy, v: Tensor, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours
) -> Tensor:
    """Products (cells, N, 3) of the second derivatives of the energy with displacements v (cells, N, 3)."""
    with torch.enable_grad():
        positions = positions.detach().requires_grad_(True)
        energies = energy(positions, box, types, neighbours)
        (gradient,) = torch.autograd.grad(energies.sum(), positions, create_graph=True)
        return torch.autograd.grad((gradient * v).sum(), positions)[0]


def strained_energy(
    energy: Energy, strain: Tensor, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours
) -> Tensor:
    """Energies W(E, y), (cells,), at Biot strains E (cells, 6) of positions y in undeformed boxes h0.

    The deformed cell is x = (I + E) y, h = (I + E) h0; `neighbours` are those of the deformed cell.
    """
    stretch = stretch_of(strain)
    return energy(positions @ stretch.mT, stretch @ box, types, neighbours)


def biot_stress(
    energy: Energy, strain: Tensor, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours
) -> Tensor:
    """Biot stresses T = (1/V0) dW/dE at fixed y, (cells, 6), energy per volume; see `strained_energy`."""
    with torch.enable_grad():
        strain = strain.detach().requires_grad_(True)
        total = strained_energy(energy, strain, positions, box, types, neighbours).sum()
        return torch.autograd.grad(total, strain)[0] / torch.linalg.det(box).unsqueeze(-1)


def second_derivatives(
    energy: Energy, strain: Tensor, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours
) -> tuple[Tensor, Tensor, Tensor]:
    """W_EE (6, 6), W_Ey (6, 3N) and W_yy (3N, 3N) of one cell: strain (6,), y (N, 3), h0 (3, 3)."""

    def one_energy(e: Tensor, y: Tensor) -> Tensor:
        return strained_energy(energy, e[None], y[None], box[None], types, neighbours)[0]

    blocks = torch.autograd.functional.hessian(one_energy, (strain, positions))
    n3 = positions.numel()
    return blocks[0][0], blocks[0][1].reshape(6, n3), blocks[1][1].reshape(n3, n3)


def tangent(
    energy: Energy, strain: Tensor, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours
) -> tuple[Tensor, Tensor]:
    """Tangent dT/dE along the energy minimum and its Born (affine) part, both (6, 6), of one cell at that minimum.

    The tangent is C = (1/V0) (W_EE - W_Ey W_yy^+ W_yE) after Lemaitre & Maloney, J. Stat. Phys. 123, 415 (2006); the
    pseudo-inverse leaves out the three rigid translations. The Born part is W_EE / V0. At rest and zero strain they are
    the elastic tensors, in Mandel notation. Arguments as for `second_derivatives`.
    """
    affine, coupling, hessian = second_derivatives(energy, strain, positions, box, types, neighbours)
    inverse = torch.linalg.pinv(hessian, rtol=1e-12, hermitian=True)
    volume = torch.linalg.det(box)
    return (affine - coupling @ inverse @ coupling.mT) / volume, affine / volume
