"""The words of `prnn-md runs`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from prnn_md.app.records import Record, RecordError, find_records, read_record
from prnn_md.app.runs.columns import DEFAULT_KEYS
from prnn_md.app.runs.conditions import SYNTAX, chosen, parsed
from prnn_md.app.runs.pruning import age
from prnn_md.app.runs.values import check_keys, keys_of

DEFAULT_PLACE = Path("outputs")

_COMMANDS = ("list", "show", "diff", "prune", "keys")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(words: Sequence[str]) -> int:
    """Entry point of `prnn-md runs`; returns the exit code."""
    if not words or words[0] not in (*_COMMANDS, "-h", "--help"):
        words = ["list", *words]  # a folder with the name of a command is written ./list
    parser = argparse.ArgumentParser(
        prog="prnn-md runs",
        description="List, show, compare and delete runs. Without a command the runs are listed.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_list, _add_keys, _add_show, _add_diff, _add_prune):
        add(commands)
    given = parser.parse_args(words)
    return int(given.run(given) or 0)


def _add_list(commands: Commands) -> None:
    parser = commands.add_parser("list", help="one line a run (the default)", epilog=SYNTAX)
    _add_choice(parser)
    parser.add_argument("--sort", metavar="KEY", help="the order, by a column, a metric or a key (default: the start)")
    parser.add_argument("--descending", action="store_true", help="sort from the largest down")
    parser.add_argument(
        "--columns", type=_keys, metavar="KEY,KEY", help="the columns; +KEY,KEY adds to those that there are"
    )
    parser.add_argument("--compared", action="store_true", help="list the models that runs were compared with as well")
    parser.add_argument("--json", metavar="FILE", help="write JSON instead, with - to standard output")
    parser.add_argument("--csv", metavar="FILE", help="write CSV instead, with - to standard output")
    parser.set_defaults(run=_list)


def _list(given: argparse.Namespace) -> None:
    from prnn_md.app.runs.listing import ordered, print_table, write_csv, write_json

    records = _chosen(given, given.compared)
    keys = given.columns or DEFAULT_KEYS
    check_keys(records, keys)
    if given.sort:
        records = ordered(records, given.sort, given.descending)
    for file, write in ((given.json, write_json), (given.csv, write_csv)):
        if file:
            write(file, records, [*keys, *_INTERVAL] if given.columns is None else keys)
    if not given.json and not given.csv and records:
        print_table(records, given.places, keys, by_sweep=not given.sort)


_INTERVAL = ("test/net_low", "test/net_high")


def _add_keys(commands: Commands) -> None:
    parser = commands.add_parser("keys", help="all keys by which runs can be listed, sorted and chosen")
    _add_places(parser)
    parser.set_defaults(run=_list_keys, where=[])


def _list_keys(given: argparse.Namespace) -> None:
    print(*sorted(set().union(*map(keys_of, _chosen(given)))), sep="\n")


def _add_show(commands: Commands) -> None:
    parser = commands.add_parser("show", help="all that there is to know about a run")
    parser.add_argument("folder", type=Path, help="the folder of a run")
    parser.add_argument("--all", action="store_true", help="the whole configuration, not only what was changed")
    parser.set_defaults(run=_show)


def _show(given: argparse.Namespace) -> None:
    from prnn_md.app.runs.showing import description

    print(description(read_record(given.folder.resolve()), given.all))


def _add_diff(commands: Commands) -> None:
    parser = commands.add_parser("diff", help="how runs differ, in configuration, results, versions and data")
    parser.add_argument("folders", nargs="+", type=Path, metavar="folder", help="the folders of two or more runs")
    parser.set_defaults(run=_diff)


def _diff(given: argparse.Namespace) -> None:
    from prnn_md.app.runs.differences import print_differences

    if len(given.folders) < 2:
        raise ValueError(f"{given.folders[0]} alone cannot differ: name two runs or more.")
    print_differences([read_record(folder.resolve()) for folder in given.folders])


def _add_prune(commands: Commands) -> None:
    parser = commands.add_parser(
        "prune",
        help="delete runs by rule, after asking",
        description="Delete the runs to which all given rules apply. A run that is going on always stays.",
        epilog=SYNTAX,
    )
    _add_choice(parser)
    parser.add_argument("--status", metavar="STATUS,STATUS", help="runs that are failed, lost, interrupted or finished")
    parser.add_argument("--older-than", type=age, metavar="AGE", help="runs that ended before, such as 12h, 30d or 8w")
    parser.add_argument("--keep-best", type=int, metavar="N", help="all but those with the N least values of --by")
    parser.add_argument("--by", default="valid/error", metavar="KEY", help="for --keep-best (default: valid/error)")
    parser.add_argument(
        "--checkpoints-only",
        action="store_true",
        help="delete checkpoints, of finished runs unless --status says otherwise, and keep the rest",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=_prune)


def _prune(given: argparse.Namespace) -> int:
    from prnn_md.app.runs.prune_dialogue import agreed, announce, carry_out
    from prnn_md.app.runs.pruning import doomed, ended_before, left_over, without_best

    status = given.status or ("finished" if given.checkpoints_only else None)  # others go on from theirs
    given.where = [*given.where, *[f"status={status}"] * bool(status)]
    if not given.where and given.older_than is None and given.keep_best is None:
        raise ValueError("Say which runs: --status, --where, --older-than, --keep-best or --checkpoints-only.")
    records = _chosen(given)
    if given.older_than is not None:
        records = ended_before(records, given.older_than)
    if given.keep_best is not None:
        records = without_best(records, given.keep_best, given.by)
    found, rests = doomed(records, given.checkpoints_only), left_over(given.places)
    if not found and not rests:
        print("There is nothing to delete.")
        return 0
    announce(found, rests, given.checkpoints_only)
    return 1 if agreed(given.yes) and carry_out(found, rests) else 0


def _add_choice(parser: argparse.ArgumentParser) -> None:
    _add_places(parser)
    parser.add_argument(
        "--where", nargs="+", action="extend", default=[], metavar="CONDITION", help="only runs that meet all of these"
    )


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        default=[DEFAULT_PLACE],
        metavar="PLACE",
        help="the folder of a run, of a sweep, or anything above (default: outputs)",
    )


def _chosen(given: argparse.Namespace, compared: bool = False) -> list[Record]:
    """The runs in the places that meet the conditions; those that cannot be read are named on standard error."""
    conditions = parsed(given.where)
    records, unreadable = find_records(given.places, compared)
    readable = []
    for record in records:
        try:
            record.config  # noqa: B018
            readable.append(record)
        except RecordError as error:
            unreadable.append(error)
    for reason in unreadable:
        print(f"unreadable: {reason}", file=sys.stderr)
    met = chosen(readable, conditions)
    if not met:
        place = ", ".join(map(str, given.places))
        found = f"None of {len(readable)} runs in {place} meets the conditions." if readable else f"No runs in {place}."
        print(found, file=sys.stderr)
    return met


def _keys(text: str) -> list[str]:
    """The keys of the columns that a text asks for."""
    names = [name for name in text.removeprefix("+").split(",") if name]
    return [*DEFAULT_KEYS, *names] if text.startswith("+") else names
