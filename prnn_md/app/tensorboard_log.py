"""Curves, configuration and figures of a run as event files for TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from matplotlib.image import imread

from prnn_md.app.metrics_log import RunLogger

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardMissing(ValueError):
    """The package tensorboard is not installed."""


def tensorboard_log(folder: Path, config: Mapping[str, Any], run_id: str | None) -> list[RunLogger]:
    """A log in the run folder, which `tensorboard --logdir outputs` shows; raises TensorBoardMissing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TensorBoardMissing(
            f"logger=tensorboard needs a package that is not installed ({error}): "
            "pip install 'prnn_md[tensorboard]', or choose logger=csv."
        ) from None
    log = TensorBoardLog(SummaryWriter(str(folder / "tensorboard")))
    log.writer.add_text("config", f"```yaml\n{yaml.safe_dump(dict(config), sort_keys=False)}```")
    return [log]


class TensorBoardLog(RunLogger):
    """The Lightning logger of one run; a restart adds a file, and what it repeats lies over what was there."""

    def __init__(self, writer: "SummaryWriter") -> None:
        super().__init__()
        self.writer = writer
        self._epoch = 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._epoch = int(metrics.get("epoch", step or 0))
        for name, value in metrics.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, self._epoch)
        self.writer.flush()

    def log_figures(self, figures: Mapping[str, Path]) -> None:
        for name, file in figures.items():
            self.writer.add_image(f"figures/{name}", imread(file), self._epoch, dataformats="HWC")

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(f"final/{name}", value, self._epoch)

    def log_comparison(self, rows: Sequence[Mapping[str, Any]]) -> None:
        lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
        self.writer.add_text("comparison", "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))

    def close(self, failed: bool) -> None:
        self.writer.close()
