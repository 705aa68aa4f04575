"""Decoders of a PRNN: the linear homogenisation of the cells' stresses to the macroscopic stress."""

from collections.abc import Sequence
from math import expm1, log

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from prnn_md.mechanics import deviatoric_projector, volumetric_projector
from prnn_md.surrogates.networks import gaussian


class Decoder(nn.Module):
    """Macroscopic stress T = sum of D_m T_m with one 6x6 operator D_m per cell, in Mandel notation.

    Decoders are made for `counts` cells of each kind, in the order of the kinds.
    """

    def operators(self, matrices: Tensor) -> Tensor:
        """Operators D_m (cells, 6, 6), given the encoder's localisation matrices A_m (cells, 6, 6).

        Where the matrices are those at several strains, (*batch, cells, 6, 6), so may the operators be.
        """
        raise NotImplementedError

    def weights(self) -> Tensor:
        """Share (cells,) of each cell's stress in the macroscopic one; at the start 1 / cells each."""
        raise NotImplementedError

    def forward(self, stresses: Tensor, matrices: Tensor) -> Tensor:
        """Macroscopic stress (*batch, 6) of the cells' stresses (*batch, cells, 6)."""
        return torch.einsum("...mij,...mj->...i", self.operators(matrices), stresses)


class SoftplusDecoder(Decoder):
    """Dense decoder with positive entries, D_m = softplus(W_m) element by element; it ignores the encoder.

    Starts near the mean: 1 / cells on the diagonals and `off_diagonal` / cells elsewhere, since softplus has
    no zero; W gets Gaussian noise of deviation `noise`. Work is not conserved: elastic cells yield work
    around a closed loop of strain, unless the operators happen to be the encoder's transposes.

    Source: M. A. Maia et al., Comput. Methods Appl. Mech. Engrg. 407 (2023) 115934, section 3.
    """

    def __init__(
        self, counts: Sequence[int], generator: torch.Generator, off_diagonal: float = 1e-4, noise: float = 0.0
    ) -> None:
        super().__init__()
        if not off_diagonal > 0:
            raise ValueError(f"off_diagonal must be positive, as softplus has no zero; got {off_diagonal}.")
        cells = sum(counts)
        start = torch.full((6, 6), inverse_softplus(off_diagonal / cells), dtype=torch.float64)
        start.fill_diagonal_(inverse_softplus(1.0 / cells))
        self.raw = nn.Parameter(start + gaussian((cells, 6, 6), noise, generator))

    def operators(self, matrices: Tensor) -> Tensor:
        return softplus(self.raw)

    def weights(self) -> Tensor:
        return softplus(self.raw).diagonal(dim1=-2, dim2=-1).mean(-1)


class NormalisedDecoder(Decoder):
    """Positive weights that sum to one over the cells, D_m = diag(w_m), as volume fractions do; it ignores the encoder.

    With `shared` each cell has one weight, else one for each component of the stress. They are the softmax of logits
    that start at zero, which is the mean, plus Gaussian noise of deviation `noise`.
    """

    def __init__(
        self, counts: Sequence[int], generator: torch.Generator, shared: bool = True, noise: float = 0.0
    ) -> None:
        super().__init__()
        self.logits = nn.Parameter(gaussian((sum(counts), 1 if shared else 6), noise, generator))

    def operators(self, matrices: Tensor) -> Tensor:
        return self.logits.softmax(0).expand(-1, 6).diag_embed()

    def weights(self) -> Tensor:
        return self.logits.softmax(0).mean(-1)


class IsotropicDecoder(Decoder):
    """Positive weights for the volumetric and the deviatoric stress of each cell: D_m = v_m P_vol + d_m P_dev.

    v_m = exp(a_k + b_m) / cells, with a number a_k that all cells of kind k share (`kinds`) and one b_m of the cell
    itself (`cells`); d_m likewise, with numbers of its own. Few paths teach the former, many the latter. All start at
    zero, which makes the mean of all cells; b_m with Gaussian noise of deviation `noise`, and it stays there with
    `learn_cells` off. Weights need not sum to one, since small cells can be too stiff or too strong. It ignores the
    encoder.
    """

    kind: Tensor
    volumetric: Tensor
    deviatoric: Tensor

    def __init__(
        self, counts: Sequence[int], generator: torch.Generator, learn_cells: bool = True, noise: float = 0.0
    ) -> None:
        super().__init__()
        self.kinds = nn.Parameter(torch.zeros(len(counts), 2, dtype=torch.float64))
        self.cells = nn.Parameter(gaussian((sum(counts), 2), noise, generator), requires_grad=learn_cells)
        kind = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        self.register_buffer("kind", kind, persistent=False)
        self.register_buffer("volumetric", volumetric_projector(), persistent=False)
        self.register_buffer("deviatoric", deviatoric_projector(), persistent=False)

    def operators(self, matrices: Tensor) -> Tensor:
        volumetric, deviatoric = self._parts().unsqueeze(-1).unsqueeze(-1).unbind(1)
        return volumetric * self.volumetric + deviatoric * self.deviatoric

    def weights(self) -> Tensor:
        volumetric, deviatoric = self._parts().unbind(1)
        return (volumetric + 5.0 * deviatoric) / 6.0

    def _parts(self) -> Tensor:
        """v_m and d_m (cells, 2)."""
        return (self.kinds[self.kind] + self.cells).exp() / len(self.kind)


class HillMandelDecoder(Decoder):
    """Decoder tied to the encoder by equality of work: D_m = s w_m A_m^T.

    The weights w_m are positive and sum to one (softmax), and s > 0 is a stress scale. Then T . dE equals
    s sum w_m T_m . dE_m, so that elastic cells make an elastic surrogate with a symmetric tangent. Starts at
    the mean, the weights' logits with Gaussian noise of deviation `noise`; either part can be kept there.
    """

    def __init__(
        self,
        counts: Sequence[int],
        generator: torch.Generator,
        learn_weights: bool = True,
        learn_scale: bool = True,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.logits = nn.Parameter(gaussian((sum(counts),), noise, generator), requires_grad=learn_weights)
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float64), requires_grad=learn_scale)

    def operators(self, matrices: Tensor) -> Tensor:
        return self.weights()[:, None, None] * matrices.transpose(-1, -2)

    def weights(self) -> Tensor:
        """Weights times stress scale s w_m (cells,)."""
        return self.log_scale.exp() * self.logits.softmax(0)


def inverse_softplus(value: float) -> float:
    """The number x with log(1 + exp(x)) = value > 0."""
    return log(expm1(value))
