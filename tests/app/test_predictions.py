"""Predictions come back from their file as they went in."""

from dataclasses import fields
from pathlib import Path

import h5py
import torch

from prnn_md.app.predictions import Predictions


def made_up() -> Predictions:
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(3, 5, 6, generator=generator, dtype=torch.float64) for _ in range(5)]
    return Predictions(
        label="PRNN",
        units="MPa",
        paths=(4, 7, 9),
        family=("a", "b", "a"),
        times=torch.linspace(0, 1, 5),
        stress_scale=torch.ones(6),
        strain=values[0],
        stress=values[1],
        standard_error=values[2].abs(),
        untrained=values[3],
        trained=values[4],
        untrained_failed=torch.tensor([True, True, False]),
        failed=torch.tensor([False, True, False]),
    )


def test_round_trip(tmp_path: Path) -> None:
    before = made_up()
    before.save(tmp_path / "predictions.h5")
    after = Predictions.load(tmp_path / "predictions.h5")
    for field in fields(Predictions):
        old, new = getattr(before, field.name), getattr(after, field.name)
        assert torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new, field.name
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.h5"]
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert file.attrs["components"] == "xx,yy,zz,yz,xz,xy"
