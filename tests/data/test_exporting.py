"""Exported files hold the numbers of the dataset, in components that their docstrings promise."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prnn_md.data.dataset import ARRAYS, StressStrainData, averaged
from prnn_md.data.exporting import write_csv, write_npz
from prnn_md.data.strain_csv import read_strain_paths
from prnn_md.mechanics import COMPONENTS, from_mandel


@pytest.fixture
def data() -> StressStrainData:
    generator = torch.Generator().manual_seed(0)
    strain = 0.01 * torch.randn(3, 4, 6, dtype=torch.float64, generator=generator)
    strain[:, 0] = 0.0
    times = torch.tensor([0.0, 1.0, 1.5, 4.0], dtype=torch.float64)
    replicas = torch.randn(3, 2, 4, 6, generator=generator)
    uses, ids = ("train", "valid", "test"), [["x", "y"], ["z", "w"], ["v", "u"]]
    return averaged("set", strain, times, replicas, ["a", "b", "a"], uses, "MPa", ids, "s", {"made_by": "hand"})


def test_a_table_holds_tensor_components(data: StressStrainData, tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", data.select([2, 0]), [2, 0])
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["path", "family", "split", "time"]
    assert [row["path"] for row in rows] == ["a_2"] * 4 + ["a_0"] * 4
    assert [(row["family"], row["split"]) for row in rows[::4]] == [("a", "test"), ("a", "train")]
    assert [float(row["time"]) for row in rows[:4]] == [0.0, 1.0, 1.5, 4.0]
    for letter, values in (("E", data.strain), ("T", data.stress)):
        tensor = from_mandel(values[2, 3])
        for name, (i, j) in zip(COMPONENTS, [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)], strict=True):
            assert float(rows[3][f"{letter}_{name}"]) == pytest.approx(tensor[i, j].item(), rel=1e-14)


def test_a_table_can_be_read_as_strain_paths(data: StressStrainData, tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", data, range(3))
    paths = read_strain_paths(tmp_path / "out.csv")
    assert [path.name for path in paths] == ["a_0", "b_1", "a_2"]
    for path, strain in zip(paths, data.strain, strict=True):
        torch.testing.assert_close(path.strain, strain, rtol=1e-14, atol=0)


@pytest.mark.parametrize("count", [0, 2])
def test_an_archive_holds_everything(count: int, data: StressStrainData, tmp_path: Path) -> None:
    if not count:
        none = torch.zeros(3, dtype=torch.int64)
        data = replace(data, replicas=data.replicas[:, :0], replica_count=none, label_ids=((),) * 3)
    write_npz(tmp_path / "out.npz", data)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        for name in (*ARRAYS, "stress_scale"):
            np.testing.assert_array_equal(file[name], getattr(data, name).numpy())
        assert file["family"].tolist() == ["a", "b", "a"]
        assert file["split"].tolist() == ["train", "valid", "test"]
        assert file["label_ids"].tolist() == [list(ids) for ids in data.label_ids]
        assert [str(file[name]) for name in ("name", "units", "time_unit")] == ["set", "MPa", "s"]
        assert file["components"].tolist() == list(COMPONENTS)
        assert json.loads(str(file["provenance"])) == {"made_by": "hand"}
