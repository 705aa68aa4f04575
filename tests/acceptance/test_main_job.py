"""The main job at its default settings, with cells from both shipped libraries; writes results/main_job.json."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST_NET_ERROR = 0.1


def main_job(library: str, folder: Path) -> dict[str, dict[str, float]]:
    """Rows of the closing table by name; an unfinished run in the folder is continued."""
    words = ["model=prnn", "md=polymer", f"md.polymer.library={library}", f"hydra.run.dir={folder}", "logger=csv"]
    subprocess.run([sys.executable, str(ROOT / "train.py"), *words], check=True, cwd=ROOT)
    return {row["name"]: row for row in json.loads((folder / "comparison.json").read_text())}


@pytest.mark.acceptance
def test_net_error_over_both_libraries_of_cells() -> None:
    folders = {library: ROOT / "outputs" / "acceptance" / f"library_{library}" for library in ("a", "b")}
    tables = {library: main_job(library, folder) for library, folder in folders.items()}
    mean = {
        name: sum(table[name]["net_error"] for table in tables.values()) / len(tables)
        for name in ("PRNN untrained", "PRNN trained", "GRU trained", "zero")
    }
    runs = {library: json.loads((folder / "result.json").read_text()) for library, folder in folders.items()}
    kept = ("commit", "versions", "seeds", "paths", "wall_s", "best_epoch", "epochs")
    report = {
        "command": "make acceptance",
        "mean_net_error": mean,
        "libraries": {
            library: {"rows": list(tables[library].values()), **{name: runs[library][name] for name in kept}}
            for library in tables
        },
    }
    (ROOT / "results").mkdir(exist_ok=True)
    (ROOT / "results" / "main_job.json").write_text(json.dumps(report, indent=2) + "\n")
    assert mean["PRNN trained"] <= LARGEST_NET_ERROR
    assert mean["PRNN trained"] <= mean["PRNN untrained"]
    assert mean["PRNN trained"] < mean["GRU trained"]
