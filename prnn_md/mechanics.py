"""Mandel notation, stretches, rotations, stress measures and units.

Everything inside the package speaks Biot strain E = U - I, where F = R U, and its work conjugate, the Biot
stress T = (1/V0) dW/dE, both in Mandel notation: six components in the order xx, yy, zz, yz, xz, xy, with the
shear components multiplied by sqrt(2). A double contraction is then a dot product, and a rotation an
orthogonal 6x6 matrix. The frame is the one rotated back by R. Tension is positive.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")
"""Names of the six Mandel components, in order."""

_ROWS = (0, 1, 2, 1, 0, 0)
_COLUMNS = (0, 1, 2, 2, 2, 1)
_WEIGHTS = (1.0, 1.0, 1.0, 2.0**0.5, 2.0**0.5, 2.0**0.5)


def mandel_weights(like: Tensor) -> Tensor:
    """Factor of each Mandel component over its tensor component, shape (6,), in the type of `like`."""
    return torch.tensor(_WEIGHTS, dtype=like.dtype, device=like.device)


def to_mandel(tensor: Tensor) -> Tensor:
    """Mandel vectors (..., 6) of the symmetric part of tensors (..., 3, 3)."""
    symmetric = 0.5 * (tensor + tensor.transpose(-1, -2))
    return symmetric[..., _ROWS, _COLUMNS] * mandel_weights(tensor)


def from_mandel(vector: Tensor) -> Tensor:
    """Symmetric tensors (..., 3, 3) of Mandel vectors (..., 6)."""
    xx, yy, zz, yz, xz, xy = (vector / mandel_weights(vector)).unbind(-1)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).unflatten(-1, (3, 3))


def trace(vector: Tensor) -> Tensor:
    """Trace (...,) of Mandel vectors (..., 6)."""
    return vector[..., :3].sum(-1)


def volumetric_projector(dtype: torch.dtype = torch.float64) -> Tensor:
    """The 6x6 projector on the volumetric (spherical) part, in Mandel notation."""
    projector = torch.zeros(6, 6, dtype=dtype)
    projector[:3, :3] = 1.0 / 3.0
    return projector


def deviatoric_projector(dtype: torch.dtype = torch.float64) -> Tensor:
    """The 6x6 projector on the deviatoric part, in Mandel notation."""
    return torch.eye(6, dtype=dtype) - volumetric_projector(dtype)


def polar_decomposition(deformation_gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation R and right stretch U, both (..., 3, 3), with F = R U; det F > 0 is required."""
    if bool((torch.linalg.det(deformation_gradient) <= 0).any()):
        raise ValueError("A deformation gradient with det F <= 0 has no polar decomposition into rotation and stretch.")
    left, singular, right_t = torch.linalg.svd(deformation_gradient)
    rotation = left @ right_t
    stretch = right_t.transpose(-1, -2) @ (singular.unsqueeze(-1) * right_t)
    return rotation, stretch


def biot_strain(deformation_gradient: Tensor) -> Tensor:
    """Biot strain E = U - I (..., 6) of deformation gradients F (..., 3, 3)."""
    _, stretch = polar_decomposition(deformation_gradient)
    return to_mandel(stretch - torch.eye(3, dtype=stretch.dtype, device=stretch.device))


def stretch_of(strain: Tensor) -> Tensor:
    """Right stretch U = I + E (..., 3, 3) of Biot strains E (..., 6)."""
    return torch.eye(3, dtype=strain.dtype, device=strain.device) + from_mandel(strain)


def least_stretch(strain: Tensor) -> Tensor:
    """Smallest principal value (...,) of U = I + E for strains E (..., 6), positive for every possible deformation."""
    return torch.linalg.eigvalsh(stretch_of(strain))[..., 0]


def rotation_from_vector(vector: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3), axis times angle in rad."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(skew)


def mandel_rotation(rotation: Tensor) -> Tensor:
    """Orthogonal matrices (..., 6, 6) that map the Mandel vector of A to that of Q A Q^T, for Q (..., 3, 3)."""
    basis = from_mandel(torch.eye(6, dtype=rotation.dtype, device=rotation.device))  # (6, 3, 3)
    rotated = torch.einsum("...ij,ajk,...lk->...ail", rotation, basis, rotation)
    return to_mandel(rotated).transpose(-1, -2)


def biot_from_cauchy(cauchy: Tensor, strain: Tensor) -> Tensor:
    """Biot stress T = (J/2)(sigma U^-1 + U^-1 sigma), (..., 6).

    `cauchy` is the Cauchy stress rotated back by R, (..., 6); `strain` the Biot strain, (..., 6).
    """
    stretch = stretch_of(strain)
    nominal = torch.linalg.det(stretch)[..., None, None] * from_mandel(cauchy) @ torch.linalg.inv(stretch)
    return to_mandel(nominal)


def cauchy_from_biot(biot: Tensor, strain: Tensor) -> Tensor:
    """Cauchy stress rotated back by R (..., 6), the inverse of `biot_from_cauchy`.

    With V = U^-1 it solves the Lyapunov equation sigma V + V sigma = (2/J) T in the eigenbasis of U.
    """
    stretch = stretch_of(strain)
    values, vectors = torch.linalg.eigh(stretch)
    jacobian = values.prod(-1)[..., None, None]
    principal = vectors.transpose(-1, -2) @ from_mandel(biot) @ vectors
    inverse = 1.0 / values
    principal = 2.0 * principal / jacobian / (inverse.unsqueeze(-1) + inverse.unsqueeze(-2))
    return to_mandel(vectors @ principal @ vectors.transpose(-1, -2))


def upper_triangular_box(box: Tensor) -> tuple[Tensor, Tensor]:
    """Split box matrices h (..., 3, 3), vectors in columns, as h = Q B with B upper triangular, diagonal > 0.

    B is the box in the frame that LAMMPS asks for; a tensor A there is Q A Q^T here.
    """
    rotation, triangular = torch.linalg.qr(box)
    sign = torch.sign(torch.diagonal(triangular, dim1=-2, dim2=-1))
    return rotation * sign.unsqueeze(-2), triangular * sign.unsqueeze(-1)


def face_widths(box: Tensor) -> Tensor:
    """Distances (..., 3) between opposite faces of boxes (..., 3, 3) whose vectors are the columns."""
    return 1.0 / torch.linalg.inv(box).norm(dim=-1)


_BOLTZMANN = 1.380649e-23  # J/K


@dataclass(frozen=True)
class Units:
    """The units in which a cell speaks: one length (m), one energy (J) and one mass (kg).

    `stress` names the unit of stress for axes and tables. Reduced Lennard-Jones systems may leave the scales
    out; converting then raises a ValueError.
    """

    stress: str
    length_m: float | None = None
    energy_joule: float | None = None
    mass_kg: float | None = None

    def stress_in_mpa(self) -> float:
        """One unit of stress (energy over length cubed) in MPa."""
        return self._scale("energy_joule") / self._scale("length_m") ** 3 * 1e-6

    def temperature_in_kelvin(self) -> float:
        """One unit of temperature (energy over Boltzmann's constant) in K."""
        return self._scale("energy_joule") / _BOLTZMANN

    def time_in_seconds(self) -> float:
        """One unit of time, length * sqrt(mass / energy), in s."""
        return self._scale("length_m") * (self._scale("mass_kg") / self._scale("energy_joule")) ** 0.5

    def _scale(self, name: str) -> float:
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"The unit system '{self.stress}' has no {name}: give it to convert to SI units.")
        return float(value)


LJ = Units("epsilon/sigma^3")
"""Reduced Lennard-Jones units, whose scales are up to the user."""

MPA = Units("MPa", length_m=1e-9, energy_joule=1e-21, mass_kg=1.66053906660e-27)
"""Stress in MPa: one zeptojoule per cubic nanometre."""

KCAL_ANGSTROM = Units(
    "kcal/mol/angstrom^3", length_m=1e-10, energy_joule=4184.0 / 6.02214076e23, mass_kg=1.66053906660e-27
)
"""The units of TorchMD's force fields: kcal/mol, angstrom, g/mol."""

EV_ANGSTROM = Units("eV/angstrom^3", length_m=1e-10, energy_joule=1.602176634e-19, mass_kg=1.66053906660e-27)
"""The units of potentials of metals and semiconductors: eV, angstrom, g/mol."""

UNIT_SYSTEMS = {units.stress: units for units in (LJ, MPA)}
"""The unit systems by the name of their stress."""


def unit_system(name: str) -> Units:
    """The unit system whose stress has this name; ValueError for one that is unknown."""
    if name not in UNIT_SYSTEMS:
        raise ValueError(f"units must be one of {', '.join(UNIT_SYSTEMS)}, got '{name}'.")
    return UNIT_SYSTEMS[name]
