"""Make pressure-free glass samples: push-off, melt, quench and relaxation, by our own dynamics."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from prnn_md.md.aqs import AQSCell
from prnn_md.md.failure import CellFailure
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.arrays import padded
from prnn_md.md.kernels.field import compiled_field
from prnn_md.md.kernels.melt import BROKEN, HELD, LOST, NARROW, melt
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.sample import Samples
from prnn_md.md.units import thermal_energy, time_factor
from prnn_md.mechanics import stretch_of

Progress = Callable[[float], None]
"""Is told which part of the work is done, from 0 to 1."""

CHUNKS = 50
REASONS = {
    BROKEN: "a bond broke: choose a smaller timestep or another seed",
    NARROW: "the box became narrower than twice the cutoff: choose more particles",
    LOST: "the dynamics became unstable: choose a smaller timestep",
}


class QuenchFailure(RuntimeError):
    """A sample could not be made."""


@dataclass(frozen=True)
class QuenchProtocol:
    """How a glass is made: push-off, melt at constant volume, quench at zero pressure, relaxation at rest.

    Times in tau or fs, temperatures in epsilon/k_B or K, other numbers in the units of the force field; the defaults
    are those of the bead-spring polymer. The quench goes linearly from `glass_from` to `glass_to` in temperature;
    `friction` (1/time) and `pressure_time` are those of thermostat and barostat, for about that `bulk_modulus`.
    Overlapping particles push as if at the distances `caps`, one after another. LAMMPS makes the reference samples with
    the time step 0.005; `prnn-md cells build` takes 0.01, which BAOAB bears and which halves the time.
    """

    beads_per_chain: int = 20
    density: float = 0.85
    melt_temperature: float = 1.0
    melt_time: float = 1000.0
    glass_from: float = 0.6
    glass_to: float = 0.01
    quench_time: float = 1000.0
    timestep: float = 0.005
    friction: float = 1.0
    pressure_time: float = 2.0
    bulk_modulus: float = 50.0
    caps: tuple[float, ...] = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)
    push_time: float = 5.0
    skin: float = 0.5


def quench(
    start: Samples, force_field: ForceField, seed: int, protocol: QuenchProtocol, progress: Progress | None = None
) -> Samples:
    """The one sample of `start` molten, quenched at zero pressure, at rest and free of stress.

    The force field needs kernels; `seed` fixes the noise. Raises QuenchFailure.
    """
    p, units = protocol, force_field.units
    rng = np.random.default_rng([seed, 1])
    time = time_factor(units)
    field = compiled_field(force_field, start.types)
    x, box = padded(start.positions[0].numpy()), start.box[0].numpy().copy()
    masses = force_field.masses.numpy()[:, None]
    v = padded(rng.standard_normal((len(x), 3)) * np.sqrt(thermal_energy(units, p.melt_temperature) / masses))
    stages = [(p.push_time, 0.2, p.melt_temperature, p.melt_temperature, 0.0, cap) for cap in p.caps]
    stages += [(p.melt_time, 1.0, p.melt_temperature, p.melt_temperature, 0.0, 0.0)]
    stages += [(0.1 * p.melt_time, 1.0, p.glass_from, p.glass_from, p.pressure_time, 0.0)]
    stages += [(p.quench_time, 1.0, p.glass_from, p.glass_to, p.pressure_time, 0.0)]
    counts = [max(1, round(stage[0] / (stage[1] * p.timestep))) for stage in stages]
    done = 0
    for (_, fine, hot, cold, pressure_time, cap), steps in zip(stages, counts, strict=True):
        for part in range(min(CHUNKS, steps)):
            begin, end = part * steps // min(CHUNKS, steps), (part + 1) * steps // min(CHUNKS, steps)
            at = [thermal_energy(units, hot + (cold - hot) * number / steps) for number in (begin, end)]
            numbers = (end - begin, fine * p.timestep * time, p.friction / time, (at[0], at[1]))
            barostat = (pressure_time * time, p.bulk_modulus, cap)
            status = melt(x, v, box, field, p.skin, *numbers, *barostat, rng)
            if status != HELD:
                raise QuenchFailure(f"Sample {seed} could not be made: {REASONS[status]}.")
            done += end - begin
            if progress is not None:
                progress(done / sum(counts))
    cooled = start.moved(torch.from_numpy(x[:, :3].copy())[None], torch.from_numpy(box)[None])
    return relax_stress(cooled, force_field)


def quench_at_constant_volume(
    start: Samples,
    force_field: ForceField,
    seed: int,
    temperatures: list[float],
    stage_time: float,
    timestep: float,
    friction: float,
    progress: Progress | None = None,
) -> Samples:
    """All samples of `start` at once, for any force field: a stage at each of the temperatures, then relaxation.

    Temperatures in epsilon/k_B or K, times in tau or fs. Raises QuenchFailure.
    """
    cell = LangevinCell(
        start,
        force_field,
        temperatures[0],
        timestep,
        friction,
        window=1e-9,  # the stress is of no interest
        equilibration=0.0,
        seed=seed,
        backend="torch",
    )
    state, chunk = cell.initial_state((len(start),)), stage_time / 10.0
    zero = start.box.new_zeros(len(start), 6)
    with torch.no_grad():
        for number, temperature in enumerate(temperatures):
            cell.bath = cell.bath._replace(temperature=thermal_energy(force_field.units, temperature))
            for part in range(10):
                _, state = cell(zero, chunk, state)
                if progress is not None:
                    progress((number + 0.1 * (part + 1)) / len(temperatures))
    return relax_stress(start.moved(state.positions, start.box), force_field)


def chain_bonds(chains: int, length: int) -> torch.Tensor:
    """Bonds (B, 2) of linear chains, numbered along each."""
    first = torch.tensor([i for i in range(chains * length - 1) if (i + 1) % length], dtype=torch.int64)
    return torch.stack([first, first + 1], dim=1)


def relax_stress(samples: Samples, force_field: ForceField, tolerance: float = 1e-9) -> Samples:
    """Strain each sample until all its Biot stresses are below `tolerance`, by Newton steps.

    `tolerance` is in epsilon/sigma^3, or relative to 1000 MPa in other units. Minima are rough at first, and exact once
    stresses are small. Raises QuenchFailure if a sample does not get there.
    """
    zero, largest, exact = torch.zeros(len(samples), 6, dtype=torch.float64), 0.01, False
    for _ in range(200):
        force_tolerance = 1e-10 if exact else 1e-4
        try:
            cell = AQSCell(samples, force_field, force_tolerance=force_tolerance, max_evaluations=1_000_000)
        except (CellFailure, ValueError) as error:  # the latter for a box that became too small
            reason = error.reason if isinstance(error, CellFailure) else str(error).removesuffix(".")
            raise QuenchFailure(f"A sample's stress did not relax to zero: {reason}, or another seed.") from error
        samples = samples.moved(cell.sample_positions, samples.box)
        scale = 1.0 if cell.stress_factor == 1.0 else 1000.0
        stress = cell.residual_stress / scale
        if exact and bool((stress.abs() < tolerance).all()):
            return samples
        exact = exact or bool((stress.abs() < 1e-3).all())
        _, tangent, _ = cell.stress_and_tangent(zero, 0.0, cell.initial_state((len(samples),)))
        near = stress.abs().amax(-1, keepdim=True) < 1e-3
        softest = torch.where(near, 0.01, 1.0)  # far from the goal, soft directions would lead astray
        values, vectors = torch.linalg.eigh(tangent / scale)  # magnitudes: downhill also where a cell is unstable
        along = (vectors.mT @ stress[..., None]) / torch.maximum(values.abs(), softest)[..., None]
        strain = -(vectors @ along)[..., 0]
        strain = strain * (largest / strain.norm(dim=-1, keepdim=True)).clamp(max=1.0)
        stretch = stretch_of(strain)
        samples = samples.moved(samples.positions @ stretch.mT, stretch @ samples.box)
    raise QuenchFailure("A sample's stress did not relax to zero in 200 Newton steps: choose another seed.")
