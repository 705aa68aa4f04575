"""The predict command: what a trained surrogate answers to strain paths in a CSV file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prnn_md.app.checking import ConfigError, alternatives

if TYPE_CHECKING:
    from prnn_md.data.strain_csv import StrainPath

_USAGE = """\
Predict the Biot stress along your own strain paths with a trained surrogate.

  prnn-md predict run=outputs/2026-01-31/12-00-00-abc123 strain=paths.csv [out=stress.csv]

run      folder of a finished run, or of a model it was compared with (<run>/compare/gru)
strain   CSV file with the columns E_xx, E_yy, E_zz, E_yz, E_xz, E_xy, the tensor components of the Biot strain
         U - I, and optionally path and time; every path starts at zero strain
out      CSV file for strain and stress; by default beside the strain file, as <name>_stress.csv
md.*     any key of the run's MD cells, to change it without training again, such as a parameter of the force field,
         'md.polymer.parameters={epsilon: 1.1}', or the temperature, md.polymer.dynamics.temperature=0.2
"""
_KEYS = ("run", "strain", "out")
_REQUIRED = ("run", "strain")


def main(words: Sequence[str]) -> int:
    """Predict as the words say; returns the exit code."""
    if "--help" in words or "-h" in words:
        print(_USAGE)
        return 0
    try:
        own = [word for word in words if word.startswith("md.")]
        values = _parsed([word for word in words if word not in own])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    strain = Path(values["strain"])
    out = Path(values["out"]) if "out" in values else strain.with_name(f"{strain.stem}_stress.csv")
    try:
        failed = predict(Path(values["run"]), strain, out, own)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name in failed:
        print(f"warning: path '{name}' failed: a cell could not follow it; its stress is nan.", file=sys.stderr)
    print(f"Stresses: {out}")
    return 0


def _parsed(words: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in _KEYS:
            raise ConfigError(f"{word}: write key=value.\n{alternatives(name, _KEYS)}")
        values[name] = value
    missing = [name for name in _REQUIRED if not values.get(name)]
    if missing:
        raise ConfigError(f"{missing[0]}= is missing. See `prnn-md predict --help`.")
    return values


def predict(run: Path, strain: Path, out: Path, changes: Sequence[str] = ()) -> list[str]:
    """Write the stresses of the run's best model along the paths in `strain` to `out`; returns the failed paths.

    `changes` are words for keys of its MD cells that are to have other values than in training. Raises ValueError for
    a folder that is no finished run, a bad CSV file or checkpoint, or a change that does not fit.
    """
    import torch

    from prnn_md.app.trained import finished_result, trained_cell
    from prnn_md.data.strain_csv import read_strain_paths, write_stress_paths
    from prnn_md.md.failure import CellFailure

    result = finished_result(run)
    paths = read_strain_paths(strain)
    cell = trained_cell(run, changes)
    _warn_of_extrapolation(paths, result, cell.rate_dependent)
    stresses, failed = [], []
    with torch.no_grad():
        for path in paths:
            try:
                stress, state = cell.follow(path.strain[None], path.times)
            except CellFailure as error:
                place = f"{strain}, path '{path.name}', increment {error.increment}"
                raise ValueError(f"{place}: MD cell {error.cell}: {error.reason}.") from error
            stresses.append(torch.where(state.failed[:, None, None], torch.nan, stress)[0])
            failed += [path.name] * int(state.failed[0])
    write_stress_paths(out, paths, stresses)
    return failed


def _warn_of_extrapolation(paths: Sequence["StrainPath"], result: dict[str, Any], rate_dependent: bool) -> None:
    """Say on standard error where strains, and time steps if they matter, go beyond those of the training paths."""
    strains = [path.strain.norm(dim=-1).max().item() for path in paths]
    if max(strains) > 1.01 * result["largest_strain"]:
        limit = f"{result['largest_strain']:.3g} of the training paths"
        print(f"warning: |E| reaches {max(strains):.3g}, beyond the {limit}.", file=sys.stderr)
    if rate_dependent and "time_steps" in result:
        steps = [step for path in paths for step in path.times.diff().tolist()]
        low, high = result["time_steps"]
        if min(steps) < 0.99 * low or max(steps) > 1.01 * high:
            limits = f"{low:.3g} to {high:.3g} of the training paths"
            reached = f"{min(steps):.3g} to {max(steps):.3g}"
            print(f"warning: time steps are {reached}, beyond the {limits}.", file=sys.stderr)
