"""Runs a sweep from start to end, as Hydra's sweepers ask for it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from prnn_md.app.checking import ConfigError
from prnn_md.app.experiments.source import ExperimentJobs
from prnn_md.app.experiments.summary import summarize
from prnn_md.app.faults import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, report
from prnn_md.app.ledger import Interrupted
from prnn_md.app.records import RecordError
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.plan import Experiment, Plan, Space, extremes, own_words
from prnn_md.app.sweeps.source import Grid, Source
from prnn_md.app.sweeps.summary import show
from prnn_md.app.sweeps.sweep import Sweep, check_same_jobs, check_same_kind, only_one
from prnn_md.app.sweeps.workers import Workers

OBJECTIVE = "valid/error"
"""The metric by which jobs are judged, searches choose, and hopeless jobs are stopped."""


def exit_code(folder: Path, run: Callable[[], bool]) -> int:
    """Run the sweep in a folder by a function that says whether all is done; what goes wrong is said in one message."""
    try:
        return 0 if run() else EXIT_FAILED
    except (ConfigError, RecordError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except Interrupted as error:
        print(f"interrupted by {error}; the same command goes on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        print(f"error: {folder}: {error}\nWhat is finished is kept: mend it, and repeat the command.", file=sys.stderr)
        return EXIT_FAILED
    except Exception as error:
        report(error)
        return EXIT_FAILED


def run_sweep(folder: Path, words: Sequence[str], planned: Plan, workers: Workers, **search: Any) -> bool:
    """Run all jobs that are not finished, and print what came of all; whether every one has finished or was pruned.

    `search` holds the options of `Search`, for a space. Raises ConfigError for a folder in which another process is at
    work, or with other jobs.
    """
    with only_one(folder):
        source, about = _source(folder, planned, search)
        sweep = Sweep(folder, source, workers, {**about, "words": own_words(words)}, OBJECTIVE)
        try:
            sweep.run()
        finally:
            show(sweep, Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120))
            if isinstance(planned, Experiment):
                summarize(planned)
    return all(state in ("finished", "pruned") for state in sweep.states.values())


def jobs_of(planned: Plan, folder: Path) -> Sequence[Job]:
    """The jobs that are to be run in a folder; of a search those with extreme values."""
    return (
        ExperimentJobs(planned, folder).left
        if isinstance(planned, Experiment)
        else Grid(extremes(planned), folder).jobs
    )


def _source(folder: Path, planned: Plan, search: dict[str, Any]) -> tuple[Source, dict[str, Any]]:
    """The jobs, and what sweep.json says of their kind."""
    kind = {Space: "optuna", Experiment: "experiment"}.get(type(planned), "grid")
    check_same_kind(folder, kind)
    if isinstance(planned, Space):
        from prnn_md.app.sweeps.search import Search

        return Search(planned, folder, **search), {"sweeper": kind, "space": planned.described}
    if isinstance(planned, Experiment):
        return ExperimentJobs(planned, folder), {"sweeper": kind, "experiment": planned.name}
    check_same_jobs(folder, planned)
    return Grid(planned, folder), {"sweeper": kind}
