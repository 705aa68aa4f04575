"""Our dynamics and those of LAMMPS agree on the same samples; the study in benchmarks/ does the same at length."""

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from prnn_md.md.force_field import ForceField
from prnn_md.md.glass import PROTOCOL, glass_force_field, quench_glass
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.md.sample import Samples

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDY = SimpleNamespace(**runpy.run_path(str(BENCHMARKS / "lammps_comparison"), run_name="study"))


def polymer() -> tuple[Samples, ForceField]:
    samples = load_library("polymer_80_a")[0][5:6]
    return samples, polymer_force_field(samples)


def glass() -> tuple[Samples, ForceField]:
    quick = replace(PROTOCOL, push_time=0.5, melt_time=5.0, quench_time=10.0, timestep=0.01)
    sample = quench_glass(300, 1, quick)
    return sample, glass_force_field(sample)


@pytest.mark.parametrize(("system", "shear", "increments"), [(polymer, 0.04, 16), (glass, 0.06, 40)])
def test_sheared_samples_follow_lammps_until_the_first_plastic_event(
    system: Callable[[], tuple[Samples, ForceField]], shear: float, increments: int
) -> None:
    sample, force_field = system()
    curve = STUDY.athermal.curve_of_both(sample, force_field, STUDY.athermal.shear_path("xy", shear, increments), 1e-6)
    same = slice(curve["first_event"])
    ours, peer = curve["ours"][same], curve["lammps"][same]
    assert 4 < len(ours) <= increments, "the event comes late enough, and does come"
    assert (ours - peer).abs().max() < 1e-4 * STUDY.athermal.shear_stress(ours, "xy").std()


def test_cells_at_rest_have_the_temperature_of_their_bath_and_the_mean_stress_of_lammps() -> None:
    temperature, samples = 0.05, load_library("polymer_80_a")[0][:4]
    settings = STUDY.thermal.Settings(friction=5.0, equilibration=5.0, blocks=128)
    (ours, stress), (peer, expected) = (
        held(samples, temperature, settings) for held in (STUDY.thermal.held_by_us, STUDY.thermal.held_by_lammps)
    )
    assert ours.mean() == pytest.approx(temperature, rel=0.01)
    assert peer.mean() == pytest.approx(temperature, rel=0.01)
    errors = torch.stack([STUDY.thermal.block_error(series, 16) for series in (stress, expected)])
    difference = (stress - expected).mean((0, 1))
    assert errors.max() < 0.03 * expected[..., :3].mean().abs(), "the error bars are short"
    assert (difference.abs() < 3.0 * errors.norm(dim=0)).all()


def test_the_study_bears_out_its_claims() -> None:
    report = json.loads((BENCHMARKS.parent / "results/lammps_comparison/comparison.json").read_text())
    parts = report["parts"]
    assert set(parts) == {"athermal", "thermal", "rates"}
    assert not any(part["quick"] for part in parts.values())
    verdicts = STUDY.verdicts(report)
    assert verdicts == report["verdicts"]
    assert all(verdicts.values()), verdicts
    for found in parts["athermal"]["results"]["systems"].values():
        assert min(found["events"].values()) >= 20
        assert np.median(found["first_events"]) > 3
    assert max(row["rate"] for row in parts["rates"]["results"]["rows"]) >= 100 * parts["rates"]["settings"]["rates"][0]
