"""The energy of a batch of cells with a neighbour list that renews itself."""

import torch
from torch import Tensor

from prnn_md.md.energy import energy_and_forces
from prnn_md.md.failure import BROKEN_BOND, CONVERGED, NOT_FINITE, SMALL_BOX
from prnn_md.md.force_field import ForceField
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


def small_boxes(force_field: ForceField, box: Tensor) -> Tensor:
    """SMALL_BOX for boxes (I, 3, 3) in which a pair could meet through several images although it may not, else 0."""
    narrow = ~(face_widths(box).amin(-1) >= 2.0 * force_field.cutoff)
    return torch.where(narrow & (not force_field.several_images), SMALL_BOX, CONVERGED)


def faults(energies: Tensor, forces: Tensor) -> Tensor:
    """BROKEN_BOND where the energy (I,) is infinite, NOT_FINITE where anything else is not finite, else 0."""
    finite = energies.isfinite() & forces.isfinite().all(-1).all(-1)
    broken = torch.where(energies == torch.inf, BROKEN_BOND, NOT_FINITE)
    return torch.where(finite, CONVERGED, broken)
