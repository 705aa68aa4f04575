"""Linear viscoelasticity: the generalised Maxwell model, exact for strains linear in each increment."""

from collections.abc import Sequence

import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State
from prnn_md.materials.constants import check_positive, checked_count, mark_failures, no_failures
from prnn_md.materials.elastic import isotropic_stiffness
from prnn_md.mechanics import deviatoric_projector, unit_system


class Viscoelastic(Cell):
    """Generalised Maxwell material: a long-term spring beside Maxwell branches on the deviatoric strain.

    bulk_modulus and shear_modulus are those after infinite time; branch i adds the shear modulus moduli[i],
    that relaxes with the time relaxation_times[i]. Moduli are in `units`, times in the unit of the strain
    paths' times. The state holds the deviatoric strain `deviator` (*batch, 6) and the stresses of the
    `branches` (*batch, branches, 6). Raises ValueError for constants that are not positive and for sequences
    of different length.

    Source: J. C. Simo, T. J. R. Hughes, Computational Inelasticity (1998), chapter 10; here the convolution
    is integrated exactly.
    """

    rate_dependent = True
    long_term: Tensor
    projector: Tensor
    moduli: Tensor
    relaxation_times: Tensor

    def __init__(
        self,
        bulk_modulus: float = 70.0,
        shear_modulus: float = 4.0,
        moduli: Sequence[float] = (7.0, 7.0),
        relaxation_times: Sequence[float] = (0.05, 0.5),
        units: str = "epsilon/sigma^3",
        count: int = 1,
    ) -> None:
        super().__init__()
        self.units, self.count = unit_system(units), checked_count(count)
        check_positive(bulk_modulus=bulk_modulus, shear_modulus=shear_modulus)
        if len(moduli) != len(relaxation_times):
            raise ValueError(
                "moduli and relaxation_times need one entry per branch each, "
                f"got {len(moduli)} and {len(relaxation_times)}."
            )
        for branch, (modulus, relaxation_time) in enumerate(zip(moduli, relaxation_times, strict=True)):
            check_positive(**{f"moduli[{branch}]": modulus, f"relaxation_times[{branch}]": relaxation_time})
        tensors = {
            "long_term": isotropic_stiffness(bulk_modulus, shear_modulus),
            "projector": deviatoric_projector(),
            "moduli": torch.tensor(list(moduli), dtype=torch.float64),
            "relaxation_times": torch.tensor(list(relaxation_times), dtype=torch.float64),
        }
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """Undeformed since ever."""
        shape = tuple(batch_shape)
        branches = self.moduli.new_zeros(*shape, len(self.moduli), 6)
        return no_failures(shape, self.moduli, deviator=self.moduli.new_zeros(*shape, 6), branches=branches)

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        """Stress (*batch, 6) after a strain that is linear in time over dt; at dt = 0 a jump of the strain.

        Raises ValueError for a negative dt.
        """
        duration = torch.as_tensor(dt, dtype=self.moduli.dtype, device=self.moduli.device)
        if not torch.compiler.is_exporting() and bool((duration < 0).any()):
            raise ValueError(f"dt must not be negative, got {duration.min().item()}.")
        ratio = duration.unsqueeze(-1) / self.relaxation_times
        deviator = strain @ self.projector
        growth = 2 * self.moduli * relaxed_mean(ratio)
        change = (deviator - state.deviator).unsqueeze(-2)
        branches = torch.exp(-ratio).unsqueeze(-1) * state.branches + growth.unsqueeze(-1) * change
        stress, failed = mark_failures(strain @ self.long_term + branches.sum(-2), state)
        return stress, State(failed, deviator=deviator, branches=branches)


def relaxed_mean(ratio: Tensor) -> Tensor:
    """(1 - exp(-x)) / x, the mean of exp(-s) over 0 <= s <= x, and its limit at x = 0."""
    small = ratio < 0.05
    near, far = torch.where(small, ratio, 0.0), torch.where(small, 1.0, ratio)
    series = torch.ones_like(near)
    for order in range(9, 1, -1):
        series = 1 - near / order * series
    return torch.where(small, series, -torch.expm1(-far) / far)
