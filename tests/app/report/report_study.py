"""Runs in the format of real ones, made of a finished run and its GRU that are copied and given other numbers."""

import json
import math
import random
import re
import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import h5py
import torch
import yaml

from prnn_md.app.predictions import Predictions
from prnn_md.data.path_families import FAMILIES
from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.materials.j2 import J2
from prnn_md.training.seeding import resolve_seeds

SEARCH = [
    "optimizer.lr=tag(log, interval(1e-4, 1e-1))",
    "model.hidden=8,16,32",
    "training.gradient_clip=interval(0, 1)",
]


class Study:
    """Writes runs that look like those of a real study, with labels on the test paths; `place` is for a template."""

    def __init__(self, bases: dict[str, Path], labels: Predictions, place: Path) -> None:
        self.labels, self.predictions = labels, place / "predictions.h5"
        self.configs = {model: yaml.safe_load((base / "config.yaml").read_text()) for model, base in bases.items()}
        self.results = {model: json.loads((base / "result.json").read_text()) for model, base in bases.items()}
        labels.save(self.predictions)

    def write(
        self,
        folder: Path,
        model: str,
        error: float,
        seed: int = 0,
        n_train: int = 4,
        status: str = "finished",
        **keys: Any,
    ) -> Path:
        """A run of "prnn" or "gru" with that net error; `keys` are values in its configuration, with __ for dots."""
        folder.mkdir(parents=True)
        noise = random.Random(f"{folder.name} {model} {seed}")
        config = self._config(model, seed, {"dataset__n_train": n_train, **keys})
        (folder / "config.yaml").write_text(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False))
        result = deepcopy(self.results[model])
        result |= {"seed": seed, "seeds": config["seeds"], "n_train": n_train, "status": status}
        result["metrics"] |= _metrics(error)
        result["error"] = "CellFailure: the minimisation did not end" if status == "failed" else None
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "metrics.csv").write_text(_curve(error, noise))
        if status == "finished":
            self._write_predictions(folder / "predictions.h5", error, noise.randrange(2**31))
        return folder

    def _config(self, model: str, seed: int, keys: dict[str, Any]) -> dict[str, Any]:
        config = deepcopy(self.configs[model])
        for key, value in keys.items():
            *parts, name = key.split("__")
            node = config
            for part in parts:
                node = node[part]
            node[name] = value
        config |= {"seed": seed, "seeds": resolve_seeds(seed)}
        config["dataset"]["seed"] = config["seeds"]["data"]
        config["model"]["seed"] = config["seeds"]["model"]
        return config

    def _write_predictions(self, path: Path, error: float, seed: int) -> None:
        """The labels with the prediction replaced by one that drifts away from them."""
        labels, generator = self.labels, torch.Generator().manual_seed(seed)
        drift = torch.randn(labels.stress.shape, generator=generator, dtype=torch.float64).cumsum(1) / 8
        shutil.copyfile(self.predictions, path)
        with h5py.File(path, "r+") as file:
            file["trained"][...] = (labels.stress * (1 - 0.2 * error) + error * labels.stress_scale * drift).numpy()


def _metrics(error: float) -> dict[str, float]:
    floor = 0.075
    return {
        "test/net_error": error,
        "test/net_low": 0.85 * error,
        "test/net_high": 1.15 * error,
        "test/error": math.hypot(error, floor),
        "label/floor": floor,
        "valid/error": 0.95 * math.hypot(error, floor),
    }


def _curve(error: float, noise: random.Random) -> str:
    lines = ["epoch,train/error,valid/error"]
    for epoch in range(-1, 60):
        rest = (1.1 - error) * math.exp(-(epoch + 1) / 12)
        train = "" if epoch < 0 else str(0.8 * error + rest + noise.gauss(0, 0.01))
        lines.append(f"{epoch},{train},{error + rest + abs(noise.gauss(0, 0.01))}")
    return "\n".join(lines) + "\n"


def labels_of_a_test_set() -> Predictions:
    """Twenty-four test paths of sixty increments of an elastoplastic material."""
    kinds = list(FAMILIES)[:3]
    strain = torch.cat([sample_paths(family, 8, 1, PathOptions(increments=60))[0] for family in kinds])
    times = torch.linspace(0, 1, 61, dtype=torch.float64)
    stress, _ = J2(yield_stress=1.0, hardening_modulus=5.0).rollout(strain, times)
    stress = stress.detach()
    return Predictions(
        label="PRNN",
        units="epsilon/sigma^3",
        paths=tuple(range(24)),
        family=tuple(name for name in kinds for _ in range(8)),
        times=times.expand(24, 61),
        stress_scale=stress.flatten(0, 1).std(0),
        strain=strain,
        stress=stress,
        standard_error=0.05 * stress.abs().amax(1, keepdim=True).expand_as(stress),
        untrained=0.8 * stress,
        trained=stress,
        untrained_failed=torch.zeros(24, dtype=torch.bool),
        failed=torch.zeros(24, dtype=torch.bool),
    )


def grid(study: Study, folder: Path) -> None:
    """80 runs: two models, four numbers of training paths, ten seeds."""
    noise, jobs = random.Random(1), []
    for seed in range(10):
        luck = noise.gauss(0, 0.02)
        for n_train in (2, 4, 8, 16):
            for model, error in (("prnn", 0.13 + 0.05 / n_train), ("gru", 0.3 + 1.1 / n_train)):
                found = error * (1 + luck + noise.gauss(0, 0.05))
                study.write(folder / str(len(jobs)), model, found, seed, n_train)
                jobs.append(_job(jobs, {"model": model, "dataset.n_train": n_train, "seed": seed}, found))
    _write_sweep(folder, "grid", ["model=prnn,gru", "dataset.n_train=2,4,8,16", "seed=range(0,10)"], jobs)


def cells(study: Study, folder: Path) -> None:
    """79 runs: one to four cells, and twenty seeds, but for one job that still waits."""
    noise, jobs = random.Random(2), []
    for seed in range(20):
        luck = noise.gauss(0, 0.02)
        for count in (1, 4, 8, 16):
            values = {"md.j2.count": count, "seed": seed}
            if len(jobs) == 79:
                jobs.append(_job(jobs, values, None, "waiting"))
                continue
            found = 0.11 + 0.2 / count + luck + noise.gauss(0, 0.01)
            study.write(folder / str(len(jobs)), "prnn", found, seed, md__j2__count=count)
            jobs.append(_job(jobs, values, found))
    _write_sweep(folder, "grid", ["md.j2.count=1,4,8,16", "seed=range(0,20)"], jobs)


def search(study: Study, folder: Path) -> None:
    """40 trials of a search, of which four were pruned: the learning rate matters, clipping does not."""
    noise, jobs = random.Random(3), []
    for number in range(40):
        rate, hidden, clip = 10 ** noise.uniform(-4, -1), noise.choice([8, 16, 32]), noise.uniform(0.01, 1)
        found = 0.3 + 0.1 * (math.log10(rate) + 2.3) ** 2 + 0.8 / hidden + noise.gauss(0, 0.03)
        state = "pruned" if number % 10 == 9 else "finished"
        keys = {"optimizer__lr": rate, "model__hidden": hidden, "training__gradient_clip": clip}
        status = {"finished": "finished", "pruned": "interrupted"}[state]
        study.write(folder / str(number), "gru", found, number, status=status, **keys)
        jobs.append(_job(jobs, {key.replace("__", "."): value for key, value in keys.items()}, found, state))
    _write_sweep(folder, "optuna", SEARCH, jobs)


def _job(before: Sequence[Any], values: dict[str, Any], error: float | None, state: str = "finished") -> dict[str, Any]:
    texts = {key: str(value) for key, value in values.items()}
    words = [f"{key}={value}" for key, value in texts.items()]
    return {"number": len(before), "words": words, "values": texts, "state": state, "objective": error}


def _write_sweep(folder: Path, sweeper: str, words: list[str], jobs: list[dict[str, Any]]) -> None:
    content = {"schema_version": 1, "sweeper": sweeper, "words": words, "objective": "valid/error", "jobs": jobs}
    (folder / "sweep.json").write_text(json.dumps(content))


def content(file: Path) -> dict[str, Any]:
    """What the page has as data."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', file.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])
