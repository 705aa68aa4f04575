"""A recurrent network for isotropic materials, whose memory is tensors and follows the length of the strain path."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from prnn_md.cell import Cell, Number, State
from prnn_md.mechanics import UNIT_SYSTEMS, Units, deviatoric_projector, from_mandel, to_mandel
from prnn_md.surrogates.networks import Perceptron, gaussian, typical_norm

_QUICK = 16.0  # factor of the rates at which memory follows, so that these start at about one increment of a path
_SHORT = 1e-9  # length below which increments have less and less direction
_SMALL = 0.03  # norm below which invariants hardly change


class IsotropicNetwork(Cell):
    """A stress that is isotropic and independent of rates for any weights, from deviators B_i and scalars a_i.

    An increment to the strain E (in units of its scale) of length l and direction n = dE / l changes the memory by
    X_i, Y_i = mixtures of dev E, dev n and all B_j, as these were before,
    x, y, z, k, m = a perceptron plus a linear map of the invariants tr E, tr n, a_i, |X_i|, |Y_i| and X_i : Y_i,
    C_i = sigmoid(x_i) X_i + tanh(y_i) dev sym(X_i Y_i), then divided by sqrt(1 + |C_i|^2),
    dB_i = (C_i - B_i) (1 - exp(-16 softplus(k_i) l)),  da_i = (tanh z_i - a_i) (1 - exp(-16 softplus(m_i) l)),
    and the stress is the sum of r_i B_i + s_i a_i I / sqrt(3), in units of its scale. In the code tr is divided by
    sqrt(3), and norms are rounded off at 0.03. All r_i and s_i are zero at the start.

    What it cannot do: memory follows any motion, without a threshold, so that many small cycles wear it as large ones
    do, and nothing keeps it from making energy. Its error is of first order in the size of the increments. At rest the
    length of the path has no derivative; the tangent there is that of increments below 1e-9, much shorter than all that
    occur, and good for no more than a first guess. Being at rest counts as a path of that length.

    Strains are taken in units of the root mean square of their norms in training, stresses in their mean scale: buffers
    that `set_scales` fixes, one before. The state holds the last `strain` (*batch, 6), the `scalars` (*batch, memory)
    and the `deviators` (*batch, 6, memory). `memory` is the number of each, `width` and `layers` are those of the
    perceptron's hidden layers. A strain that is not finite makes the stress of its item so.

    Source: J. Ling, R. Jones, J. Templeton, J. Comput. Phys. 318 (2016) 22 for networks of invariants and a basis of
    tensors; K. C. Valanis, Arch. Mech. 23 (1971) 517 for memory along the path; this network is ours.
    """

    strain_scale: Tensor
    stress_scale: Tensor
    unit: Tensor
    product: Tensor

    def __init__(self, memory: int, width: int, layers: int, seed: int, units: str = "epsilon/sigma^3") -> None:
        super().__init__()
        if min(memory, width, layers) < 1:
            raise ValueError(f"memory, width and layers must be at least 1, got {memory}, {width} and {layers}.")
        self.memory = memory
        self.units = UNIT_SYSTEMS.get(units, Units(units))
        generator = torch.Generator().manual_seed(seed)
        self.mixing = nn.Parameter(gaussian((2 + memory, 2 * memory), (2 + memory) ** -0.5, generator))
        invariants, rules = 2 + 4 * memory, 5 * memory
        self.perceptron = Perceptron(invariants, width, layers, rules, generator)
        self.linear = nn.Parameter(gaussian((invariants, rules), invariants**-0.5, generator))
        self.readout = nn.Parameter(torch.zeros(2, memory, dtype=torch.float64))
        for name in ("strain_scale", "stress_scale"):
            self.register_buffer(name, torch.ones((), dtype=torch.float64))
        self.register_buffer("unit", to_mandel(torch.eye(3, dtype=torch.float64)) / 3**0.5, persistent=False)
        self.register_buffer("product", _deviator_of_product(), persistent=False)

    def set_scales(self, strain: Tensor, stress_scale: Tensor, times: Tensor | None = None) -> None:
        """ValueError if there is no strain at all."""
        self.strain_scale.copy_(typical_norm(strain))
        self.stress_scale.copy_(stress_scale.mean())

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        zeros = self.strain_scale.new_zeros(*batch_shape, 6, 1 + self.memory)
        entries = {"strain": zeros[..., 0], "scalars": zeros[..., 0, 1:], "deviators": zeros[..., 1:]}
        return State(zeros[..., 0, 0].bool(), **entries)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6); dt has no influence."""
        change = (strain - state.strain) / self.strain_scale
        length = (change.square().sum(-1, keepdim=True) + _SHORT**2).sqrt()
        traces, deviators = self._split(torch.stack([strain / self.strain_scale, change / length], -1))
        goals, scalar_goals, rates, scalar_rates = self._goals(traces, deviators, state)
        deviators = torch.lerp(state.deviators, goals, _followed(rates, length).unsqueeze(-2))
        scalars = torch.lerp(state.scalars, scalar_goals, _followed(scalar_rates, length))
        stress = deviators @ self.readout[0] + (scalars @ self.readout[1]).unsqueeze(-1) * self.unit
        return self.stress_scale * stress, State(state.failed, strain=strain, scalars=scalars, deviators=deviators)

    def _goals(self, traces: Tensor, deviators: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """C (*batch, 6, memory), tanh z, k and m (*batch, memory) by traces (*batch, 2) and deviators of E and n."""
        mixtures = torch.cat([deviators, state.deviators], -1) @ self.mixing
        norms = (mixtures.square().sum(-2) + _SMALL**2).sqrt()
        X, Y = mixtures.chunk(2, -1)
        invariants = torch.cat([traces, state.scalars, norms, (X * Y).sum(-2)], -1)
        x, y, z, k, m = (self.perceptron(invariants) + invariants @ self.linear).chunk(5, -1)
        pairs = X.unsqueeze(-2) * Y.unsqueeze(-3)  # of components, (*batch, 6, 6, memory)
        products = self.product @ pairs.flatten(-3, -2)
        C = x.sigmoid().unsqueeze(-2) * X + y.tanh().unsqueeze(-2) * products
        return C / (1.0 + C.square().sum(-2, keepdim=True)).sqrt(), z.tanh(), k, m

    def _split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Traces over the root of three (*batch, n) and deviators (*batch, 6, n) of Mandel vectors (*batch, 6, n)."""
        unit = self.unit.unsqueeze(-1)
        traces = (unit * vectors).sum(-2)
        return traces, vectors - unit * traces.unsqueeze(-2)


def _followed(rates: Tensor, length: Tensor) -> Tensor:
    """How much of the way to its goal memory goes within a length of path."""
    return -torch.expm1(-_QUICK * softplus(rates) * length)


def _deviator_of_product() -> Tensor:
    """What gives dev(A B) of symmetric tensors, its symmetric part, from products of their components, (6, 36)."""
    basis = from_mandel(torch.eye(6, dtype=torch.float64))
    return deviatoric_projector() @ to_mandel(torch.einsum("pij,qjk->pqik", basis, basis)).flatten(0, 1).mT
