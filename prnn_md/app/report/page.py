"""The page itself: a template with style, scripts and data put in, so that it needs nothing else."""

import json
import os
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from prnn_md.app.report.runs import find_runs
from prnn_md.app.report.summary import summary
from prnn_md.files import write_text

SCRIPTS = (
    "numbers.js",
    "theme.js",
    "figure.js",
    "runs.js",
    "filters.js",
    "curves.js",
    "samples.js",
    "overlay.js",
    "calibration.js",
    "searches.js",
    "origins.js",
    "main.js",
)
"""The parts of the page's script, in their order."""


def common_folder(places: Sequence[Path]) -> Path:
    """The innermost folder that all places are in, or the place itself where there is one."""
    return places[0] if len(places) == 1 else Path(os.path.commonpath([place.resolve() for place in places]))


def write_report(places: Sequence[Path], output: Path) -> int:
    """Write the page about all runs in or below the places, whole or not at all; returns the number of runs."""
    runs = find_runs(places)
    named = places if len(places) < 4 else [common_folder(places)]
    title = f"Runs in {', '.join(place.resolve().name for place in named)}"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, page(title, summary(runs)))
    return len(runs)


def page(title: str, content: dict[str, Any]) -> str:
    """The whole HTML text of the page with some content."""
    from plotly.offline import get_plotlyjs

    parts = {
        "title": escape(title),
        "style": _part("page.css"),
        "plotly": get_plotlyjs(),
        "data": json_script(content),
        "script": "\n".join(map(_part, SCRIPTS)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("page.html"))


def json_script(content: dict[str, Any]) -> str:
    """JSON that no browser mistakes for the end of the script element that it is in."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")


def _part(name: str) -> str:
    return (files("prnn_md.app.report") / "parts" / name).read_text(encoding="utf-8")
