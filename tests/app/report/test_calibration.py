"""Intervals by the spread over seeds hold what they promise where labels are one more draw, and not elsewhere."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from report_study import Study

from prnn_md.app.records import RecordError
from prnn_md.app.report.calibration import LEVELS, calibrations
from prnn_md.app.report.groups import distinct, seed_groups
from prnn_md.app.report.runs import find_runs


def write(study: Study, place: Path, seeds: int, spread: float, shared: float = 0.0) -> list[dict]:
    """Calibrations of runs around the labels: `spread` is their own deviation, `shared` that of all, in scales."""
    common = np.random.default_rng(99).normal(size=study.labels.stress.shape)
    for seed in range(seeds):
        folder, own = study.write(place / str(seed), "prnn", 0.1, seed), np.random.default_rng(seed)
        with h5py.File(folder / "predictions.h5", "r+") as file:
            label, error, scale = (file[name][()] for name in ("stress", "standard_error", "stress_scale"))
            off = spread * own.normal(size=label.shape) + shared * common
            file["trained"][...] = label + scale * off
            file["standard_error"][...] = 0.0 * error
    return calibrations(seed_groups(distinct(find_runs([place]))))


@pytest.mark.parametrize("seeds", [3, 8])
def test_intervals_hold_what_they_promise_where_the_label_is_one_more_draw(
    seeds: int, study: Study, tmp_path: Path
) -> None:
    (found,) = write(study, tmp_path, seeds, spread=0.2, shared=0.2)  # a shared part of the size of the own one
    assert found["runs"] == seeds
    np.testing.assert_allclose(found["shares"], LEVELS, atol=0.02)
    assert found["spread"] == pytest.approx(0.2, rel=0.02)
    assert found["error"] == pytest.approx(0.2 * np.sqrt(1 + 1 / seeds), rel=0.02)
    assert found["floor"] == 0


def test_a_mistake_that_all_make_is_seen(study: Study, tmp_path: Path) -> None:
    (found,) = write(study, tmp_path, 5, spread=0.02, shared=0.2)
    assert found["shares"][LEVELS.index(0.95)] < 0.5


def test_the_noise_of_labels_widens_the_intervals(study: Study, tmp_path: Path) -> None:
    write(study, tmp_path, 4, spread=0.02, shared=0.2)
    for file in tmp_path.glob("*/predictions.h5"):
        with h5py.File(file, "r+") as content:
            content["standard_error"][...] = np.broadcast_to(0.2 * content["stress_scale"][()], content["stress"].shape)
    (found,) = calibrations(seed_groups(distinct(find_runs([tmp_path]))))
    assert found["shares"][LEVELS.index(0.5)] > 0.5
    assert found["floor"] == pytest.approx(0.2)


def test_two_runs_other_labels_and_failed_paths_do_not_count(study: Study, tmp_path: Path) -> None:
    assert write(study, tmp_path / "two", 2, spread=0.2) == []
    write(study, tmp_path / "four", 4, spread=0.2, shared=0.2)
    groups = seed_groups(distinct(find_runs([tmp_path / "four"])))
    with h5py.File(tmp_path / "four" / "0" / "predictions.h5", "r+") as file:
        file["trained"][0] = np.nan
    assert np.isfinite(calibrations(groups)[0]["error"])
    with h5py.File(tmp_path / "four" / "3" / "predictions.h5", "r+") as file:
        file["stress"][0, 1] += 1.0
    assert calibrations(groups)[0]["runs"] == 3
    (tmp_path / "four" / "2" / "predictions.h5").write_bytes(b"")
    with pytest.raises(RecordError, match=r"2/predictions\.h5 cannot be read"):
        calibrations(groups)
