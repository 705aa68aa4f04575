"""Encoders of a PRNN: the localisation of the macroscopic strain to one local strain per cell."""

import torch
from torch import Tensor, nn

from prnn_md.mechanics import (
    deviatoric_projector,
    mandel_rotation,
    rotation_from_vector,
    volumetric_projector,
)
from prnn_md.surrogates.networks import gaussian, largest_norm


class Encoder(nn.Module):
    """Local strains E_m = A_m E with one 6x6 localisation matrix A_m per cell, in Mandel notation.

    Being linear without a constant, it keeps the virgin state free of local strain. One that is not `linear` keeps it
    as well, and A_m = dE_m/dE depends on the strain.
    """

    linear = True

    def matrices(self) -> Tensor:
        """Localisation matrices A_m (cells, 6, 6), of small strains where they depend on it."""
        raise NotImplementedError

    def matrices_at(self, strain: Tensor) -> Tensor:
        """Localisation matrices (*batch, cells, 6, 6) at strains (*batch, 6); (cells, 6, 6) where they are constant."""
        return self.matrices()

    def forward(self, strain: Tensor) -> Tensor:
        """Local strains (*batch, cells, 6) of macroscopic strains (*batch, 6)."""
        return torch.einsum("mij,...j->...mi", self.matrices(), strain)

    def set_scales(self, strain: Tensor) -> None:
        """Fix the scale of the input from training strains (paths, T+1, 6); only layers that are not linear need it."""


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


class LowRankEncoder(Encoder):
    """A_m = I + L_m R_m^T, the identity and a matrix of low `rank` per cell.

    L_m (6, rank) starts at zero plus Gaussian noise of deviation `noise`, R_m at Gaussian numbers of deviation
    1 / sqrt(6), so that its columns have about unit length and L_m learns from the start.
    """

    def __init__(self, cells: int, generator: torch.Generator, rank: int = 1, noise: float = 0.0) -> None:
        super().__init__()
        self.right = nn.Parameter(gaussian((cells, 6, rank), 6**-0.5, generator))
        self.left = nn.Parameter(gaussian((cells, 6, rank), noise, generator))

    def matrices(self) -> Tensor:
        return torch.eye(6).to(self.left) + self.left @ self.right.mT


class MultilayerEncoder(Encoder):
    """E_m = E + a O_m h(E / a), where h are `layers` hidden layers of `width` tanh units without constants.

    The hidden layers are shared by all cells, O_m (6, width) is not, and the scale a is the largest norm of a training
    strain. Hidden weights start at Gaussian numbers of deviation 1 / sqrt(inputs), O_m at zero plus Gaussian noise of
    deviation `noise`.
    """

    linear = False
    scale: Tensor

    def __init__(
        self, cells: int, generator: torch.Generator, layers: int = 1, width: int = 12, noise: float = 0.0
    ) -> None:
        super().__init__()
        inputs = [6, *[width] * (layers - 1)]
        self.hidden = nn.ParameterList(nn.Parameter(gaussian((width, n), n**-0.5, generator)) for n in inputs)
        self.output = nn.Parameter(gaussian((cells, 6, width), noise, generator))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def matrices(self) -> Tensor:
        return self.matrices_at(torch.zeros_like(self.output[0, :, 0]))

    def matrices_at(self, strain: Tensor) -> Tensor:
        values, slopes = strain / self.scale, torch.eye(6).to(self.output)
        for weights in self.hidden:
            values = (values @ weights.mT).tanh()
            slopes = (1.0 - values.square()).unsqueeze(-1) * (weights @ slopes)
        return torch.eye(6).to(self.output) + self.output @ slopes.unsqueeze(-3)

    def forward(self, strain: Tensor) -> Tensor:
        values = strain / self.scale
        for weights in self.hidden:
            values = (values @ weights.mT).tanh()
        return strain.unsqueeze(-2) + self.scale * torch.einsum("mij,...j->...mi", self.output, values)

    def set_scales(self, strain: Tensor) -> None:
        self.scale.copy_(largest_norm(strain))


class AmplifiedRotationEncoder(Encoder):
    """A rotation per cell, and one volumetric and one deviatoric amplification shared by all cells.

    A_m = R_m (a_v P_vol + a_d P_dev) with R_m the rotation of strains by the rotation vector of cell m (rad).
    Rotation vectors start at zero plus Gaussian noise of deviation `noise`, amplifications at one; these stay
    positive. With `rotations` off, the rotation vectors keep their start and only two numbers are learnt; with
    `volumes` off too, the volumetric amplification stays one, and only the deviatoric one is.
    """

    volumetric: Tensor
    deviatoric: Tensor
    learnt: Tensor

    def __init__(
        self,
        cells: int,
        generator: torch.Generator,
        rotations: bool = True,
        volumes: bool = True,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.rotation_vectors = nn.Parameter(gaussian((cells, 3), noise, generator), requires_grad=rotations)
        self.log_amplifications = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.register_buffer("learnt", torch.tensor([float(volumes), 1.0], dtype=torch.float64), persistent=False)
        self.register_buffer("volumetric", volumetric_projector(), persistent=False)
        self.register_buffer("deviatoric", deviatoric_projector(), persistent=False)

    def amplifications(self) -> Tensor:
        """Volumetric and deviatoric amplification (2,), both positive."""
        return (self.learnt * self.log_amplifications).exp()

    def matrices(self) -> Tensor:
        volumetric, deviatoric = self.amplifications()
        amplified = volumetric * self.volumetric + deviatoric * self.deviatoric
        return mandel_rotation(rotation_from_vector(self.rotation_vectors)) @ amplified
