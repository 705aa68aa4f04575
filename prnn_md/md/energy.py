"""The definition of the bead-spring energy, in torch: slow, clear, and differentiable twice.

Forces, stress, Hessian and tangent all follow from it by automatic differentiation; the compiled functions of
`prnn_md.md.potential` and `prnn_md.md.derivative` are tested against them. Reduced Lennard-Jones units; all
tensors float64. Positions (cells, N, 3) are unwrapped: bonds join them as they are, non-bonded pairs meet
through their nearest image. Boxes (cells, 3, 3) have their vectors in columns; bonds are (B, 2) indices.
"""

import torch
from torch import Tensor

from prnn_md.md.force_field import BeadSpring
from prnn_md.mechanics import face_widths, stretch_of


def energy(positions: Tensor, box: Tensor, bonds: Tensor, force_field: BeadSpring) -> Tensor:
    """Energies (cells,): FENE and WCA on bonds, tapered Lennard-Jones on all other pairs.

    A broken bond gives inf. Raises ValueError for a box narrower than twice the cutoff, where a pair could
    meet through more than one image.
    """
    _check_width(box, force_field)
    pairs = _nonbonded_pairs(positions.shape[1], bonds)
    bond_vectors = _separations(positions, bonds)
    pair_vectors = _nearest_image(_separations(positions, pairs), box)
    bonded = bond_energy(bond_vectors.square().sum(-1), force_field).sum(-1)
    return bonded + pair_energy(pair_vectors.square().sum(-1), force_field).sum(-1)


def bond_energy(r2: Tensor, force_field: BeadSpring) -> Tensor:
    """FENE plus Weeks-Chandler-Andersen energies of bonds of squared length r2, of any shape.

    Kremer & Grest, J. Chem. Phys. 92, 5057 (1990): -k/2 r0^2 ln(1 - r^2/r0^2), inf from r0 on, plus
    Lennard-Jones up to its minimum, raised to end there at zero.
    """
    extent2 = force_field.fene_extent**2
    whole = r2 < extent2
    logarithm = torch.log1p(-torch.where(whole, r2, 0.0) / extent2)
    fene = torch.where(whole, -0.5 * force_field.fene_stiffness * extent2 * logarithm, torch.inf)
    minimum2 = 2.0 ** (1.0 / 3.0) * force_field.sigma**2
    repulsion = lennard_jones(torch.where(r2 < minimum2, r2, minimum2), force_field) + force_field.epsilon
    return fene + repulsion


def pair_energy(r2: Tensor, force_field: BeadSpring) -> Tensor:
    """Lennard-Jones energies at squared distances r2, of any shape, tapered by 1 - 10 z^3 + 15 z^4 - 6 z^5.

    z goes from 0 at the inner to 1 at the outer distance, with zero first and second derivatives of the taper
    at both, so that the energy is twice continuously differentiable.
    """
    inner, outer = force_field.inner, force_field.outer
    near = r2 < outer**2
    safe = torch.where(near, r2, outer**2)
    z = ((safe.sqrt() - inner) / (outer - inner)).clamp(min=0.0)
    taper = 1.0 - z**3 * (10.0 - 15.0 * z + 6.0 * z**2)
    return torch.where(near, lennard_jones(safe, force_field) * taper, 0.0)


def lennard_jones(r2: Tensor, force_field: BeadSpring) -> Tensor:
    """Plain Lennard-Jones energies 4 epsilon ((sigma/r)^12 - (sigma/r)^6) at squared distances r2."""
    s6 = (force_field.sigma**2 / r2) ** 3
    return 4.0 * force_field.epsilon * (s6**2 - s6)


def forces(positions: Tensor, box: Tensor, bonds: Tensor, force_field: BeadSpring) -> Tensor:
    """Forces (cells, N, 3), minus the gradient of the energy."""
    with torch.enable_grad():
        positions = positions.detach().requires_grad_(True)
        total = energy(positions, box, bonds, force_field).sum()
        return -torch.autograd.grad(total, positions)[0]


def strained_energy(strain: Tensor, positions: Tensor, box: Tensor, bonds: Tensor, force_field: BeadSpring) -> Tensor:
    """Energies W(E, y), (cells,), at Biot strains E (cells, 6) of positions y in undeformed boxes h0.

    The deformed cell is x = (I + E) y, h = (I + E) h0.
    """
    stretch = stretch_of(strain)
    return energy(positions @ stretch.transpose(-1, -2), stretch @ box, bonds, force_field)


def biot_stress(strain: Tensor, positions: Tensor, box: Tensor, bonds: Tensor, force_field: BeadSpring) -> Tensor:
    """Biot stresses T = (1/V0) dW/dE at fixed y, (cells, 6), in epsilon/sigma^3; see `strained_energy`."""
    with torch.enable_grad():
        strain = strain.detach().requires_grad_(True)
        total = strained_energy(strain, positions, box, bonds, force_field).sum()
        return torch.autograd.grad(total, strain)[0] / torch.linalg.det(box).unsqueeze(-1)


def second_derivatives(
    strain: Tensor, positions: Tensor, box: Tensor, bonds: Tensor, force_field: BeadSpring
) -> tuple[Tensor, Tensor, Tensor]:
    """W_EE (6, 6), W_Ey (6, 3N) and W_yy (3N, 3N) of one cell: strain (6,), y (N, 3), h0 (3, 3)."""

    def one_energy(e: Tensor, y: Tensor) -> Tensor:
        return strained_energy(e[None], y[None], box[None], bonds, force_field)[0]

    blocks = torch.autograd.functional.hessian(one_energy, (strain, positions))
    n3 = positions.numel()
    return blocks[0][0], blocks[0][1].reshape(6, n3), blocks[1][1].reshape(n3, n3)


def tangent(strain: Tensor, positions: Tensor, box: Tensor, bonds: Tensor, force_field: BeadSpring) -> Tensor:
    """Tangent dT/dE (6, 6) of one cell along its energy minimum, at that minimum; as `second_derivatives`.

    It is C = (1/V0) (W_EE - W_Ey W_yy^+ W_yE) after Lemaitre & Maloney, J. Stat. Phys. 123, 415 (2006); the
    pseudo-inverse leaves out the three rigid translations.
    """
    affine, coupling, hessian = second_derivatives(strain, positions, box, bonds, force_field)
    inverse = torch.linalg.pinv(hessian, rtol=1e-12, hermitian=True)
    return (affine - coupling @ inverse @ coupling.T) / torch.linalg.det(box)


def _check_width(box: Tensor, force_field: BeadSpring) -> None:
    widths = face_widths(box.detach()).amin(-1)
    narrow = torch.nonzero(widths < 2.0 * force_field.outer).flatten().tolist()
    if narrow:
        raise ValueError(
            f"Cells {narrow} are narrower than twice the cutoff, {2.0 * force_field.outer:g} "
            f"(narrowest: {float(widths.min()):g}): use cells with more beads or a smaller strain."
        )


def _nonbonded_pairs(particles: int, bonds: Tensor) -> Tensor:
    """All pairs of distinct particles but the bonded ones, (P, 2)."""
    pairs = torch.triu_indices(particles, particles, offset=1, device=bonds.device).T
    low, high = bonds.amin(-1), bonds.amax(-1)
    return pairs[~torch.isin(pairs[:, 0] * particles + pairs[:, 1], low * particles + high)]


def _separations(positions: Tensor, pairs: Tensor) -> Tensor:
    return positions[:, pairs[:, 1]] - positions[:, pairs[:, 0]]


def _nearest_image(vectors: Tensor, box: Tensor) -> Tensor:
    """Vectors (cells, P, 3) less the whole box vectors nearest to them in fractional coordinates."""
    images = torch.linalg.solve(box, vectors.transpose(-1, -2)).detach().round()
    return vectors - (box @ images).transpose(-1, -2)
