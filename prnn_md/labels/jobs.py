"""Many independent simulations over a few processes: progress with time left, and resume by repeating."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class JobsFailed(RuntimeError):
    """Some simulations of a batch failed; those that finished are kept."""


@dataclass(frozen=True)
class Job:
    """A simulation that writes `output` (whole or not at all) when `function(*arguments, output)` is called."""

    output: Path
    function: Callable[..., None]
    arguments: tuple[object, ...]


def run_jobs(jobs: Sequence[Job], processes: int, title: str) -> None:
    """Run the jobs whose output is missing; raise JobsFailed at the end if some failed, naming each."""
    missing = [job for job in jobs if not job.output.exists()]
    failures = []
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    context = multiprocessing.get_context("spawn")
    with Progress(*columns) as progress, ProcessPoolExecutor(processes, mp_context=context) as pool:
        bar = progress.add_task(title, total=len(jobs), completed=len(jobs) - len(missing))
        futures = {pool.submit(job.function, *job.arguments, job.output): job for job in missing}
        for future in as_completed(futures):
            error = future.exception()
            if error is not None:
                failures.append(f"{futures[future].output.name}: {error}")
                progress.console.print(f"failed: {failures[-1]}")
            progress.advance(bar)
    if failures:
        raise JobsFailed(
            f"{len(failures)} of {len(jobs)} simulations failed (run again to retry):\n" + "\n".join(failures)
        )
