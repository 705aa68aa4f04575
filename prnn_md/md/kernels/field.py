"""A force field as plain arrays, which compiled functions take as they are."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from prnn_md.md.bonded_energy import (
    Bonded,
    CosineAngles,
    FENEBonds,
    HarmonicAngles,
    HarmonicBonds,
    ScaledPairs,
    Torsions,
)
from prnn_md.md.force_field import ForceField
from prnn_md.md.pair_energy import LennardJones

JOINED_FORMS = {"fene_bonds": 4, "harmonic_bonds": 2, "scaled_pairs": 3}  # in this order, with so many numbers each
COSINE, ANGLE = 0, 1  # forms of angles


class NoKernel(ValueError):
    """A force field has a term for which there is no compiled function."""


class Field(NamedTuple):
    """The numbers of a force field, for N particles of K types.

    Pairs of types are of kinds[type, type] and have the Lennard-Jones constants `epsilon`, `sigma2` = sigma^2, `inner`,
    `width` = 1/(outer - inner), `raised`, the energy by which they are raised, and `outer2`, all (kinds,); `cutoff` is
    the largest of the cutoffs. `excluded` (N, E) lists for each particle those of higher index with which it has no
    such energy, -1 where the list is shorter. `joined` (J, 2) are bonds and the like, the lower index first: FENE bonds
    with the numbers `fene_bonds` (4, .), then harmonic ones with `harmonic_bonds` (2, .), then `scaled_pairs` (3, .).
    `angles` (A, 3) and `torsions` (D, 4) are of three and four particles; `torsion_numbers` (D, terms, 3) hold
    stiffness, phase and period.
    """

    masses: np.ndarray
    types: np.ndarray
    kinds: np.ndarray
    epsilon: np.ndarray
    sigma2: np.ndarray
    inner: np.ndarray
    width: np.ndarray
    raised: np.ndarray
    outer2: np.ndarray
    cutoff: float
    several_images: bool
    excluded: np.ndarray
    joined: np.ndarray
    fene_bonds: np.ndarray
    harmonic_bonds: np.ndarray
    scaled_pairs: np.ndarray
    angles: np.ndarray
    angle_forms: np.ndarray
    angle_numbers: np.ndarray
    torsions: np.ndarray
    torsion_numbers: np.ndarray


@torch.no_grad()
def compiled_field(force_field: ForceField, types: Tensor) -> Field:
    """The arrays of a force field for particles of these types (N,).

    Raises NoKernel for terms other than Lennard-Jones pairs, bonds, angles and torsions.
    """
    terms = dict(force_field.terms.items())
    pairs = terms.pop("pairs", None)
    if not isinstance(pairs, LennardJones):
        raise NoKernel("there is a compiled function for Lennard-Jones pairs only")
    numbers = _pair_numbers(pairs)
    joined = [terms.pop(name) for name in ("bonds", "scaled_pairs") if name in terms]
    angles, torsions = terms.pop("angles", None), terms.pop("torsions", None)
    if terms:
        raise NoKernel(f"there is no compiled function for {', '.join(terms)}")
    return Field(
        masses=force_field.masses.numpy(),
        types=types.numpy(),
        kinds=pairs.kinds.numpy(),
        **numbers,
        cutoff=force_field.cutoff,
        several_images=force_field.several_images,
        excluded=excluded_partners(force_field.excluded.numpy(), len(types)),
        **_joined(joined, types),
        **_angle_numbers(angles),
        **_torsion_numbers(torsions),
    )


def excluded_partners(excluded: np.ndarray, particles: int) -> np.ndarray:
    """For each particle its excluded partners of higher index, (N, E), filled up with -1."""
    lists: list[list[int]] = [[] for _ in range(particles)]
    for low, high in np.sort(excluded, axis=1).tolist():
        lists[low].append(high)
    table = np.full((particles, max([1, *map(len, lists)])), -1, dtype=np.int64)
    for low, partners in enumerate(lists):
        table[low, : len(partners)] = sorted(partners)
    return table


def _pair_numbers(pairs: LennardJones) -> dict[str, np.ndarray]:
    kind = torch.arange(len(pairs.epsilon))
    cut = pairs.inner == pairs.outer
    raised = torch.where(cut, pairs.plain(pairs.outer.square(), kind), 0.0) if pairs.shifted else 0.0 * pairs.epsilon
    return {
        "epsilon": pairs.epsilon.numpy().copy(),
        "sigma2": pairs.sigma.square().numpy(),
        "inner": pairs.inner.numpy(),
        "width": (1.0 / (pairs.outer - pairs.inner).clamp(min=1e-30)).numpy(),
        "raised": -raised.numpy(),
        "outer2": pairs.outer.square().numpy(),
    }


def _joined(terms: list[Any], types: Tensor) -> dict[str, np.ndarray]:
    members = {form: np.zeros((0, 2), np.int64) for form in JOINED_FORMS}
    numbers = {form: np.zeros((rows, 0)) for form, rows in JOINED_FORMS.items()}
    for term in terms:
        form, columns = _form_of(term, types)
        if len(members[form]):
            raise NoKernel(f"there is a compiled function for one {type(term).__name__} term only")
        pairs = np.sort(term.members.numpy(), axis=1)
        order = _dealt(pairs)
        members[form], numbers[form] = pairs[order], np.ascontiguousarray(np.stack(columns)[:, order])
    return {"joined": np.concatenate(list(members.values())), **numbers}


def _dealt(members: np.ndarray) -> np.ndarray:
    """An order of pairs (J, 2) that puts four places between neighbours along a chain, see `Terms`."""
    order = np.argsort(members[:, 0], kind="stable")
    return order[np.argsort(np.arange(len(order)) % max(1, -(-len(order) // 4)), kind="stable")]


def _form_of(term: Bonded, types: Tensor) -> tuple[str, list[np.ndarray]]:
    if isinstance(term, FENEBonds):
        pair = term.pairs.kinds[types[term.members[:, 0]], types[term.members[:, 1]]]
        columns = [term.stiffness[term.kind], term.extent[term.kind].square()]
        columns += [term.pairs.epsilon[pair], term.pairs.sigma[pair].square()]
        return "fene_bonds", [column.numpy() for column in columns]
    if isinstance(term, HarmonicBonds):
        return "harmonic_bonds", [term.stiffness[term.kind].numpy(), term.length[term.kind].numpy()]
    if isinstance(term, ScaledPairs):
        columns = [term.epsilon[term.kind], term.sigma[term.kind].square(), term.charge[term.kind]]
        return "scaled_pairs", [column.numpy() for column in columns]
    raise NoKernel(f"there is no compiled function for {type(term).__name__}")


def _angle_numbers(term: Any) -> dict[str, np.ndarray]:
    if term is None:
        members, form, columns = np.zeros((0, 3), np.int64), COSINE, [np.zeros(0), np.zeros(0)]
    elif isinstance(term, CosineAngles):
        stiffness = term.stiffness[term.kind].numpy()
        members, form, columns = term.members.numpy(), COSINE, [stiffness, np.zeros_like(stiffness)]
    elif isinstance(term, HarmonicAngles):
        columns = [term.stiffness[term.kind].numpy(), term.rest[term.kind].numpy()]
        members, form = term.members.numpy(), ANGLE
    else:
        raise NoKernel(f"there is no compiled function for {type(term).__name__}")
    return {
        "angles": np.ascontiguousarray(members),
        "angle_forms": np.full(len(members), form),
        "angle_numbers": np.ascontiguousarray(np.stack(columns, axis=1)),
    }


def _torsion_numbers(term: Any) -> dict[str, np.ndarray]:
    if term is None:
        return {"torsions": np.zeros((0, 4), np.int64), "torsion_numbers": np.zeros((0, 1, 3))}
    if not isinstance(term, Torsions):
        raise NoKernel(f"there is no compiled function for {type(term).__name__}")
    numbers = torch.stack([term.stiffness, term.phase, term.period], dim=-1)[term.kind]
    return {
        "torsions": np.ascontiguousarray(term.members.numpy()),
        "torsion_numbers": np.ascontiguousarray(numbers.numpy()),
    }
