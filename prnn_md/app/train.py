"""The training command: checks the words of the command line and hands them to Hydra."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXIT_CONFIG = 2
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

SWEEP_FLAGS = {"-m", "--multirun"}


def main(words: Sequence[str]) -> int:
    """Train as the words say (`group=option`, `key=value`, Hydra's flags); returns the exit code."""
    if "--help" in words or "-h" in words:
        return _help([word for word in words if not word.startswith("-")])
    overrides = [word for word in words if not word.startswith("-")]
    if len(overrides) == len(words) or set(words) - set(overrides) <= SWEEP_FLAGS:
        fault = _fault(overrides)
        if fault:
            print(f"error: {fault}", file=sys.stderr)
            return EXIT_CONFIG
    return _run_with_hydra(words)


def _help(words: Sequence[str]) -> int:
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.train_help import help_text

    try:
        print(help_text(words))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return 0


def _fault(words: Sequence[str]) -> str:
    """What is wrong with the words, of one run or of a sweep, empty where nothing is."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import hydra_ready
    from prnn_md.app.overrides import checked_config, comparisons, sample_runs

    try:
        with hydra_ready():
            for run in sample_runs(words):
                comparisons(checked_config(run))
    except ConfigError as error:
        return str(error)
    return ""


def _run_with_hydra(words: Sequence[str]) -> int:
    """Let Hydra make the run folder and run the job in it, several times for a sweep; returns the worst code."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from prnn_md.app.composition import config_dir

    codes: list[int] = []

    def job(config: "DictConfig") -> float | None:
        settings = HydraConfig.get()
        code, valid_error = _run_job(config, Path(settings.runtime.output_dir), list(settings.overrides.task))
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


def _run_job(config: "DictConfig", folder: Path, overrides: list[str]) -> tuple[int, float | None]:
    """Exit code and validation error of one job; what goes wrong is said in one message."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import resolve
    from prnn_md.app.faults import report
    from prnn_md.app.ledger import FolderInUse, Interrupted, read_result
    from prnn_md.app.overrides import comparisons

    try:
        resolved = resolve(config)
        others = comparisons(resolved)
        from prnn_md.app.training_job import run, show_finished

        if (read_result(folder) or {}).get("status") == "finished":
            result = show_finished(resolved, folder)
        else:
            result = run(resolved, others, folder, overrides)
    except (ConfigError, FolderInUse) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG, None
    except Interrupted as error:
        print(f"interrupted by {error}; the same command with hydra.run.dir={folder} goes on.", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    except Exception as error:
        report(error, f"The run folder {folder} has the details in result.json.")
        return EXIT_FAILED, None
    return 0, result["metrics"]["valid/error"]
