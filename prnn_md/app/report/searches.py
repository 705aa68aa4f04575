"""Sweeps: their jobs, the values that were tried, what came out, and which of them mattered."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from prnn_md.app.records import read_sweep
from prnn_md.app.report.importance import FEWEST_TRIALS, importance, numbers
from prnn_md.app.report.runs import Run


def searches(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Every sweep that some of the runs belong to and whose jobs have tried several values."""
    numbers_of_runs = {run.record.folder: run.number for run in runs}
    found = []
    for folder in sorted({run.record.sweep for run in runs if run.record.sweep is not None}):
        sweep = read_sweep(folder)
        jobs = [
            {**job, "run": numbers_of_runs.get(folder / str(job["number"]))}
            for job in sweep["jobs"]
            if job.get("values")
        ]
        names = _varied(jobs)
        if names:
            found.append(
                {
                    "name": folder.name,
                    "sweeper": sweep["sweeper"],
                    "objective": sweep["objective"] or "objective",
                    "states": Counter(job["state"] for job in sweep["jobs"]),
                    "parameters": [_parameter(name, jobs) for name in names],
                    "trials": [_trial(job, names) for job in _judged(jobs, names)],
                }
            )
    return found


def _varied(jobs: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for job in jobs for name in job["values"])
    return [name for name in names if len({job["values"].get(name) for job in jobs}) > 1]


def _judged(jobs: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Jobs with an objective and a value of every parameter."""
    return [job for job in jobs if job.get("objective") is not None and all(name in job["values"] for name in names)]


def _trial(job: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {
        "number": job["number"],
        "run": job["run"],
        "state": job["state"],
        "values": [str(job["values"][name]) for name in names],
        "objective": job["objective"],
    }


def _parameter(name: str, jobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Name, kind ("number", "logarithm" for those that span decades, "choice") and importance of a parameter.

    The importance is that among finished jobs, None where these are too few.
    """
    finished = [job for job in _judged(jobs, [name]) if job["state"] == "finished"]
    values = [str(job["values"][name]) for job in finished]
    share = None
    if len(finished) >= FEWEST_TRIALS:
        share = importance(values, [job["objective"] for job in finished])
    return {"name": name, "kind": _kind([str(job["values"].get(name, "")) for job in jobs]), "importance": share}


def _kind(values: Sequence[str]) -> str:
    found = numbers(values)
    if found is None:
        return "choice"
    return "logarithm" if min(found) > 0 and max(found) > 50 * min(found) else "number"
