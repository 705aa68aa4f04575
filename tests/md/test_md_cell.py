"""What all MD cells have in common: numbers of single precision, and what their checkpoints hold."""

from typing import Any

import pytest
import torch
from torch import Tensor

from prnn_md.md.aqs import AQSCell
from prnn_md.md.crystals import FCC, crystal
from prnn_md.md.force_field import ForceField
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.library import load_library
from prnn_md.md.md_cell import MDCell
from prnn_md.md.neighbours import Neighbours
from prnn_md.md.overdamped import OverdampedCell
from prnn_md.md.polymer import polymer_force_field
from prnn_md.mechanics import LJ

KINDS = pytest.mark.parametrize(
    ("kind", "options"),
    [(AQSCell, {}), (OverdampedCell, {}), (LangevinCell, {"temperature": 0.01, "equilibration": 0.05})],
    ids=["aqs", "overdamped", "langevin"],
)


def polymer(kind: type[MDCell], options: dict[str, Any], **more: Any) -> MDCell:
    samples = load_library("polymer_80_a")[0][:2]
    return kind(samples, polymer_force_field(samples), **options, **more)


def answer(cell: MDCell) -> tuple[Tensor, Tensor]:
    """Stresses along a shear path, and the gradient of their sum."""
    strains = torch.zeros(1, cell.count, 3, 6, dtype=cell.sample_box.dtype)
    strains[..., 5] = torch.tensor([0.0, 0.002, 0.004])
    strains.requires_grad_()
    stresses, _ = cell.rollout(strains, torch.linspace(0.0, 0.04, 3))
    return stresses, torch.autograd.grad(stresses.sum(), strains)[0]


class Repulsion(torch.nn.Module):
    """An energy of one's own, 2 (1.5 - r)^3 between particles nearer than 1.5."""

    cutoff = 1.5

    def forward(self, positions: Tensor, box: Tensor, types: Tensor, neighbours: Neighbours) -> Tensor:
        near = (1.5 - neighbours.vectors(positions, box).norm(dim=-1)).clamp(min=0.0)
        return torch.zeros(len(positions), dtype=near.dtype).index_add(0, neighbours.cell, 2.0 * near**3)


@KINDS
def test_an_energy_of_ones_own_is_the_material_of_a_cell(kind: type[MDCell], options: dict[str, Any]) -> None:
    samples = crystal(FCC, 1.6, 3)
    cell = kind(samples, ForceField({"own": Repulsion()}, torch.ones(108), LJ), **options)
    assert not cell.compiled
    stresses, gradient = answer(cell)
    assert stresses[0, 0, -1, 5] > 0.0
    assert gradient[0, 0, -1, 5] > 0.0


@KINDS
def test_cells_work_in_single_precision(kind: type[MDCell], options: dict[str, Any]) -> None:
    exact, exact_gradient = answer(polymer(kind, options))
    single, gradient = answer(polymer(kind, options, backend="torch").float())
    assert single.dtype == gradient.dtype == torch.float32
    assert (single - exact).abs().max() < 5e-3 * exact.abs().max()
    assert (gradient - exact_gradient).abs().max() < 2e-2 * exact_gradient.abs().max()


@KINDS
def test_kernels_refuse_single_precision(kind: type[MDCell], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="kernels run on the processor and in float64"):
        answer(polymer(kind, options, backend="kernel").float())


@KINDS
def test_a_checkpoint_holds_what_was_trained_and_nothing_else(kind: type[MDCell], options: dict[str, Any]) -> None:
    """So that everything else of a cell can be changed after training."""
    assert not polymer(kind, options).state_dict()
    names = polymer(kind, options, trainable=["epsilon"]).state_dict()
    assert {name.split(".")[-1] for name in names} == {"epsilon"}
