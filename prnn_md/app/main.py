"""The `prnn-md` command: one word chooses what to do, and only that is imported."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from prnn_md.app.faults import report

EXIT_FAILED = 1

COMMANDS = {
    "train": ("prnn_md.app.train", "train a surrogate and compare it with others (as train.py does)"),
    "predict": ("prnn_md.app.predict", "stress of a trained surrogate along your own strain paths"),
    "evaluate": ("prnn_md.app.evaluate", "errors of a trained surrogate on any labelled paths"),
    "export": ("prnn_md.app.export", "a trained surrogate as one file that needs torch alone"),
    "cells": ("prnn_md.app.cells", "build, inspect and preview libraries of MD cells"),
    "paths": ("prnn_md.app.paths", "preview families of strain paths, or write them to a file"),
    "dataset": ("prnn_md.app.dataset", "look at datasets, check, split, merge, import and export them"),
    "runs": ("prnn_md.app.runs.command", "list, compare, show and delete runs"),
    "sync": ("prnn_md.app.sync", "upload offline W&B runs"),
    "report": ("prnn_md.app.report.command", "one HTML page that compares runs, seeds and searches"),
    "generate": ("prnn_md.app.generate", "make reference data with LAMMPS"),
}
"""Name of each command, the module whose `main(words)` runs it and returns the exit code, and what it does."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command with the rest of the words; returns its exit code, 1 for an error, which is said."""
    words = sys.argv[1:] if words is None else list(words)
    listed = "\n".join(f"  {name:<10}{help}" for name, (_, help) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="prnn-md",
        description="Surrogates of molecular dynamics with MD cells inside.",
        epilog=f"commands:\n{listed}\n\n`prnn-md <command> --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command", help="one of the commands below")
    command = parser.parse_args(words[:1]).command
    module = importlib.import_module(COMMANDS[command][0])
    try:
        code = int(module.main(words[1:]) or 0)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        report(error)
        return EXIT_FAILED
