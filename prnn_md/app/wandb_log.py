"""Curves, configuration and figures of a run in Weights & Biases, online with a key and offline without one."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import wandb

from prnn_md.app.metrics_log import RunLogger
from prnn_md.app.names import dataset_name, md_names, model_name
from prnn_md.app.records import main_folder, sweep_folder
from prnn_md.app.wandb_key import has_key

Mode = Literal["online", "offline", "disabled", "shared"]


def wandb_log(
    folder: Path,
    config: Mapping[str, Any],
    run_id: str | None,
    project: str = "prnn_md",
    entity: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
) -> list[RunLogger]:
    """A W&B run whose files lie in the run folder; `run_id` continues an earlier one.

    Where the service does not answer the run goes on offline.
    """

    def start(mode: Mode) -> wandb.Run:
        return wandb.init(
            project=project,
            entity=entity,
            group=group or _group(folder),
            name=f"{config['label']} {folder.name}",
            job_type="train" if folder == main_folder(folder) else "compare",
            tags=_tags(config, tags),
            dir=folder,
            config=dict(config),
            id=run_id,
            resume="allow" if mode == "online" and run_id else None,
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    chosen = mode()
    try:
        run = start(chosen)
    except wandb.Error as error:
        if chosen != "online":
            raise
        print(f"warning: W&B does not answer ({error}); this run is recorded offline.", file=sys.stderr)
        run = start("offline")
    return [WandbLog(run)]


def mode() -> Mode:
    """What WANDB_MODE says; without it online where there is a key, else offline."""
    asked = os.environ.get("WANDB_MODE")
    if asked:
        return {"dryrun": "offline", "run": "online"}.get(asked, asked)  # type: ignore[return-value]
    return "online" if has_key() else "offline"


class WandbLog(RunLogger):
    """The Lightning logger of one W&B run, with the epoch as the axis of all curves."""

    def __init__(self, run: wandb.Run) -> None:
        super().__init__()
        self.run = run
        run.define_metric("epoch", hidden=True)
        run.define_metric("*", step_metric="epoch")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log({"epoch": step or 0, **metrics})

    def log_figures(self, figures: Mapping[str, Path]) -> None:
        self.run.log({f"figures/{name}": wandb.Image(str(file)) for name, file in figures.items()})

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        self.run.summary.update(dict(metrics))

    def log_checkpoint(self, file: Path) -> None:
        artifact = wandb.Artifact(f"model-{self.run.id}", type="model")
        artifact.add_file(str(file), policy="immutable")  # refers to the file, of which W&B would keep a copy at home
        self.run.log_artifact(artifact, aliases=["best"])

    def log_comparison(self, rows: Sequence[Mapping[str, Any]]) -> None:
        columns: list[str | int] = list(rows[0])
        table = wandb.Table(columns=columns, data=[list(row.values()) for row in rows])
        self.run.log({"comparison": table})

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


def _group(folder: Path) -> str:
    """The name of the sweep that a run folder is in, else that of the run, for it and what it is compared with."""
    return (sweep_folder(folder) or main_folder(folder)).name


def _tags(config: Mapping[str, Any], asked: Sequence[str]) -> list[str]:
    """The tags that were asked for, and those of the model, its cells and its data, in W&B's 64 characters at most."""
    names = [*asked, model_name(config), *md_names(config), dataset_name(config)]
    return list(dict.fromkeys(name[:64] for name in names if name))
