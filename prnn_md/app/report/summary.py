"""Everything that the page shows, as values for JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prnn_md.app import colours
from prnn_md.app.ledger import finite_or_none
from prnn_md.app.report.calibration import calibrations
from prnn_md.app.report.curves import learning_curves, points_of_a_curve
from prnn_md.app.report.flat_config import FlatConfig, differences, short_text, varied_values, without_derived_seeds
from prnn_md.app.report.groups import data_efficiency, distinct, seed_groups, seed_table
from prnn_md.app.report.origins import configurations, environments
from prnn_md.app.report.overlays import overlays
from prnn_md.app.report.pairs import paired_differences
from prnn_md.app.report.runs import MEASURES, Run
from prnn_md.app.report.searches import searches

COLOURS = (colours.BLUE, colours.ORANGE, colours.GREEN, colours.PURPLE, colours.SKY, colours.GREY)

_COLUMNS = ("label", "model", "seed", "dataset.n_train", "compare")
"""Keys that the table has in other columns, or that do not matter to a run."""


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The content of the page about these runs."""
    judged = distinct(runs)
    groups = seed_groups(judged)
    most = points_of_a_curve(runs)
    content = {
        "made": datetime.now(UTC).isoformat(timespec="minutes"),
        "colours": COLOURS,
        "measures": {name: text for name, (_, text) in MEASURES.items()},
        "runs": table(runs),
        "curves": [learning_curves(run.record.folder, most) for run in runs],
        "seeds": seed_table(groups),
        "efficiency": data_efficiency(judged),
        "pairs": paired_differences(groups),
        "calibration": calibrations(groups),
        "overlays": overlays(runs),
        "searches": searches(runs),
        "configurations": configurations(runs),
        "environments": environments(runs),
    }
    return finite_or_none(content)


def table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row for every run, with what distinguishes its configuration from most others of its model."""
    alike: dict[str, list[FlatConfig]] = {}
    for run in runs:
        alike.setdefault(run.label, []).append(without_derived_seeds(run.config))
    varied = {
        label: {key: values for key, values in varied_values(configs).items() if key not in _COLUMNS}
        for label, configs in alike.items()
    }
    return [
        _row(run) | {"differs": short_text(differences(without_derived_seeds(run.config), varied[run.label]))}
        for run in runs
    ]


def _row(run: Run) -> dict[str, Any]:
    result, metrics = run.record.result, run.record.metrics
    return {
        "name": run.name,
        "model": run.label,
        "status": run.record.status,
        "sweep": run.record.sweep.name if run.record.sweep else None,
        "dataset": Path(run.config["dataset.path"]).stem,
        "n_train": run.n_train,
        "seed": result["seed"],
        **{name: run.measure(name) for name in MEASURES},
        "low": metrics.get("test/net_low"),
        "high": metrics.get("test/net_high"),
        "floor": metrics.get("label/floor"),
        "untrained": metrics.get("untrained/net_error"),
        "failed": metrics.get("test/failed"),
        "parameters": result.get("trainable_parameters"),
        "epochs": result.get("epochs"),
        "seconds": result.get("wall_s", {}).get("training"),
        "started": result["started"],
        "message": result.get("error"),
    }
