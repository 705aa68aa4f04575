"""Two paths of plasticity along one direction teach a thermodynamic network; writes results/one_dimension.json."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prnn_md.data.dataset import without_noise, write_dataset
from prnn_md.materials import J2

ROOT = Path(__file__).parents[2]
LARGEST_NET_ERROR = 0.05
SPLITS = ["train"] * 2 + ["valid"] * 4 + ["test"] * 14
INCREMENTS, BRANCHES, AMPLITUDE = 400, 24, 0.05
COMMON = ["training.max_epochs=500", "training.patience=500", "dataset.n_train=2", "dataset.n_valid=4"]
MODELS = {  # of about as many parameters
    "TANN, gsm": ["model=tann", "model.variables=4"],
    "TANN, soft": ["model=tann", "model.mode=soft", "model.variables=4", "model.width=38"],
    "feed-forward": ["model=feed_forward", "model.width=53", "model.layers=2"],
    "GRU": ["model=gru", "model.hidden=32", "model.layers=1"],
}


def paths() -> tuple[Tensor, Tensor]:
    """Strains and stresses (20, T+1, 6) of strains to and fro along one direction, turning at random amplitudes."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.tensor([2.0, -1.0, -1.0, 1.0, 1.0, 1.0], dtype=torch.float64) / 3.0
    strains = []
    for _ in SPLITS:
        amplitudes = AMPLITUDE * (0.25 + 0.75 * torch.rand(BRANCHES, generator=generator, dtype=torch.float64))
        signs = torch.tensor([(-1.0) ** k for k in range(BRANCHES)], dtype=torch.float64)
        first = -1.0 if torch.rand(1, generator=generator) < 0.5 else 1.0
        turns = torch.cat([torch.zeros(1, dtype=torch.float64), first * signs * amplitudes])
        length = torch.cat([torch.zeros(1, dtype=torch.float64), turns.diff().abs().cumsum(0)])
        places = torch.linspace(0.0, float(length[-1]), INCREMENTS + 1, dtype=torch.float64)
        after = torch.searchsorted(length, places, right=True).clamp(1, BRANCHES)
        part = (places - length[after - 1]) / (length[after] - length[after - 1])
        strains.append(turns[after - 1] + part * (turns[after] - turns[after - 1]))
    strain = torch.stack(strains)[..., None] * direction
    metal = J2(youngs_modulus=50.0, poissons_ratio=0.38, yield_stress=1.0, hardening_modulus=1.0)
    with torch.no_grad():
        stress, _ = metal.rollout(strain, torch.zeros(INCREMENTS + 1))
    return strain, stress


def trained(name: str, seed: int, file: Path) -> dict[str, Any]:
    """What a finished run recorded; an unfinished one in its folder is continued."""
    folder = ROOT / "outputs" / "acceptance" / "one_dimension" / f"{name.replace(', ', '_')}_{seed}"
    words = [*MODELS[name], *COMMON, f"seed={seed}", f"dataset.path={file}", "dataset.batch_size=2", "compare=[]"]
    words += ["callbacks=quiet", "logger=csv", f"hydra.run.dir={folder}"]
    subprocess.run([sys.executable, str(ROOT / "train.py"), *words], check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return {"words": words[: len(MODELS[name]) + len(COMMON) + 1], **found}


@pytest.mark.acceptance
def test_two_paths_of_one_dimension_are_enough() -> None:
    strain, stress = paths()
    times = torch.linspace(0.0, 1.0, INCREMENTS + 1, dtype=torch.float64).expand(len(SPLITS), -1)
    file = ROOT / "outputs" / "acceptance" / "one_dimension.h5"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    family = ["one dimension"] * len(SPLITS)
    write_dataset(file, without_noise("one_dimension", strain, times, stress, family, SPLITS, "epsilon/sigma^3"))
    runs = {name: [trained(name, seed, file) for seed in range(3)] for name in MODELS}
    errors = {name: [run["metrics"]["test/net_error"] for run in found] for name, found in runs.items()}
    mean = {name: statistics.mean(values) for name, values in errors.items()}
    kept = (
        "words",
        "seed",
        "seeds",
        "trainable_parameters",
        "epochs",
        "best_epoch",
        "metrics",
        "wall_s",
        "commit",
        "versions",
    )
    lines = {name: [{key: run[key] for key in kept} for run in found] for name, found in runs.items()}
    report = {"command": "make acceptance", "net_error": mean, "net_errors": errors, "runs": lines}
    (ROOT / "results" / "one_dimension.json").write_text(json.dumps(report, indent=1) + "\n")
    sizes = [found[0]["trainable_parameters"] for found in runs.values()]
    assert max(sizes) < 1.15 * min(sizes), sizes
    assert mean["TANN, gsm"] <= LARGEST_NET_ERROR
    assert mean["TANN, gsm"] < min(mean["feed-forward"], mean["GRU"])
