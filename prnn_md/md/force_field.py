"""A force field: the sum of energy terms for one set of particles, with its parameters by name."""

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from prnn_md.md.bonded_energy import Bonded
from prnn_md.md.neighbours import Neighbours, find_neighbours
from prnn_md.md.pair_energy import LennardJones
from prnn_md.md.sample import check_members
from prnn_md.mechanics import Units

PREFIXES = {"pairs": "", "three_body": "", "bonds": "bond_", "angles": "angle_", "torsions": "torsion_"}
"""How the parameters of a term are called: those of the pairs by their own name, others with the term's."""

FIXED = ("inner", "outer", "kinds", "kind", "members", "period")
"""Numbers of a term that are no parameters."""

POSITIVE = ("sigma", "bond_extent", "bond_length")
"""Parameters that must be."""


class ForceField(nn.Module):
    """The potential energy of N particles: the sum of `terms`, each of them an `Energy`.

    Those of files are called pairs, charges, three_body, bonds, angles, torsions and scaled_pairs. `masses` (N,) are in
    the unit of mass of `units`; the pairs `excluded` (X, 2) have no part in pair terms. With `several_images`, pairs
    may meet through more than one image; else a box narrower than twice the cutoff is an error. A checkpoint holds its
    trainable parameters only, so that others can be changed after training.
    """

    masses: Tensor
    excluded: Tensor

    def __init__(
        self,
        terms: Mapping[str, nn.Module],
        masses: Tensor,
        units: Units,
        excluded: Tensor | None = None,
        several_images: bool = False,
    ) -> None:
        super().__init__()
        self.terms = nn.ModuleDict(terms)
        self.units = units
        self.several_images = several_images
        self.register_buffer("masses", masses.double(), persistent=False)
        self.register_buffer(
            "excluded", torch.zeros(0, 2, dtype=torch.int64) if excluded is None else excluded, persistent=False
        )
        self._check()

    def _check(self) -> None:
        """Raises ValueError for numbers that are no force field."""
        if not len(self.terms):
            raise ValueError("The force field has no terms: there is nothing that acts between particles.")
        if self.masses.dim() != 1 or not bool(((self.masses > 0.0) & self.masses.isfinite()).all()):
            raise ValueError(f"masses must be positive numbers, one of each particle, got {self.masses.tolist()}.")
        for name, term in self.terms.items():
            if isinstance(term, Bonded):
                particles = len(self.masses)
                check_members(f"{name} (there are {particles} masses)", term.members, particles, term.size)
        for name in self.parameter_names():
            self.checked_value(name)

    @staticmethod
    def _check_value(name: str, value: Tensor) -> None:
        fine = value.isfinite() & (value > 0.0 if name in POSITIVE else value >= 0.0 if name == "epsilon" else True)
        if not bool(fine.all()):
            rule = "positive" if name in POSITIVE else "not negative" if name == "epsilon" else "finite"
            raise ValueError(f"{name} must be {rule}, got {value.tolist()}.")

    @property
    def cutoff(self) -> float:
        return max(float(cast(float, term.cutoff)) for term in self.terms.values())

    @property
    def particle_types(self) -> int:
        """How many types of particles it knows."""
        return max([1, *(len(term.kinds) for term in self.terms.values() if isinstance(term, LennardJones))])

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        """Energies (cells,) in the unit of energy of `units`."""
        parts = [term(positions, box, types, neighbours) for term in self.terms.values()]
        return torch.stack(parts).sum(0)

    def neighbours(self, positions: Tensor, box: Tensor, skin: float = 0.0) -> Neighbours:
        """All pairs within the cutoff and a skin that the terms may need."""
        return find_neighbours(positions, box, self.cutoff + skin, self.excluded)

    def parameter_names(self) -> tuple[str, ...]:
        """Names of all parameters, such as epsilon, sigma, bond_stiffness."""
        return tuple(self._places())

    def value(self, name: str) -> Tensor:
        """The parameter of this name; its shape is that of its term's table."""
        term, attribute = self._place(name)
        return cast(Tensor, getattr(term, attribute))

    def checked_value(self, name: str) -> Tensor:
        """The parameter of this name; ValueError if it is none that a force field can have."""
        value = self.value(name)
        self._check_value(name, value.detach())
        return value

    def set_value(self, name: str, value: float | Iterable[float]) -> None:
        """Change a parameter: one number for all its entries, or one for each."""
        old = self.value(name)
        new = torch.as_tensor(value, dtype=old.dtype)
        if new.dim() and new.numel() != old.numel():
            raise ValueError(f"{name} has {old.numel()} entries, got {new.numel()}.")
        self._check_value(name, new)
        with torch.no_grad():
            old.copy_(new.reshape(old.shape) if new.dim() else new)

    def numbers(self) -> dict[str, list[float]]:
        """All parameters by name, as plain numbers."""
        return {name: self.value(name).detach().flatten().tolist() for name in self.parameter_names()}

    def make_trainable(self, names: Iterable[str]) -> None:
        """Let an optimiser change these parameters."""
        for name in names:
            term, attribute = self._place(name)
            value = getattr(term, attribute)
            delattr(term, attribute)
            term.register_parameter(attribute, nn.Parameter(value.clone()))

    def _place(self, name: str) -> tuple[nn.Module, str]:
        places = self._places()
        if name not in places:
            raise ValueError(f"The force field has no parameter '{name}'; it has {', '.join(places)}.")
        return places[name]

    def _places(self) -> dict[str, tuple[nn.Module, str]]:
        return {
            f"{PREFIXES[name]}{attribute}": (term, attribute)
            for name, term in self.terms.items()
            if name in PREFIXES
            for attribute in (*dict(term.named_buffers(recurse=False)), *dict(term.named_parameters(recurse=False)))
            if attribute not in FIXED
        }
