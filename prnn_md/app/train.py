"""The training command: checks the words of the command line and hands them to Hydra."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prnn_md.app.parent import end_with_parent

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from prnn_md.app.composition import Config

EXIT_CONFIG = 2
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

SWEEP_FLAGS = {"-m", "--multirun"}


def main(words: Sequence[str]) -> int:
    """Train as the words say (`group=option`, `key=value`, Hydra's flags); returns the exit code."""
    end_with_parent()
    if "--help" in words or "-h" in words:
        return _help([word for word in words if not word.startswith("-")])
    overrides = [word for word in words if not word.startswith("-")]
    flags = set(words) - set(overrides)
    if flags - SWEEP_FLAGS:  # such as --cfg, which Hydra answers without running anything
        return _run_with_hydra(words)
    return _run_checked(overrides, sweep=bool(flags))


def _help(words: Sequence[str]) -> int:
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.train_help import help_text

    try:
        print(help_text(words))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return 0


def _run_checked(words: Sequence[str], sweep: bool) -> int:
    """Check all words, then run, once or for every combination of a sweep; returns the worst exit code."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import hydra_ready
    from prnn_md.app.overrides import checked_config, comparisons, sweep_runs, with_every_word

    try:
        with hydra_ready():
            runs = sweep_runs(words) if sweep else [list(words)]
            for run in with_every_word(runs):
                comparisons(checked_config(run))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return _run_sweep(runs) if sweep else _run_with_hydra(words)


def _run_sweep(runs: Sequence[Sequence[str]]) -> int:
    """Run one after the other, each in its own folder in that of the sweep; returns the worst exit code."""
    from prnn_md.app.composition import composed

    folder = composed(runs[0], with_hydra=True).hydra.sweep.dir  # once, as it holds the time
    place = [f"hydra.sweep.dir='{folder}'", "hydra.run.dir=${hydra.sweep.dir}/${hydra.sweep.subdir}"]
    codes = []
    for number, run in enumerate(runs):
        print(f"Run {number + 1} of {len(runs)}: {' '.join(run)}", flush=True)
        codes.append(_run_with_hydra([*run, *place, f"hydra.job.num={number}"]))
    return max(codes)


def _run_with_hydra(words: Sequence[str]) -> int:
    """Let Hydra make the run folder and run the job in it; returns the exit code."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from prnn_md.app.composition import config_dir

    codes: list[int] = []

    def job(config: "DictConfig") -> float | None:
        settings = HydraConfig.get()
        folder, overrides = Path(settings.runtime.output_dir), list(settings.overrides.task)
        code, valid_error = _run_job(config, folder, overrides, words, settings.mode is RunMode.MULTIRUN)
        codes.append(code)
        return valid_error

    overrides = [word for word in words if "=" in word or word.startswith("~")]
    flags = [word for word in words if word not in overrides]
    arguments, sys.argv = sys.argv, [sys.argv[0], *flags, *overrides]
    try:
        hydra.main(config_path=str(config_dir()), config_name="train", version_base="1.3")(job)()
    finally:
        sys.argv = arguments
    return max(codes, default=0)


def _run_job(
    config: "DictConfig", folder: Path, overrides: list[str], words: Sequence[str], in_multirun: bool
) -> tuple[int, float | None]:
    """Exit code and validation error of one job; what goes wrong is said in one message."""
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
        return EXIT_CONFIG, None
    except Interrupted as error:
        print(f"interrupted by {error}; the same command with hydra.run.dir={folder} goes on.", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    except Exception as error:
        report(error, f"The run folder {folder} has the details in result.json.")
        return EXIT_FAILED, None


def _run_here(
    config: "Config", others: "dict[str, Config]", folder: Path, overrides: Sequence[str]
) -> tuple[int, float | None]:
    """Run the job in this process, alone or as one of several ranks; what goes wrong on any, rank 0 tells."""
    from prnn_md.app.ledger import is_finished
    from prnn_md.app.ranks import leads
    from prnn_md.app.training_job import run, show_finished

    if leads():
        result = show_finished(config, folder) if is_finished(folder) else run(config, others, folder, overrides)
        return 0, result["metrics"]["valid/error"]
    try:
        run(config, others, folder, overrides)
    except Exception:
        return EXIT_FAILED, None
    return 0, None


def _run_as_ranks(config: "Config", folder: Path, words: Sequence[str]) -> tuple[int, float | None]:
    """Run the job in fresh processes, one for each device, and note in the folder what these could not."""
    from prnn_md.app.ledger import Interrupted, is_finished, note_lost, read_result
    from prnn_md.app.ranks import RanksLost, run_ranks

    if is_finished(folder):
        return _run_here(config, {}, folder, [])
    try:
        code = run_ranks(words, folder, config["hardware"])
    except (RanksLost, Interrupted) as error:
        note_lost(folder, error)
        raise
    if code == EXIT_INTERRUPTED:
        raise SystemExit(code)
    return code, ((read_result(folder) or {}).get("metrics") or {}).get("valid/error")
