"""The energy of a batch of cells with a neighbour list that renews itself."""

import torch
from torch import Tensor

from prnn_md.md.bonded_energy import FENEBonds
from prnn_md.md.energy import energy_and_forces
from prnn_md.md.failure import BAD_STRAIN, BROKEN_BOND, CONVERGED, NOT_FINITE, SMALL_BOX
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.neighbours import NARROWEST
from prnn_md.mechanics import face_widths


class Listed:
    """A force field for cells in fixed boxes (I, 3, 3), listed anew when a particle has moved by half the `skin`."""

    def __init__(self, force_field: ForceField, types: Tensor, x: Tensor, box: Tensor, skin: float) -> None:
        self.force_field, self.types, self.box, self.skin = force_field, types, box, skin
        self._list(x)

    def _list(self, x: Tensor) -> None:
        self.listed_at = x.detach().clone()
        self.neighbours = self.force_field.neighbours(self.listed_at, self.box, self.skin)

    def renew(self, x: Tensor) -> None:
        """See that the list holds for positions x (I, N, 3); those that are not finite do not count."""
        moved = (x.detach() - self.listed_at).square().sum(-1).nan_to_num(0.0, 0.0, 0.0).max()
        if float(moved) > (0.5 * self.skin) ** 2:
            self._list(torch.where(x.isfinite(), x, self.listed_at))

    def energy(self, x: Tensor) -> Tensor:
        """Energies (I,), differentiable."""
        return self.force_field(x, self.box, self.types, self.neighbours)

    def energy_and_forces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (I,) and forces (I, N, 3) at x, with a list that holds there."""
        self.renew(x)
        return energy_and_forces(self.force_field, x, self.box, self.types, self.neighbours)

    def faults(self, x: Tensor, energies: Tensor, forces: Tensor) -> Tensor:
        """BROKEN_BOND where a bond is, NOT_FINITE where energies (I,) or forces are not finite for another reason."""
        finite = energies.isfinite() & forces.isfinite().all(-1).all(-1)
        bonds, broken = dict(self.force_field.terms.items()).get("bonds"), torch.zeros_like(finite)
        if isinstance(bonds, FENEBonds):
            broken = bonds.broken(x).any(-1)
        return torch.where(finite, CONVERGED, torch.where(broken, BROKEN_BOND, NOT_FINITE))


def strain_faults(force_field: ForceField, stretch: Tensor, box0: Tensor) -> Tensor:
    """BAD_STRAIN or SMALL_BOX for stretches (I, 3, 3) that cells with boxes (I, 3, 3) cannot follow, else CONVERGED."""
    minor = stretch[:, 0, 0] * stretch[:, 1, 1] - stretch[:, 0, 1] * stretch[:, 1, 0]
    positive = (stretch[:, 0, 0] > 0.0) & (minor > 0.0) & (torch.linalg.det(stretch) > 0.0)
    good = positive & stretch.isfinite().all(-1).all(-1)
    least = (NARROWEST if force_field.several_images else 2.0) * force_field.cutoff
    wide = face_widths(unless(~good, stretch) @ box0).amin(-1) >= least
    return torch.where(good, torch.where(wide, CONVERGED, SMALL_BOX), BAD_STRAIN)


def unless(bad: Tensor, stretch: Tensor) -> Tensor:
    """The stretches (I, 3, 3), but none where they are `bad` (I,)."""
    return torch.where(bad[:, None, None], torch.eye(3).to(stretch), stretch)
