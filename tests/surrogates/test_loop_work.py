"""Work around a closed loop of strain: none with a decoder tied to the encoder, some with a dense one."""

from functools import partial

import torch

from prnn_md.md.aqs import AQSCell
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.surrogates import PRNN, FreeEncoder, HillMandelDecoder, SoftplusDecoder

RADIUS = 2e-4


def loop(points, radius):
    """A closed polygon (points + 1, 6) through zero that encloses an area between two shear strains."""
    angle = torch.linspace(0, 2 * torch.pi, points + 1, dtype=torch.float64)
    path = torch.zeros(points + 1, 6, dtype=torch.float64)
    path[:, 5], path[:, 4] = radius * (1 - angle.cos()), radius * angle.sin()
    return path


def relative_work(model, path):
    """|integral of T dE| over integral of |T dE|, by Gauss quadrature on every straight piece of the path."""
    nodes = torch.tensor([0.5 - 15**0.5 / 10, 0.5, 0.5 + 15**0.5 / 10], dtype=torch.float64)
    weights = torch.tensor([5.0, 8.0, 5.0], dtype=torch.float64) / 18
    steps = path.diff(dim=0)
    inner = (path[:-1, None] + nodes[:, None] * steps[:, None]).flatten(0, 1)
    strains = torch.cat([path[:1], inner])
    with torch.no_grad():
        stress = model.rollout(strains, torch.zeros(len(strains)))[0][1:].unflatten(0, (len(steps), 3))
    work = torch.einsum("tgi,ti,g->t", stress, steps, weights)
    return (work.sum().abs() / work.abs().sum()).item()


def prnn(decoder):
    samples = load_library("polymer_80_a")[0][:4]
    cells = AQSCell(samples, polymer_force_field(samples), force_tolerance=1e-10)
    return PRNN(partial(FreeEncoder, noise=0.3), decoder, {"polymer": cells}, seed=5)


def test_the_loop_lies_in_the_elastic_range():
    """Forward, then back the same way: every cell answers the same at the same strain, and all beads return."""
    model, path = prnn(HillMandelDecoder), loop(60, RADIUS)
    cell, local = model.cells["polymer"], model.encoder(torch.cat([path, path.flip(0)])).transpose(0, 1)
    start = cell.initial_state((4,)).positions
    with torch.no_grad():
        stresses, state = cell.rollout(local, torch.zeros(len(local[0])))
        _, halfway = cell.rollout(local[:, :31], torch.zeros(31))
    torch.testing.assert_close(stresses, stresses.flip(1), rtol=0, atol=1e-7)
    torch.testing.assert_close(state.positions, start, rtol=0, atol=1e-7)
    assert local.norm(dim=-1).amax(-1).min() > RADIUS, "every cell feels the loop"
    assert (halfway.positions - start).abs().amax((1, 2)).min() > 1e-5, "and its beads follow"


def test_hill_mandel_conserves_energy_and_softplus_does_not():
    """The tied decoder makes T the gradient of a sum of cell energies, so that a loop inside the elastic range
    gives all work back. The dense one weighs stresses without regard to the strains that the encoder gave the
    cells: its tangent is not symmetric, and every loop creates or destroys energy."""
    path = loop(60, RADIUS)
    tied, dense = prnn(HillMandelDecoder), prnn(SoftplusDecoder)
    assert relative_work(tied, path) <= 1e-6
    assert relative_work(dense, path) > 1e-2
    symmetry = []
    for model in (tied, dense):
        _, tangent, _ = model.stress_and_tangent(path[7:8], 0.0, model.initial_state((1,)))
        symmetry.append(((tangent - tangent.mT).norm() / tangent.norm()).item())
    assert symmetry[0] <= 1e-8
    assert symmetry[1] > 1e-2
