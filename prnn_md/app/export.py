"""The export command: a trained surrogate as one file that needs torch alone."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prnn_md.app.checking import ConfigError, alternatives, check_parent
from prnn_md.app.faults import EXIT_CONFIG, EXIT_FAILED

if TYPE_CHECKING:
    from prnn_md.cell import Cell

_EXAMPLE = """\
import json, torch

files = {"about.json": ""}
step = torch.export.load("surrogate.pt2", extra_files=files).module()
about = json.loads(files["about.json"])  # what it was made of, and its state
state = [torch.tensor([entry["initial"]], dtype=getattr(torch, entry["dtype"])) for entry in about["state"]]
strain = torch.tensor([[0.01, 0, 0, 0, 0, 0]], dtype=torch.float64)  # (batch, 6): Biot strain, Mandel notation
dt = torch.ones(1, dtype=torch.float64)  # (batch,): length of the increment
stress, *new_state = step(strain, dt, *state)  # Biot stress (batch, 6)
tangent = torch.func.jacrev(lambda e: step(e, dt, *state)[0].sum(0))(strain).transpose(0, 1)  # (batch, 6, 6)
"""
_USAGE = f"""\
Write a trained surrogate to one file that can be used with torch alone.

  prnn-md export run=outputs/2026-01-31/12-00-00-abc123 [out=surrogate.pt2]

run   folder of a finished run, or of a model it was compared with (<run>/compare/gru)
out   the file; by default <run>/surrogate.pt2

To use it:

{_EXAMPLE}
A PRNN with MD cells cannot be exported: these are programs. Use `prnn-md predict`, or the package itself.
"""
_KEYS = ("run", "out")
TOLERANCE = 1e-8
"""Largest relative difference between the model and its export."""


def main(words: Sequence[str]) -> int:
    """Export as the words say; returns the exit code."""
    if "--help" in words or "-h" in words:
        print(_USAGE)
        return 0
    values: dict[str, str] = {}
    try:
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or name not in _KEYS:
                raise ConfigError(f"{word}: write key=value.\n{alternatives(name, _KEYS)}")
            values[name] = value
        if not values.get("run"):
            raise ConfigError("run= is missing. See `prnn-md export --help`.")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    run = Path(values["run"])
    out = Path(values.get("out", run / "surrogate.pt2"))
    try:
        if "out" in values:
            check_parent(out)
        largest = export(run, out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(f"{out}: stress and tangent as those of the run to {largest:.0e} of their size.")
    return 0


def export(run: Path, out: Path) -> float:
    """Write the best model of a run to a file, and compare the two on random strains.

    Returns the largest relative difference of stress or tangent. Raises ValueError for a folder that is no finished
    run, and for a model that cannot be exported.
    """
    from prnn_md.app.trained import finished_result, run_config, trained_cell
    from prnn_md.files import replaced_when_done
    from prnn_md.surrogates.exporting import difference, exported, state_entries

    result, config = finished_result(run), run_config(run)
    cell = trained_cell(run)
    _check_exportable(cell)
    about = {
        "label": config["label"],
        "units": cell.units.stress,
        "stress_measure": cell.stress_measure,
        "rate_dependent": cell.rate_dependent,
        "largest_strain": result["largest_strain"],
        "state": state_entries(cell),
        "config": config,
        "versions": result["versions"],
    }
    with replaced_when_done(out) as temporary:
        try:
            exported(cell, temporary, {"about.json": json.dumps(about)})
        except (RuntimeError, TypeError) as error:  # the many faults of torch.export
            raise ValueError(f"run={run}: torch cannot export {type(cell).__name__}: {error}") from error
        largest = difference(cell, temporary, result["largest_strain"])
        if not largest <= TOLERANCE:
            raise ValueError(
                f"run={run}: the exported model differs from that of the run by {largest:.0e}: not written."
            )
    return largest


def _check_exportable(cell: "Cell") -> None:
    from prnn_md.md.md_cell import MDCell

    for part in cell.modules():
        if isinstance(part, MDCell):
            raise ValueError(
                f"A model with {type(part).__name__} inside cannot be exported, because how many steps that takes "
                "depends on the strain: use `prnn-md predict`, or the package itself."
            )
