"""`prnn-md report`: one HTML page about all runs in some folders."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(words: Sequence[str]) -> int:
    """Write the page as the words say; returns the exit code."""
    options = _parser().parse_args(list(words))
    from prnn_md.app.report.page import common_folder, write_report

    output = options.output or common_folder(options.places) / "report.html"
    count = write_report(options.places, output)
    print(f"Report of {count} {'run' if count == 1 else 'runs'}: {output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prnn-md report",
        description="Write one HTML page that compares all runs in or below some folders. It needs no network.",
    )
    parser.add_argument("places", nargs="+", type=Path, metavar="PLACE", help="folder of a run, a sweep, or of many")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the page; by default report.html in the common folder of all places",
    )
    return parser
