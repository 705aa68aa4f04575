"""Random turns of paths: all rotations that a symmetry allows, of which the material notices nothing."""

import pytest
import torch

from prnn_md.data.symmetry import SYMMETRIES, random_turns, turned
from prnn_md.materials import J2, Fibre

SEEDS = [(0, 0, item) for item in range(400)]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_turns_are_rotations_of_their_seeds(symmetry: str) -> None:
    turns = random_turns(symmetry, SEEDS)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(6, dtype=torch.float64).expand(400, 6, 6))
    unit = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(turns @ unit, unit.expand(400, 6))
    assert torch.equal(turns[5:6], random_turns(symmetry, SEEDS[5:6]))
    assert len(turns.flatten(1).unique(dim=0)) == 400


def test_isotropic_turns_are_even() -> None:
    """Of a tensor that is turned evenly, the mean is its spherical part; the standard error is below 0.03."""
    vector = torch.tensor([1.0, -0.5, 0.1, 0.3, -0.2, 0.7], dtype=torch.float64)
    mean = (random_turns("isotropic", SEEDS) @ vector).mean(0)
    torch.testing.assert_close(mean, torch.tensor([0.2, 0.2, 0.2, 0, 0, 0], dtype=torch.float64), rtol=0, atol=0.1)


@pytest.mark.parametrize(("symmetry", "axis"), [("about_x", 0), ("about_y", 1), ("about_z", 2)])
def test_turns_about_an_axis_keep_it_and_reverse_it_half_the_time(symmetry: str, axis: int) -> None:
    turns = random_turns(symmetry, SEEDS)
    along = torch.zeros(6, dtype=torch.float64)
    along[axis] = 1.0
    torch.testing.assert_close(turns @ along, along.expand(400, 6))
    across, other = [component for component in range(3) if component != axis]
    assert turns[:, across, other].max() > 0.9, "a quarter turn"
    along_and_across = [3 + across, 3 + other]  # shears yz, xz, xy have the place of the axis that they do not contain
    reversed_axis = torch.linalg.det(turns[:, along_and_across][:, :, along_and_across]) < 0
    assert 0.4 < reversed_axis.double().mean() < 0.6


@pytest.mark.parametrize(
    ("symmetry", "cell"), [("isotropic", J2()), ("about_y", Fibre(axis=(0, 1, 0), units="epsilon/sigma^3"))]
)
def test_a_material_of_the_symmetry_answers_turned_paths_with_turned_stresses(symmetry: str, cell: J2 | Fibre) -> None:
    generator, times = torch.Generator().manual_seed(1), torch.arange(11.0)
    strain = 0.01 * torch.randn(8, 11, 6, generator=generator, dtype=torch.float64).cumsum(1)
    stress, _ = cell.rollout(strain, times)
    batch = {"strain": strain, "stress": stress, "standard_error": torch.ones_like(stress)}
    found = turned(batch, random_turns(symmetry, SEEDS[:8]))
    assert not torch.allclose(found["strain"], strain)
    torch.testing.assert_close(cell.rollout(found["strain"], times)[0], found["stress"])


def test_errors_turn_as_those_of_independent_components() -> None:
    turns = random_turns("isotropic", SEEDS[:1])
    error = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    draws = error * torch.randn(200_000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blank = torch.zeros(1, 1, 6, dtype=torch.float64)
    batch = {"strain": blank, "stress": blank, "standard_error": error.reshape(1, 1, 6)}
    found = turned(batch, turns)["standard_error"][0, 0]
    torch.testing.assert_close(found, (draws @ turns[0].mT).std(0), rtol=0.01, atol=0)
