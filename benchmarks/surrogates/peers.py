"""What surrogates are measured against: LAMMPS making a label, and J2 plasticity in JAX."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prnn_md.materials.j2 import J2
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples
from prnn_md.reference.dynamics import Athermal
from prnn_md.reference.system import in_lammps

SHIFT = 0.05  # sigma, by which copies of a cell differ


def copies(beads: int) -> Samples:
    """One sample of at least so many beads: a library's cell of 160 beads, repeated equally often in all directions."""
    cell = load_library("polymer_160_a")[0][:1]
    particles = cell.positions.shape[1]
    repeats = int(np.ceil((beads / particles) ** (1 / 3) - 1e-9))
    numbers = torch.arange(repeats, dtype=torch.float64)
    places = torch.cartesian_prod(numbers, numbers, numbers)
    shifts = places @ cell.box[0].T
    positions = (cell.positions[0] + shifts[:, None]).reshape(1, -1, 3)
    noise = torch.randn(positions.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bonds = (cell.bonds + particles * torch.arange(len(places))[:, None, None]).reshape(-1, 2)
    return Samples(positions + SHIFT * noise, repeats * cell.box, bonds, cell.types.repeat(len(places)))


def label_seconds(sample: Samples, strains: Tensor, increments: int) -> float:
    """Seconds of LAMMPS for the first increments of a path (T+1, 6), after it has brought the sample to rest."""
    force_field, dynamics = polymer_force_field(sample), Athermal()
    with in_lammps(sample, force_field) as lammps:
        dynamics.begin(lammps, force_field, seed=1)
        dynamics.rest(lammps, sample.box[0])
        start = time.perf_counter()
        for before, strain in pairwise(strains[: increments + 1]):
            dynamics.increment(lammps, sample.box[0], before, strain, 0.0)
        return time.perf_counter() - start


def jax_j2(cell: J2, strains: Tensor, weights: Tensor) -> tuple[Callable[[], tuple[Any, Any]], float]:
    """J2 with linear hardening as a compiled scan along strains (items, T, 6).

    Returns what works out stresses and the gradient of their weighted sum by the strains, both of that shape, and the
    seconds that compiling took.
    """
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    stiffness, deviator = jnp.asarray(cell.stiffness.numpy()), jnp.asarray(cell.deviator.numpy())
    shear, hardening, yield_stress = cell.shear_modulus, cell.hardening_modulus, cell.yield_stress

    def step(state: tuple[Any, Any], strain: Any) -> tuple[tuple[Any, Any], Any]:
        plastic, amount = state
        trial = (strain - plastic) @ stiffness
        deviatoric = trial @ deviator
        square = (deviatoric**2).sum(-1)
        strength = yield_stress + hardening * amount
        yields = 1.5 * square > strength**2
        norm = jnp.sqrt(jnp.where(yields, square, 1.0))
        increment = jnp.where(yields, 1.5**0.5 * norm - strength, 0.0) / (3 * shear + hardening)
        flow = 1.5**0.5 * (increment / norm)[:, None] * deviatoric
        return (plastic + flow, amount + increment), trial - 2 * shear * flow

    def roll_out(path: Any) -> Any:
        start = (jnp.zeros((path.shape[1], 6)), jnp.zeros(path.shape[1]))
        return jax.lax.scan(step, start, path)[1]

    def there_and_back(path: Any, weights: Any) -> tuple[Any, Any]:
        stresses, pull_back = jax.vjp(roll_out, path)
        return stresses, pull_back(weights)[0]

    arguments = [jnp.asarray(tensor.numpy().swapaxes(0, 1)) for tensor in (strains, weights)]
    began = time.perf_counter()
    compiled = jax.jit(there_and_back).lower(*arguments).compile()
    seconds = time.perf_counter() - began

    def work() -> tuple[Any, Any]:
        stresses, gradient = compiled(*arguments)
        return np.asarray(stresses).swapaxes(0, 1), np.asarray(gradient).swapaxes(0, 1)

    return work, seconds
