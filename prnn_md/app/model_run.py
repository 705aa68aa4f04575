"""One model of a run: judged untrained, fitted, judged again, drawn, and recorded in its folder."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import nan
from pathlib import Path

import torch
from torch import Tensor

from prnn_md.app.building import build_module, input_files
from prnn_md.app.comparison import Row, row
from prnn_md.app.composition import Config
from prnn_md.app.evaluation import errors, kept_for_a_restart, predicted_stress
from prnn_md.app.figures import draw_all
from prnn_md.app.fitting import fit
from prnn_md.app.further_tests import further_metrics
from prnn_md.app.instantiation import build
from prnn_md.app.ledger import Ledger
from prnn_md.app.metrics_log import MetricsLog, RunLogger, read_metrics
from prnn_md.app.predictions import Predictions
from prnn_md.data.datamodule import PathDataModule
from prnn_md.statistics import noise_floor, relative_error
from prnn_md.surrogates import PRNN
from prnn_md.training.callbacks import UNTRAINED, BestCheckpoint
from prnn_md.training.module import SurrogateModule, load_weights
from prnn_md.training.ranks import Ranks

Answer = tuple[Tensor, Tensor]
"""Stress (paths, T+1, 6) along the test paths, and which of them failed (paths,)."""


@contextmanager
def run_loggers(config: Config, ledger: Ledger) -> Iterator[list[RunLogger]]:
    """The loggers beside metrics.csv, closed whatever happens; the W&B id goes to the ledger."""
    new_id = secrets.token_hex(4) if config["logger"]["_target_"].endswith("wandb_log") else None
    run_id = ledger.result.get("wandb_id") or new_id
    ledger.record(wandb_id=run_id)  # first, so that a kill before the logger is there does not lead to two W&B runs
    loggers: list[RunLogger] = build(config["logger"])(folder=ledger.folder, config=config, run_id=run_id)
    failed = True
    try:
        yield loggers
        failed = False
    finally:
        for logger in loggers:
            logger.close(failed)


def train_and_judge(
    config: Config, data: PathDataModule, ledger: Ledger, loggers: list[RunLogger], ranks: Ranks | None = None
) -> list[Row]:
    """The rows of the untrained and the trained model; what an earlier start has done is not done again.

    Other `ranks` take part in the training only.
    """
    if "rows" not in ledger.result:
        indices = {"train": data.train_indices, "valid": data.valid_indices, "test": data.test_indices}
        parts = [(part.times.diff(), part.strain.norm(dim=-1).max()) for part in data.training_chunks()]
        ledger.record(
            paths={split: list(found) for split, found in indices.items()},
            **{f"n_{split}": len(found) for split, found in indices.items()},
            largest_strain=max(norm.item() for _, norm in parts),
            time_steps=[min(steps.min().item() for steps, _ in parts), max(steps.max().item() for steps, _ in parts)],
        )
        _judge(config, data, ledger, loggers, ranks)
    rows: list[Row] = ledger.result["rows"]
    return rows


def _judge(config: Config, data: PathDataModule, ledger: Ledger, loggers: list[RunLogger], ranks: Ranks | None) -> None:
    """Evaluate, fit and evaluate again on the test paths; record, save and draw what comes out."""
    module = build_module(config, data)
    trainable = sum(weights.numel() for weights in module.cell.parameters() if weights.requires_grad)
    ledger.record(trainable_parameters=trainable, files=input_files(config, data))
    with _timed(ledger, "untrained"):
        file = ledger.folder / "checkpoints" / "untrained_test.pt"
        untrained = kept_for_a_restart(file, lambda: _on_test(config, module, data, "untrained"))
    _further_tests(config, module, data, ledger, trained=False)
    with _timed(ledger, "training"):
        _fit(config, data, ledger, module, loggers, ranks)
    with _timed(ledger, "test"):
        trained = untrained
        if ledger.result["best_epoch"] != UNTRAINED:
            trained = _on_test(config, module, data, "trained")
    _further_tests(config, module, data, ledger, trained=True)
    rows = _record_errors(config, data, ledger, untrained, trained)
    with _timed(ledger, "drawing"):
        _save_and_draw(config, data, ledger, module, loggers, (untrained, trained))
    ledger.record(rows=rows)


def _further_tests(
    config: Config, module: SurrogateModule, data: PathDataModule, ledger: Ledger, trained: bool
) -> None:
    """Record the errors in the tests beside the test paths, unless an earlier start has."""
    state, tested = "trained" if trained else "untrained", ledger.result.get("tested", [])
    if state not in tested:
        with _timed(ledger, "further_tests"):
            metrics = further_metrics(config, module.cell, data, trained)
        ledger.record(metrics=metrics, tested=[*tested, state])


def _on_test(config: Config, module: SurrogateModule, data: PathDataModule, which: str) -> Answer:
    what = f"{config['label']} {which}, test"
    chunk = config["dataset"]["batch_size"]
    return predicted_stress(module.cell, data.test_data, chunk, what, str(data.file), data.test_indices)


def _fit(
    config: Config,
    data: PathDataModule,
    ledger: Ledger,
    module: SurrogateModule,
    loggers: list[RunLogger],
    ranks: Ranks | None,
) -> None:
    """Give the module the weights with the least validation error, by training unless that is done already."""
    if not ledger.result.get("trained"):
        trainer, best = fit(config, ledger.folder, data, module, [MetricsLog(ledger.folder), *loggers], ranks)
        valid = data.valid_data
        metrics = {
            "valid/error": best.best_score,
            "valid/floor": noise_floor(valid.standard_error, data.stress_scale),
        }
        ledger.record(trained=True, epochs=trainer.current_epoch, best_epoch=best.best_epoch, metrics=metrics)
    load_weights(module, BestCheckpoint(ledger.folder / "checkpoints").best_model_path)


def _record_errors(
    config: Config, data: PathDataModule, ledger: Ledger, untrained: Answer, trained: Answer
) -> list[Row]:
    test, label = data.test_data, config["label"]
    before, after = errors(*untrained, test), errors(*trained, test)
    metrics = {f"test/{name}": value for name, value in asdict(after).items() if name != "floor"}
    metrics |= {f"untrained/{name}": value for name, value in asdict(before).items() if name != "floor"}
    metrics["test/zero_error"] = relative_error(torch.zeros_like(test.stress), test.stress, test.stress_scale)
    metrics |= {"untrained/failed": float(untrained[1].sum()), "test/failed": float(trained[1].sum())}
    ledger.record(metrics=metrics | {"label/floor": after.floor})
    return [row(f"{label} untrained", 0, before), row(f"{label} trained", len(data.train_indices), after)]


def _save_and_draw(
    config: Config,
    data: PathDataModule,
    ledger: Ledger,
    module: SurrogateModule,
    loggers: list[RunLogger],
    answers: tuple[Answer, Answer],
) -> None:
    test = data.test_data
    (untrained, untrained_failed), (trained, failed) = answers
    predictions = Predictions(
        label=config["label"],
        units=data.units,
        paths=data.test_indices,
        family=test.family,
        times=test.times,
        stress_scale=test.stress_scale,
        strain=test.strain,
        stress=test.stress,
        standard_error=test.standard_error,
        untrained=untrained,
        trained=trained,
        untrained_failed=untrained_failed,
        failed=failed,
    )
    predictions.save(ledger.folder / "predictions.h5")
    localisation = module.cell.localisation() if isinstance(module.cell, PRNN) else None
    figures = draw_all(ledger.folder / "figures", predictions, read_metrics(ledger.folder), localisation)
    for logger in loggers:
        logger.log_summary({name: nan if value is None else value for name, value in ledger.result["metrics"].items()})
        logger.log_figures(figures)
        logger.log_checkpoint(Path(BestCheckpoint(ledger.folder / "checkpoints").best_model_path))


@contextmanager
def _timed(ledger: Ledger, name: str) -> Iterator[None]:
    """Add the time in the block (s) to what earlier starts of the run took."""
    started = time.monotonic()
    try:
        yield
    finally:
        before = ledger.result["wall_s"].get(name, 0.0)
        ledger.record(wall_s={name: round(before + time.monotonic() - started, 3)})
