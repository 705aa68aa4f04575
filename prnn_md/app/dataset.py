"""`prnn-md dataset`: look at datasets, check them, split and merge them, and exchange them with other programs."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from prnn_md.app.dataset_info import info
from prnn_md.app.replicas import replicas
from prnn_md.data import prnn_text, stress_csv
from prnn_md.data.dataset import DatasetFile, StressStrainData, read_dataset, resolve, write_dataset
from prnn_md.data.editing import default_counts, merged, split_anew
from prnn_md.data.exporting import write_csv, write_npz
from prnn_md.data.prnn_text import read_prnn_text
from prnn_md.data.stress_csv import SHEARS, STRAINS, STRESSES, Columns, read_stress_csv
from prnn_md.data.verification import SPLITS, TIME_UNITS, UNITS

_DATASET = "an HDF5 file, or the name of a shipped dataset"


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md dataset`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prnn-md dataset", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_info, _add_verify, _add_split, _add_merge, _add_export, _add_import, _add_replicas):
        add(commands)
    given = parser.parse_args(words)
    given.run(given)
    return 0


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_info(commands: Commands) -> None:
    parser = commands.add_parser("info", help="say what a dataset holds, and how good its labels are")
    parser.add_argument("dataset", help=_DATASET)
    parser.add_argument("--provenance", action="store_true", help="print all of how it was made, as JSON")
    parser.set_defaults(run=_info)


def _info(given: argparse.Namespace) -> None:
    file = DatasetFile(given.dataset)
    print(json.dumps(file.about["provenance"], indent=2) if given.provenance else info(file))


def _add_verify(commands: Commands) -> None:
    parser = commands.add_parser("verify", help="check that a dataset is whole and consistent")
    parser.add_argument("dataset", help=_DATASET)
    parser.set_defaults(run=_verify)


def _verify(given: argparse.Namespace) -> None:
    file = DatasetFile(given.dataset)
    file.verify()
    print(f"{file.path} is whole: {len(file)} paths, checksum {file.checksum}")


def _add_split(commands: Commands) -> None:
    parser = commands.add_parser("split", help="draw anew which paths train, validate and test")
    parser.add_argument("dataset", help=_DATASET)
    _add_output(parser)
    _add_counts(parser, required=True)
    parser.add_argument("--families", type=_names, help="families of paths to keep, such as a,b (default: all)")
    parser.set_defaults(run=_split)


def _split(given: argparse.Namespace) -> None:
    data = read_dataset(given.dataset)
    chosen = split_anew(data, given.name or given.output.stem, _counts(given), given.seed, given.families)
    _write(given.output, chosen, left_out=len(data) - len(chosen))


def _add_merge(commands: Commands) -> None:
    parser = commands.add_parser("merge", help="put the paths of several datasets into one")
    parser.add_argument("datasets", nargs="+", metavar="dataset", help=_DATASET)
    _add_output(parser)
    parser.set_defaults(run=_merge)


def _merge(given: argparse.Namespace) -> None:
    parts = [(str(resolve(name)), read_dataset(name)) for name in given.datasets]
    _write(given.output, merged(parts, given.name or given.output.stem))


def _add_export(commands: Commands) -> None:
    parser = commands.add_parser("export", help="write a table (CSV) or a NumPy archive (npz)")
    parser.add_argument("dataset", help=_DATASET)
    parser.add_argument("--output", type=Path, required=True, help="the file to write, ending in .csv or .npz")
    parser.add_argument("--split", choices=SPLITS, help="paths of this use only (default: all)")
    parser.set_defaults(run=_export)


def _export(given: argparse.Namespace) -> None:
    if given.output.suffix not in (".csv", ".npz"):
        raise ValueError(f"--output {given.output}: its name must end in .csv or .npz.")
    data = read_dataset(given.dataset)
    numbers = list(range(len(data))) if given.split is None else data.indices(given.split)
    if not numbers:
        raise ValueError(f"{given.dataset} has no {given.split} paths.")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    if given.output.suffix == ".csv":
        write_csv(given.output, data.select(numbers), numbers)
    else:
        write_npz(given.output, data.select(numbers))
    print(f"{given.output}: {len(numbers)} paths")


def _add_import(commands: Commands) -> None:
    parser = commands.add_parser("import", help="make a dataset of a file of another program")
    formats = parser.add_subparsers(dest="format", required=True)
    text = formats.add_parser("prnn_text", help="text of published PRNN data: U, Cauchy stress and time increment")
    text.set_defaults(run=_import, read=_read_text)
    table = formats.add_parser(
        "csv",
        help="a table of strains and stresses",
        description=stress_csv.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table.set_defaults(run=_import, read=_read_csv)
    for format, family in ((text, prnn_text.FAMILY), (table, "imported")):
        format.add_argument("file", type=Path, help="the file to read")
        _add_output(format)
        format.add_argument("--family", default=family, help="family of its paths (default: %(default)s)")
        _add_counts(format, required=False)
    table.add_argument("--columns", type=_pairs, default={}, help="its columns by our names: E_xx=eps11,T_xx=sig11,...")
    for name, choices in (("strain", STRAINS), ("stress", STRESSES), ("shear", SHEARS)):
        first, *_ = choices
        table.add_argument(f"--{name}", choices=choices, default=first, help="its measure (default: %(default)s)")
    table.add_argument("--units", choices=UNITS, required=True, help="unit of its stresses")
    table.add_argument("--time-unit", choices=TIME_UNITS, default="", help="unit of its times (default: none)")


def _import(given: argparse.Namespace) -> None:
    """Uses of the paths are drawn where the file does not name them, or where numbers are asked for."""
    data = given.read(given)
    name, counts = given.name or given.output.stem, _counts(given)
    if counts or not all(data.split):
        chosen = split_anew(data, name, counts or default_counts(len(data)), given.seed)
    else:
        chosen = replace(data, name=name)
    _write(given.output, chosen, left_out=len(data) - len(chosen))


def _read_text(given: argparse.Namespace) -> StressStrainData:
    return read_prnn_text(given.file, given.family)


def _read_csv(given: argparse.Namespace) -> StressStrainData:
    columns = Columns(given.columns, given.strain, given.stress, given.shear)
    return read_stress_csv(given.file, columns, given.units, given.time_unit, given.family)


def _add_replicas(commands: Commands) -> None:
    parser = commands.add_parser("replicas", help="how sure labels are, and how many replicas it takes")
    parser.add_argument("dataset", help=_DATASET)
    parser.add_argument(
        "--output", type=Path, default=Path("replicas.png"), help="the PNG file to write (default: %(default)s)"
    )
    parser.add_argument(
        "--target",
        type=float,
        default=0.08,
        help="wanted standard error of labels, in units of the stress scale (default: %(default)s)",
    )
    parser.add_argument(
        "--half-width", action="store_true", help="the target is the half-width of the 95 %% interval instead"
    )
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: %(default)s)")
    parser.set_defaults(run=_replicas)


def _replicas(given: argparse.Namespace) -> None:
    replicas(given.dataset, given.output, given.resamples, given.seed, given.target, given.half_width)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=_new_file, required=True, help="the dataset to write, ending in .h5")
    parser.add_argument("--name", help="name of the new dataset (default: that of its file)")


def _add_counts(parser: argparse.ArgumentParser, required: bool) -> None:
    for name in SPLITS:
        parser.add_argument(f"--{name}", type=int, required=required and name != "pool", help=f"number of {name} paths")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")


def _counts(given: argparse.Namespace) -> dict[str, int]:
    """The number of paths of each split that was named."""
    return {name: getattr(given, name) for name in SPLITS if getattr(given, name) is not None}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _pairs(text: str) -> dict[str, str]:
    """{"E_xx": "eps11"} of "E_xx=eps11"."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    for name, equals, column in pairs:
        if not (name.strip() and equals and column.strip()):
            raise argparse.ArgumentTypeError(f"'{name}{equals}{column}' is not understood: write E_xx=eps11,T_xx=sig11")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _new_file(text: str) -> Path:
    """The path of a dataset that is not there yet."""
    path = Path(text)
    if path.suffix != ".h5":
        raise argparse.ArgumentTypeError(f"{path}: its name must end in .h5")
    if path.exists():
        raise argparse.ArgumentTypeError(f"{path} is there already: choose another name, or remove it")
    return path


def _write(output: Path, data: StressStrainData, left_out: int = 0) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    write_dataset(output, data)
    counts = ", ".join(f"{data.split.count(name)} {name}" for name in SPLITS if name in data.split)
    print(f"{output}: {len(data)} paths ({counts})" + f"; {left_out} are left out" * (left_out > 0))
