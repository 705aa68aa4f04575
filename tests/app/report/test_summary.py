"""Configurations, curves, searches and stresses come out of run folders as they are."""

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from report_study import Study, search

from prnn_md.app.predictions import Predictions
from prnn_md.app.records import RecordError
from prnn_md.app.report.curves import learning_curves, thinned
from prnn_md.app.report.flat_config import flat_config, varied_values, without_derived_seeds
from prnn_md.app.report.importance import importance
from prnn_md.app.report.overlays import overlays, packed
from prnn_md.app.report.runs import find_runs
from prnn_md.app.report.searches import searches
from prnn_md.app.report.summary import summary, table
from prnn_md.mechanics import mandel_weights


def test_a_flat_configuration_names_classes_and_cells(tiny_config: Callable[..., Any]) -> None:
    flat = flat_config(tiny_config("seed=3", "optimizer.lr=0.02", "seeds.data=9"))
    assert (flat["md"], flat["md.j2.count"], flat["model"], flat["optimizer.lr"]) == ("j2", "2", "PRNN", "0.02")
    assert not [key for key in flat if key.endswith("_")]
    own = without_derived_seeds(flat)
    assert {key: value for key, value in own.items() if "seed" in key} == {"seed": "3", "seeds.data": "9"}
    other = flat | {"md.j2.count": "4", "training.patience": "5"}
    del other["encoder.noise"]
    varied = varied_values([flat, flat, other])
    assert {key: values.most_common(1)[0] for key, values in varied.items()}["md.j2.count"] == ("2", 2)
    assert "encoder.noise" not in varied, "it has one value where it is there"


def test_the_table_says_in_what_a_run_differs(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        study.write(tmp_path / str(seed), "prnn", 0.1, seed, optimizer__lr=0.123456789 if seed == 2 else 0.01)
    study.write(tmp_path / "failed", "prnn", 0.1, 5, status="failed")
    rows = {row["name"]: row for row in table(find_runs([tmp_path]))}
    assert [rows[name]["differs"] for name in "012"] == ["", "", "optimizer.lr=0.1235"]
    assert rows["1"]["net_error"] == 0.1
    assert rows["failed"]["net_error"] is None
    assert rows["failed"]["message"] == "CellFailure: the minimisation did not end"


def test_curves_are_thinned_with_their_ends_and_their_lowest_point(study: Study, tmp_path: Path) -> None:
    points = [(i, 1.0 / (i + 1)) for i in range(1000)]
    points[377] = (377, -1.0)
    kept = thinned(points, 50)
    assert len(kept) <= 50
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert points[377] in kept
    folder = study.write(tmp_path / "run", "prnn", 0.1)
    curves = learning_curves(folder, 100)
    assert curves["valid"]["x"] == list(range(61))
    assert curves["train"]["x"] == list(range(1, 61))
    lines = (folder / "metrics.csv").read_text().splitlines()
    assert curves["valid"]["y"][-1] == pytest.approx(float(lines[-1].split(",")[2]), rel=1e-3)


def test_stresses_are_stored_as_tensor_components(finished_run: Path) -> None:
    found = overlays(find_runs([finished_run]))
    [labels] = found["sets"]
    assert [run["set"] for run in found["runs"].values()] == [0, 0]
    predictions = Predictions.load(finished_run / "predictions.h5")
    assert [path["number"] for path in labels["paths"]] == list(predictions.paths)
    for name, stored in (("stress", labels["stress"]), ("trained", found["runs"][0]["trained"])):
        expected = (getattr(predictions, name) / mandel_weights(predictions.stress)).transpose(1, 2)
        assert torch.from_numpy(unpacked(stored)) == pytest.approx(expected, abs=stored["step"])


def unpacked(stored: dict[str, Any]) -> Any:
    counts = np.frombuffer(base64.b64decode(stored["data"]), "<i2").astype(float)
    return np.where(counts == -(2**15), np.nan, counts * stored["step"]).reshape(stored["shape"])


def test_failed_paths_are_kept_apart() -> None:
    values = np.array([[1.0, np.nan], [-3.0, 0.0]])
    assert unpacked(packed(values)) == pytest.approx(values, abs=1e-4, nan_ok=True)
    assert np.isnan(unpacked(packed(np.full((2, 2), np.nan)))).all()


def test_broken_predictions_are_named(study: Study, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "run", "prnn", 0.1)
    (folder / "predictions.h5").write_bytes(b"no HDF5")
    with pytest.raises(RecordError, match=r"predictions\.h5 cannot be read"):
        summary(find_runs([tmp_path]))
    with h5py.File(folder / "predictions.h5", "w") as file:
        file["paths"] = [1]
    with pytest.raises(RecordError, match=r"predictions\.h5 cannot be read"):
        summary(find_runs([tmp_path]))


def test_importance_is_the_share_that_a_parameter_explains() -> None:
    noise = random.Random(0)
    rates = [10 ** noise.uniform(-4, 0) for _ in range(60)]
    kinds = [noise.choice(["a", "b"]) for _ in rates]
    useless = [str(noise.random()) for _ in rates]
    objective = [abs(np.log10(rate) + 2) + 0.5 * (kind == "a") for rate, kind in zip(rates, kinds, strict=True)]
    found = [importance(values, objective) for values in (list(map(str, rates)), kinds, useless)]
    assert found[0] > 0.6 > found[1] > 0.03
    assert found[2] < 0.1
    assert importance(list("aabb"), [0.1, 0.2, 0.3, 0.9]) == pytest.approx(0.7), "1 - (1 / 2) / (5 / 3)"
    assert importance(["a"] * 60, objective) == 0
    assert importance(kinds, [1.0] * 60) == 0
    assert importance([str(k) for k in range(60)], range(60)) > 0.9


def test_a_search_knows_its_parameters_and_trials(study: Study, tmp_path: Path) -> None:
    search(study, tmp_path / "search")
    runs = find_runs([tmp_path])
    [found] = searches(runs)
    kinds = {parameter["name"]: parameter["kind"] for parameter in found["parameters"]}
    assert kinds == {"optimizer.lr": "logarithm", "model.hidden": "number", "training.gradient_clip": "number"}
    assert found["states"] == {"finished": 36, "pruned": 4}
    assert len(found["trials"]) == 40
    for trial in found["trials"]:
        assert runs[trial["run"]].record.folder == tmp_path / "search" / str(trial["number"])
    shares = {parameter["name"]: parameter["importance"] for parameter in found["parameters"]}
    assert shares["optimizer.lr"] > 2 * shares["training.gradient_clip"]
    file = tmp_path / "search" / "sweep.json"
    sweep = json.loads(file.read_text())
    sweep["jobs"][3] |= {"state": "running", "objective": None}
    file.write_text(json.dumps(sweep))
    [found] = searches(runs)
    assert found["states"] == {"finished": 35, "pruned": 4, "running": 1}
    assert len(found["trials"]) == 39, "a job that runs has no objective"


def test_a_sweep_without_a_choice_is_no_search(study: Study, tmp_path: Path) -> None:
    study.write(tmp_path / "0", "prnn", 0.1)
    sweep = {"schema_version": 1, "sweeper": "grid", "words": [], "objective": "valid/error"}
    job = {"number": 0, "words": [], "values": {"seed": "0"}, "state": "finished", "objective": 0.1}
    (tmp_path / "sweep.json").write_text(json.dumps({**sweep, "jobs": [job]}))
    assert searches(find_runs([tmp_path])) == []
