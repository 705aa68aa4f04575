"""`prnn-md dataset`: look at datasets, check them, split and merge them, and exchange them with other programs."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from prnn_md.app.dataset_info import info
from prnn_md.app.replicas import replicas
from prnn_md.data.dataset import SPLITS, DatasetFile, StressStrainData, read_dataset, resolve, write_dataset
from prnn_md.data.editing import merged, split_anew
from prnn_md.data.exporting import write_csv, write_npz

_DATASET = "an HDF5 file, or the name of a shipped dataset"


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md dataset`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prnn-md dataset", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_info, _add_verify, _add_split, _add_merge, _add_export, _add_replicas):
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
    with DatasetFile(given.dataset) as file:
        print(json.dumps(file.about["provenance"], indent=2) if given.provenance else info(file))


def _add_verify(commands: Commands) -> None:
    parser = commands.add_parser("verify", help="check that a dataset is whole and consistent")
    parser.add_argument("dataset", help=_DATASET)
    parser.set_defaults(run=_verify)


def _verify(given: argparse.Namespace) -> None:
    with DatasetFile(given.dataset) as file:
        file.verify()
        print(f"{file.path} is whole: {len(file)} paths, checksum {file.checksum}")


def _add_split(commands: Commands) -> None:
    parser = commands.add_parser("split", help="draw anew which paths train, validate and test")
    parser.add_argument("dataset", help=_DATASET)
    _add_output(parser)
    _add_counts(parser)
    parser.add_argument("--families", type=_names, help="families of paths to keep, such as a,b (default: all)")
    parser.set_defaults(run=_split)


def _split(given: argparse.Namespace) -> None:
    data = read_dataset(given.dataset)
    counts = {name: getattr(given, name) for name in SPLITS}
    chosen = split_anew(data, given.name or given.output.stem, counts, given.seed, given.families)
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


def _add_counts(parser: argparse.ArgumentParser) -> None:
    for name in SPLITS:
        parser.add_argument(f"--{name}", type=int, required=name != "pool", default=0, help=f"number of {name} paths")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


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
