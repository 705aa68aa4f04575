"""A recurrent network for isotropic materials: its memory turns with the strain, and follows the length of its path."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from prnn_md.cell import Cell, Number, State
from prnn_md.mechanics import UNIT_SYSTEMS, Units, deviatoric_projector, from_mandel, to_mandel
from prnn_md.surrogates.networks import Perceptron, gaussian

_QUICK = 16.0  # rate at which memory follows where the network says nothing, per typical length of the strain
_SHORT = 1e-9  # length below which increments have less and less direction, so that there is a tangent at rest
_SMALL = 0.03  # norm below which invariants hardly change


class IsotropicNetwork(Cell):
    """Stress of `memory` deviators B_i and scalars a_i that follow the strain; it turns with it, for any weights.

    At the end of an increment of length l and direction n,
    X_i, Y_i = mixtures of the deviators of E and n and of all B_j,
    x, y, z, k, m = a perceptron and a linear map of the invariants tr E, tr n, a_i, |X_i|, |Y_i| and X_i : Y_i,
    C_i = sigmoid(x_i) X_i + tanh(y_i) dev(X_i Y_i), squashed to a norm below one,
    B_i - C_i and a_i - tanh(z_i) have decayed by exp(-softplus(k_i) l) and exp(-softplus(m_i) l),
    T = sum of r_i B_i + s_i a_i I.
    So the virgin state has no stress, rates have no influence, and smaller steps little. All r_i and s_i are zero at
    the start, so that beside other cells it is a correction that is still to be learnt.

    Strains are taken in units of the root mean square of their norms in training, stresses in their mean scale: buffers
    that `set_scales` fixes, one before. The state holds the last `strain` (*batch, 6), the `scalars` (*batch, memory)
    and the `deviators` (*batch, 6, memory). `width` and `layers` are those of the perceptron's hidden layers.

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
        size = strain.detach().square().sum(-1).mean().sqrt()
        if not bool(size > 0):
            raise ValueError("The training strains are zero everywhere: there is nothing to scale by.")
        self.strain_scale.copy_(size)
        self.stress_scale.copy_(stress_scale.mean())

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        zeros = self.strain_scale.new_zeros(*batch_shape, 6, 1 + self.memory)
        memory = {"scalars": zeros[..., 0, 1:], "deviators": zeros[..., 1:]}
        return State(zeros[..., 0, 0].bool(), strain=zeros[..., 0], **memory)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6); dt has no influence."""
        change = (strain - state.strain) / self.strain_scale
        length = (change.square().sum(-1, keepdim=True) + _SHORT**2).sqrt()
        traces, deviators = self._split(torch.stack([strain / self.strain_scale, change / length], -1))
        goals, (scalar_goals, decay, scalar_decay) = self._goals(traces, deviators, state)
        path = -_QUICK * length
        deviators = torch.lerp(goals, state.deviators, (path * softplus(decay)).exp().unsqueeze(-2))
        scalars = torch.lerp(scalar_goals.tanh(), state.scalars, (path * softplus(scalar_decay)).exp())
        stress = deviators @ self.readout[0] + (scalars @ self.readout[1]).unsqueeze(-1) * self.unit
        return self.stress_scale * stress, State(state.failed, strain=strain, scalars=scalars, deviators=deviators)

    def _goals(self, traces: Tensor, deviators: Tensor, state: State) -> tuple[Tensor, Sequence[Tensor]]:
        """The deviators C (*batch, 6, memory), and z, k and m (*batch, memory) of the class's formulas."""
        mixtures = torch.cat([deviators, state.deviators], -1) @ self.mixing
        norms = (mixtures.square().sum(-2) + _SMALL**2).sqrt()
        one, other = mixtures.chunk(2, -1)
        invariants = torch.cat([traces, state.scalars, norms, (one * other).sum(-2)], -1)
        straight, crossed, *rest = (self.perceptron(invariants) + invariants @ self.linear).chunk(5, -1)
        pairs = one.unsqueeze(-2) * other.unsqueeze(-3)  # of components, (*batch, 6, 6, memory)
        products = self.product @ pairs.flatten(-3, -2)
        goals = straight.sigmoid().unsqueeze(-2) * one + crossed.tanh().unsqueeze(-2) * products
        return goals / (1.0 + goals.square().sum(-2, keepdim=True)).sqrt(), rest

    def _split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Traces over the root of three (*batch, n) and deviators (*batch, 6, n) of Mandel vectors (*batch, 6, n)."""
        unit = self.unit.unsqueeze(-1)
        traces = (unit * vectors).sum(-2)
        return traces, vectors - unit * traces.unsqueeze(-2)


def _deviator_of_product() -> Tensor:
    """What gives dev(A B) of symmetric tensors, its symmetric part, from products of their components, (6, 36)."""
    basis = from_mandel(torch.eye(6, dtype=torch.float64))
    return deviatoric_projector() @ to_mandel(torch.einsum("pij,qjk->pqik", basis, basis)).flatten(0, 1).mT
