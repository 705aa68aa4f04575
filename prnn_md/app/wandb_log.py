"""Curves, configuration and figures of a run in Weights & Biases, online with a key and offline without one."""

import netrc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import wandb

from prnn_md.app.metrics_log import RunLogger

Mode = Literal["online", "offline", "disabled", "shared"]

_API = "https://api.wandb.ai"


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
            tags=list(tags),
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
    return "online" if os.environ.get("WANDB_API_KEY") or _key_in_netrc() else "offline"


class WandbLog(RunLogger):
    """The Lightning logger of one W&B run, with the epoch as the axis of all curves."""

    def __init__(self, run: wandb.Run) -> None:
        super().__init__()
        self.run = run
        run.define_metric("epoch", hidden=True)
        run.define_metric("*", step_metric="epoch")

    @property
    def run_id(self) -> str | None:
        return str(self.run.id)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log({"epoch": step or 0, **metrics})

    def log_figures(self, figures: Mapping[str, Path]) -> None:
        self.run.log({f"figures/{name}": wandb.Image(str(file)) for name, file in figures.items()})

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        self.run.summary.update(dict(metrics))

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


def _key_in_netrc() -> bool:
    host = urlparse(os.environ.get("WANDB_BASE_URL", _API)).hostname
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(str(file)).authenticators(host or "") is not None
    return False


def _group(folder: Path) -> str:
    """The name of the run folder that this folder is, or is in."""
    return folder.parent.parent.name if folder.parent.name == "compare" else folder.name
