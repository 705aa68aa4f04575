"""Where the runs of a report come from: their configurations, and the code and machines that made them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from prnn_md.app.report.flat_config import FlatConfig, is_seed, varied_values
from prnn_md.app.report.runs import Run


def configurations(runs: Sequence[Run]) -> dict[str, Any]:
    """Keys with several values, the most common first with how often each is there; and what all runs share."""
    configs = [run.config for run in runs]
    varied = {key: values for key, values in varied_values(configs).items() if not is_seed(key) or key == "seed"}
    shared: FlatConfig = {}
    for config in configs:
        shared |= {key: value for key, value in config.items() if key not in varied and not is_seed(key)}
    return {
        "varied": [{"key": key, "values": values.most_common()} for key, values in sorted(varied.items())],
        "shared": sorted(shared.items()),
    }


def environments(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Every surrounding in which runs were made, as names and texts, with the number of runs; most runs first."""
    counts = Counter(tuple(_surroundings(run.record.result).items()) for run in runs)
    return [{"about": dict(about), "runs": count} for about, count in counts.most_common()]


def _surroundings(result: dict[str, Any]) -> dict[str, str]:
    commit = (result.get("commit") or "no checkout")[:12] + " with changes" * bool(result.get("dirty"))
    versions = {name: version or "-" for name, version in result.get("versions", {}).items()}
    about = {"commit": commit, "host": result.get("host"), "platform": result.get("platform")}
    return {name: str(value) for name, value in (about | {"python": result.get("python")} | versions).items()}
