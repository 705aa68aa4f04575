"""Make pressure-free glass samples of the bead-spring polymer: chains, melt, quench and relaxation."""

from dataclasses import dataclass

import numpy as np
import torch

from prnn_md.md.aqs import AQSCell
from prnn_md.md.force_field import BeadSpring
from prnn_md.md.langevin import langevin
from prnn_md.md.neighbours import bonded_partners
from prnn_md.md.sample import Samples
from prnn_md.mechanics import stretch_of


class QuenchFailure(RuntimeError):
    """A sample could not be made."""


@dataclass(frozen=True)
class QuenchProtocol:
    """How a glass is made: push-off, melt at constant volume, quench at zero pressure, relaxation at rest.

    Reduced Lennard-Jones units. `melt_time`, `quench_time` and `timestep` in tau; the quench goes linearly from
    `glass_from` to `glass_to` in temperature. LAMMPS makes the reference samples with the time step 0.005;
    `prnn-md cells build` takes 0.01, which BAOAB bears and which halves the time.
    """

    beads_per_chain: int = 20
    density: float = 0.85
    melt_temperature: float = 1.0
    melt_time: float = 1000.0
    glass_from: float = 0.6
    glass_to: float = 0.01
    quench_time: float = 1000.0
    timestep: float = 0.005


def quench_polymer(beads: int, seed: int, force_field: BeadSpring, protocol: QuenchProtocol) -> Samples:
    """One glass sample of `beads` beads at rest, free of stress in all six components.

    `seed` fixes chains and noise. Raises QuenchFailure if a bond breaks or the relaxation does not converge.
    """
    rng = np.random.default_rng(seed)
    start = random_walk_chains(beads, protocol, rng)
    positions, box = start.positions[0].numpy(), start.box[0].numpy()
    velocities = rng.standard_normal(positions.shape)
    fixed = (bonded_partners(start.bonds.numpy(), beads), force_field)

    def run(time: float, dt: float, temperatures: tuple[float, float], pressure_time: float, cap: float) -> None:
        numbers = (max(1, round(time / dt)), dt, 1.0, temperatures, pressure_time, cap)
        if not langevin(positions, velocities, box, *fixed, *numbers, rng):
            raise QuenchFailure(f"A bond broke while sample {seed} was made: choose a smaller timestep or other seed.")

    p, hot = protocol, (protocol.melt_temperature, protocol.melt_temperature)
    for cap in (1.0, 0.95, 0.9, 0.85, 0.8, 0.7):
        run(5.0, 0.2 * p.timestep, hot, 0.0, cap)
    run(p.melt_time, p.timestep, hot, 0.0, 0.0)
    run(0.1 * p.melt_time, p.timestep, (p.glass_from, p.glass_from), 2.0, 0.0)
    run(p.quench_time, p.timestep, (p.glass_from, p.glass_to), 2.0, 0.0)
    return relax_stress(
        Samples(torch.from_numpy(positions)[None], torch.from_numpy(box)[None], start.bonds), force_field
    )


def random_walk_chains(beads: int, protocol: QuenchProtocol, rng: np.random.Generator) -> Samples:
    """Freely jointed chains with bond length 0.97 in a cubic box, overlaps and all.

    Raises ValueError if the beads do not make whole chains.
    """
    if beads % protocol.beads_per_chain:
        raise ValueError(f"{beads} beads do not make chains of {protocol.beads_per_chain}: choose a multiple.")
    chains = beads // protocol.beads_per_chain
    edge = (beads / protocol.density) ** (1.0 / 3.0)
    steps = rng.standard_normal((chains, protocol.beads_per_chain, 3))
    steps *= 0.97 / np.linalg.norm(steps, axis=-1, keepdims=True)
    steps[:, 0] = rng.uniform(0.0, edge, (chains, 3))
    positions = np.cumsum(steps, axis=1).reshape(-1, 3)
    first = np.array([i for i in range(beads - 1) if (i + 1) % protocol.beads_per_chain])
    return Samples(
        positions=torch.from_numpy(positions)[None],
        box=edge * torch.eye(3, dtype=torch.float64)[None],
        bonds=torch.from_numpy(np.stack([first, first + 1], axis=1)),
    )


def relax_stress(samples: Samples, force_field: BeadSpring, tolerance: float = 1e-9) -> Samples:
    """Strain each sample until all its Biot stresses are below `tolerance` (epsilon/sigma^3), by Newton steps.

    Raises QuenchFailure if 50 steps do not suffice.
    """
    zero, largest = torch.zeros(len(samples), 6, dtype=torch.float64), 0.01
    for _ in range(50):
        cell = AQSCell(samples, force_field, force_tolerance=1e-10, max_evaluations=100_000)
        samples = Samples(cell.sample_positions, samples.box, samples.bonds)
        if bool((cell.residual_stress.abs() < tolerance).all()):
            return samples
        _, tangent, _ = cell.stress_and_tangent(zero, 0.0, cell.initial_state((len(samples),)))
        values, vectors = torch.linalg.eigh(tangent)  # their magnitudes: downhill also where the cell is unstable
        along = (vectors.mT @ cell.residual_stress[..., None]) / values.abs().clamp(min=1.0)[..., None]
        strain = -(vectors @ along)[..., 0]
        strain = strain * (largest / strain.norm(dim=-1, keepdim=True)).clamp(max=1.0)
        stretch = stretch_of(strain)
        samples = Samples(samples.positions @ stretch.mT, stretch @ samples.box, samples.bonds)
    raise QuenchFailure("A sample's stress did not relax to zero in 50 Newton steps: choose another seed.")
