"""The dynamics of this package against those of LAMMPS, on the same samples.

    python benchmarks/lammps_comparison [--quick] [--only athermal thermal rates] [--output FOLDER] [--json FILE]

Writes one JSON file with settings, seeds, versions, numbers and verdicts, in which parts that are not run anew stay as
they are, and a figure of each part. All numbers are in reduced Lennard-Jones units. The full study takes ten to
fifteen minutes on one core. athermal.py, thermal.py and rates.py say what is compared.
"""

import argparse
import json
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import athermal
import rates
import thermal
import torch

from prnn_md.files import replaced_when_done, write_text

PACKAGES = ("prnn_md", "lammps", "torch", "numpy", "scipy", "numba")
ROOT = Path(__file__).parents[2]
RESULTS, SCRATCH = "results/lammps_comparison", "outputs/lammps_comparison"
PARTS: dict[str, Any] = {"athermal": athermal, "thermal": thermal, "rates": rates}


def verdicts(report: dict[str, Any]) -> dict[str, bool]:
    """What the parts of a report claim, and whether their numbers bear it out."""
    found = {}
    for name, entry in report["parts"].items():
        found |= {claim: bool(held) for claim, held in PARTS[name].verdicts(entry["results"]).items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in a minute: too little for verdicts")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="parts to run anew")
    parser.add_argument("--output", type=Path, help=f"folder, by default {RESULTS}, or with --quick {SCRATCH}")
    parser.add_argument("--json", type=Path, help="file for the numbers, by default comparison.json in the folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.output or ROOT / (SCRATCH if options.quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    table = options.json or folder / "comparison.json"
    report = json.loads(table.read_text()) if table.exists() else {"parts": {}}
    for name in options.only:
        part = PARTS[name]
        settings = part.QUICK if options.quick else part.SETTINGS
        print(name, flush=True)
        start = time.process_time()
        results = part.run(settings)
        report["parts"][name] = {
            "quick": options.quick,
            "settings": asdict(settings),
            "versions": {package: version(package) for package in PACKAGES},
            "cpu_seconds": round(time.process_time() - start),
            "results": results,
        }
        with replaced_when_done(folder / f"{name}.png") as file:
            part.figure(results, settings).savefig(file, format="png", dpi=150)
        report["verdicts"] = verdicts(report)
        write_text(table, json.dumps(report) + "\n")
    for claim, held in report["verdicts"].items():
        print(f"{'yes' if held else 'NO '}  {claim}")


if __name__ == "__main__":
    main()
