"""Many independent simulations over a few processes: progress with time left, and resume by repeating."""

import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def parts_folder(output: Path, recipe: Mapping[str, Any]) -> Path:
    """The folder `<output>.parts/` for what is finished on the way to `output`, bound to one recipe.

    Raises ValueError if the output is there already, or if the folder holds parts of another recipe.
    """
    if output.exists():
        raise ValueError(f"{output} is there already: choose another name, or remove it to make it again.")
    folder = output.with_name(output.stem + ".parts")
    note, text = folder / "recipe.json", json.dumps(recipe, indent=2, sort_keys=True)
    if note.exists() and note.read_text() != text:
        raise ValueError(f"{folder} holds parts of another recipe ({note}): repeat its command, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(text)
    return folder


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
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is not None:
                    failures.append(f"{futures[future].output.name}: {error}")
                    progress.console.print(f"failed: {failures[-1]}")
                progress.advance(bar)
        except BaseException:  # Ctrl-C: let the running simulations go, and start no other
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        listed = "\n".join(failures)
        raise JobsFailed(
            f"{len(failures)} of {len(jobs)} simulations failed; the others are kept, run again to retry:\n{listed}"
        )
