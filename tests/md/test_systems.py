"""Every system is at rest and free of stress, the same for the same seed, and made only once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prnn_md.md import crystals
from prnn_md.md.aqs import AQSCell
from prnn_md.md.crystals import argon_cells, silicon_cells
from prnn_md.md.glass import glass_cells
from prnn_md.md.md_cell import MDCell
from prnn_md.md.polyethylene import polyethylene_cells
from prnn_md.md.prepared import prepared_library
from prnn_md.md.sample import Samples

DALTON = 1.66053907  # g/cm^3 of one g/mol per cubic angstrom


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of their own for all tests, and quenches of silicon that are done in no time."""
    monkeypatch.setattr("prnn_md.md.prepared.cache_folder", lambda: tmp_path)
    monkeypatch.setattr(crystals, "QUENCH", [3500.0, 1000.0, 100.0])
    monkeypatch.setattr(crystals, "STAGE", (50.0, 2.0, 0.01))
    return tmp_path


SYSTEMS: dict[str, tuple[Callable[..., MDCell], float]] = {  # density in particles per volume, at no temperature
    "glass": (lambda: glass_cells(count=1, quench_time=5.0), 1.20),
    "polyethylene": (lambda: polyethylene_cells(chains=2, count=1, quench_time=1e4), 0.037),
    "argon": (lambda: argon_cells(), 0.0267),
    "silicon crystal": (lambda: silicon_cells("crystal", count=1), 8 / 5.431**3),
    "amorphous silicon": (lambda: silicon_cells(count=1), 0.0495),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_free_of_stress_at_about_its_density_and_elastically_stable(name: str) -> None:
    build, density = SYSTEMS[name]
    cell = build()
    scale = 1.0 if cell.stress_factor == 1.0 else 1000.0
    assert cell.residual_stress.abs().max() < 1e-6 * scale
    assert cell.types.numel() / float(torch.linalg.det(cell.sample_box[0])) == pytest.approx(density, rel=0.1)
    strain = torch.zeros(1, 6, dtype=torch.float64)
    _, tangent, _ = cell.stress_and_tangent(strain, 0.0, cell.initial_state((1,)))
    torch.testing.assert_close(tangent, tangent.mT, rtol=1e-6, atol=1e-6 * float(tangent.abs().max()))
    assert torch.linalg.eigvalsh(tangent[0]).min() > 0.0


def test_the_tolerance_suits_real_units() -> None:
    """Chains with stiff bonds are at the minimum with the tolerance that is the default there."""
    samples, force_field = build_polyethylene()
    strains = torch.zeros(1, 1, 3, 6, dtype=torch.float64)
    strains[..., 0] = torch.tensor([0.0, 0.001, 0.002])
    stresses = [
        AQSCell(samples, force_field, tolerance, max_evaluations=200_000).rollout(strains, torch.zeros(3))[0]
        for tolerance in (None, 1e-8)
    ]
    assert stresses[1].abs().max() > 1.0
    torch.testing.assert_close(stresses[0], stresses[1], rtol=0.02, atol=0.02 * float(stresses[1].abs().max()))


def build_polyethylene() -> tuple[Samples, torch.nn.Module]:
    cell = SYSTEMS["polyethylene"][0]()
    bonds = cell.force_field.terms["bonds"].members
    return Samples(cell.sample_positions, cell.sample_box, bonds, cell.types), cell.force_field


def test_the_same_seed_gives_the_same_sample_and_another_one_another(cache: Path) -> None:
    first, other = (silicon_cells(count=1, seed=seed) for seed in (1, 2))
    assert not torch.equal(first.sample_positions, other.sample_positions)
    files = list(cache.glob("silicon-*/*.h5"))
    assert len(files) == 2
    for file in files:
        file.unlink()
    assert torch.equal(silicon_cells(count=1, seed=1).sample_positions, first.sample_positions)


def test_a_library_that_was_interrupted_goes_on_where_it_was(cache: Path) -> None:
    made: list[int] = []

    def make(number: int, report: Callable[[float], None]) -> Samples:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(number)
        report(0.5)
        return Samples(torch.full((1, 1, 3), float(number)).double(), torch.eye(3, dtype=torch.float64)[None] * 9)

    with pytest.raises(KeyboardInterrupt):
        prepared_library("toy", {"of": "a test"}, 4, 7, make)
    before, made[:] = list(made), []
    first = prepared_library("toy", {"of": "a test"}, 3, 7, make)
    assert len(made) == 1 and not set(made) & set(before)
    assert first.positions[:, 0, 0].tolist() == [*before, *made]
    assert prepared_library("toy", {"of": "another"}, 1, 7, lambda number, report: first[:1]).positions.numel() == 3
