"""Encoders of a PRNN: the linear localisation of the macroscopic strain to one local strain per cell."""

import torch
from torch import Tensor, nn

from prnn_md.mechanics import (
    deviatoric_projector,
    mandel_rotation,
    rotation_from_vector,
    volumetric_projector,
)


class Encoder(nn.Module):
    """Local strains E_m = A_m E with one 6x6 localisation matrix A_m per cell, in Mandel notation.

    Being linear without a constant, it keeps the virgin state free of local strain.
    """

    def matrices(self) -> Tensor:
        """Localisation matrices A_m (cells, 6, 6)."""
        raise NotImplementedError

    def forward(self, strain: Tensor) -> Tensor:
        """Local strains (*batch, cells, 6) of macroscopic strains (*batch, 6)."""
        return torch.einsum("mij,...j->...mi", self.matrices(), strain)


class TaylorEncoder(Encoder):
    """Every cell feels the macroscopic strain, as in Taylor's (Voigt's) assumption; nothing is learnt.

    With `noise`, each A_m is the identity plus fixed Gaussian numbers of that deviation.
    """

    fixed: Tensor

    def __init__(self, cells: int, generator: torch.Generator, noise: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("fixed", torch.eye(6, dtype=torch.float64) + gaussian((cells, 6, 6), noise, generator))

    def matrices(self) -> Tensor:
        return self.fixed


class FreeEncoder(Encoder):
    """One free 6x6 block per cell, each starting at the identity plus Gaussian noise of deviation `noise`.

    Source: M. A. Maia et al., Comput. Methods Appl. Mech. Engrg. 407 (2023) 115934, section 3, whose dense
    linear encoder these blocks make up; the identity as a start is ours.
    """

    def __init__(self, cells: int, generator: torch.Generator, noise: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.Parameter(torch.eye(6, dtype=torch.float64) + gaussian((cells, 6, 6), noise, generator))

    def matrices(self) -> Tensor:
        return self.blocks


class AmplifiedRotationEncoder(Encoder):
    """A rotation per cell, and one volumetric and one deviatoric amplification shared by all cells.

    A_m = R_m (a_v P_vol + a_d P_dev) with R_m the rotation of strains by the rotation vector of cell m (rad).
    Rotation vectors start at zero plus Gaussian noise of deviation `noise`, amplifications at one; these stay
    positive. With `rotations` off, the rotation vectors keep their start and only two numbers are learnt.
    """

    volumetric: Tensor
    deviatoric: Tensor

    def __init__(self, cells: int, generator: torch.Generator, rotations: bool = True, noise: float = 0.0) -> None:
        super().__init__()
        self.rotation_vectors = nn.Parameter(gaussian((cells, 3), noise, generator), requires_grad=rotations)
        self.log_amplifications = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.register_buffer("volumetric", volumetric_projector(), persistent=False)
        self.register_buffer("deviatoric", deviatoric_projector(), persistent=False)

    def amplifications(self) -> Tensor:
        """Volumetric and deviatoric amplification (2,), both positive."""
        return self.log_amplifications.exp()

    def matrices(self) -> Tensor:
        volumetric, deviatoric = self.amplifications()
        amplified = volumetric * self.volumetric + deviatoric * self.deviatoric
        return mandel_rotation(rotation_from_vector(self.rotation_vectors)) @ amplified


def gaussian(shape: tuple[int, ...], deviation: float, generator: torch.Generator) -> Tensor:
    """Normal numbers of the given standard deviation, in double precision; ValueError for a negative one."""
    if not deviation >= 0:
        raise ValueError(f"noise must not be negative, got {deviation}.")
    return deviation * torch.randn(shape, generator=generator, dtype=torch.float64)
