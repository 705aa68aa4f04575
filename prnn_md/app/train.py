"""The training command: checks the words of the command line and hands them to Hydra."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prnn_md.app.faults import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED
from prnn_md.app.lifeline import end_with_parent

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from prnn_md.app.composition import Config
    from prnn_md.app.sweeps.plan import Plan

SWEEP_FLAGS = {"-m", "--multirun"}
NEW_FLAG = "--new"
"""Begin anew where an unfinished run or sweep of the same command could be continued."""


def main(words: Sequence[str]) -> int:
    """Train as the words say (`group=option`, `key=value`, Hydra's flags, --new); returns the exit code."""
    end_with_parent()
    if "--help" in words or "-h" in words:
        return _help([word for word in words if not word.startswith("-")])
    overrides = [word for word in words if not word.startswith("-")]
    flags = set(words) - set(overrides)
    if flags - SWEEP_FLAGS - {NEW_FLAG}:
        return _answered_by_hydra([word for word in words if word != NEW_FLAG])
    return _run_checked(overrides, bool(flags & SWEEP_FLAGS), NEW_FLAG in flags)


def _help(words: Sequence[str]) -> int:
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.train_help import help_text

    try:
        print(help_text(words))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return 0


def _run_checked(words: Sequence[str], sweep: bool, new: bool) -> int:
    """Check all words, then run, once or as a sweep, where possible from where an earlier start was stopped."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import folder_word, hydra_ready
    from prnn_md.app.continuing import unfinished_run, unfinished_sweep
    from prnn_md.app.overrides import checked_config, comparisons

    key = f"hydra.{'sweep' if sweep else 'run'}.dir"
    place = None
    try:
        given = any(word.lstrip("+").startswith(f"{key}=") for word in words)
        if given and new:
            raise ConfigError(f"{NEW_FLAG} makes a folder of its own: leave out {key}, or {NEW_FLAG}.")
        with hydra_ready():
            if sweep:
                planned = _checked_plan(words)
                place = None if given or new else unfinished_sweep(planned)
            else:
                _check_no_experiment(words)
                config = checked_config(words)
                comparisons(config)
                place = None if given or new else unfinished_run(config)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if place is not None:
        print(f"Going on in {place}, which was not finished; {NEW_FLAG} begins anew.", flush=True)
        words = [*words, folder_word(key, place)]
    return _run_with_hydra([*words, *(["-m"] if sweep else [])])


def _check_no_experiment(words: Sequence[str]) -> None:
    """An experiment is many jobs; ConfigError where it is asked for without the flag of a sweep."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import EXPERIMENTS

    for word in words:
        if word.startswith(f"{EXPERIMENTS}=") and word != f"{EXPERIMENTS}=none":
            raise ConfigError(f"{word}: an experiment is a sweep of several jobs: add -m.")


def _answered_by_hydra(words: Sequence[str]) -> int:
    """Have Hydra deal with its own flags, such as --cfg, which shows what the other words lead to."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.overrides import checked_composition

    try:
        if {"--cfg", "-c"} & set(words):
            words = [word for word in words if word not in SWEEP_FLAGS]
            checked_composition([word for word in words if "=" in word or word.startswith("~")])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return _run_with_hydra(words)


def _checked_plan(words: Sequence[str]) -> "Plan":
    """What a sweep is to run; raises ConfigError for one with a job that cannot be run."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.overrides import checked_config, comparisons, with_every_word
    from prnn_md.app.sweeps.plan import Experiment, extremes, plan

    planned = plan(words)
    grids = {job.words: job.grid for job in planned.jobs} if isinstance(planned, Experiment) else {}
    for job in with_every_word(extremes(planned)):
        try:
            comparisons(checked_config(job))
        except ConfigError as error:
            if tuple(job) not in grids:
                raise
            hint = "hydra.sweeper.only=[...] takes some of the grids."
            raise ConfigError(f"{error}\nThis is of the grid {grids[tuple(job)]}; {hint}") from None
    return planned


def _run_with_hydra(words: Sequence[str]) -> int:
    """Let Hydra make the run folder and run the job in it; returns the exit code."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from prnn_md.app.composition import config_dir

    codes: list[int] = []

    def job(config: "DictConfig") -> None:
        settings = HydraConfig.get()
        folder, overrides = Path(settings.runtime.output_dir), list(settings.overrides.task)
        codes.append(_run_job(config, folder, overrides, words, settings.mode is RunMode.MULTIRUN))

    overrides = [word for word in words if "=" in word or word.startswith("~")]
    flags = [word for word in words if word not in overrides]
    arguments, sys.argv = sys.argv, [sys.argv[0], *flags, *overrides]
    try:
        hydra.main(config_path=str(config_dir()), config_name="train", version_base="1.3")(job)()
    except SystemExit as exit:  # of a sweep, or because Hydra has found a fault
        codes.append(EXIT_FAILED if isinstance(exit.code, str) else exit.code or 0)
    finally:
        sys.argv = arguments
    return max(codes, default=0)


def _run_job(config: "DictConfig", folder: Path, overrides: list[str], words: Sequence[str], in_multirun: bool) -> int:
    """Exit code of one job; what goes wrong is said in one message."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import resolve
    from prnn_md.app.faults import report
    from prnn_md.app.hardware import check_no_multirun, world_size
    from prnn_md.app.ledger import FolderInUse, Interrupted
    from prnn_md.app.overrides import comparisons
    from prnn_md.app.ranks import is_rank

    try:
        resolved = resolve(config)
        others = comparisons(resolved)
        if world_size(resolved["hardware"]) > 1:
            check_no_multirun(resolved["hardware"], in_multirun)
            if not is_rank():
                return _run_as_ranks(resolved, folder, words)
        return _run_here(resolved, others, folder, overrides)
    except (ConfigError, FolderInUse) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except Interrupted as error:
        print(f"interrupted by {error}; the same command goes on in {folder}.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        known = (folder / "result.json").is_file()
        report(error, f"The run folder {folder} has the details in result.json." if known else "")
        return EXIT_FAILED


def _run_here(config: "Config", others: "dict[str, Config]", folder: Path, overrides: Sequence[str]) -> int:
    """Run the job in this process, alone or as one of several ranks; what goes wrong on any, rank 0 tells."""
    from prnn_md.app.ledger import is_finished
    from prnn_md.app.ranks import leads
    from prnn_md.app.training_job import run, show_finished

    if is_finished(folder):
        if leads():
            show_finished(config, folder)
        return 0
    try:
        run(config, others, folder, overrides)
    except Exception:
        if leads():
            raise
        return EXIT_FAILED
    return 0


def _run_as_ranks(config: "Config", folder: Path, words: Sequence[str]) -> int:
    """Run the job in fresh processes, one for each device, and note in the folder what these could not."""
    from prnn_md.app.ledger import Interrupted, is_finished, note_lost
    from prnn_md.app.ranks import RanksLost, run_ranks

    if is_finished(folder):
        return _run_here(config, {}, folder, [])
    try:
        return run_ranks(words, folder, config["hardware"])
    except (RanksLost, Interrupted) as error:
        note_lost(folder, error)
        raise
