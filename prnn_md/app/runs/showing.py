"""`prnn-md runs show`: all that a run folder tells of its run, in lines."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prnn_md.app.fields import shown
from prnn_md.app.records import Record
from prnn_md.app.runs.columns import text
from prnn_md.app.runs.values import Value, flat, value
from prnn_md.progress import duration


def description(record: Record, whole_config: bool = False) -> str:
    """The run in lines; of its configuration what differs from the defaults of its choices, or all of it."""
    sections = {
        "": _what(record),
        "Error": _error(record.result),
        "Metrics": {name: text(found) for name, found in sorted(record.metrics.items())},
        "Time": {name: duration(spent) for name, spent in record.result.get("wall_s", {}).items()},
        "Seeds": {"seed": str(record.result["seed"]), **_texts(record.result.get("seeds", {}))},
        "Files used": {file: _checked(file, checksum) for file, checksum in record.result.get("files", {}).items()},
        "Versions": _versions(record.result),
        **_config(record, whole_config),
    }
    lines = (line for title, entries in sections.items() if entries for line in ("", *_lines(title, entries)))
    return "\n".join(lines).lstrip("\n")


def _lines(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, entries))
    if title:
        yield title
    indent = "  " if title else ""
    for name, entry in entries.items():
        first, *further = entry.splitlines() or [""]
        yield f"{indent}{name:<{width}}  {first}".rstrip()
        yield from (f"{indent}{'':<{width}}  {line}" for line in further)


def _what(record: Record) -> dict[str, str]:
    result = record.result
    told = {
        "run": str(record.folder),
        "sweep": str(record.sweep or ""),
        "compared in": str(record.compared_in or ""),
        "what": ", ".join(f"{key} {text(value(record, key))}" for key in ("label", "model", "md", "dataset")),
        "paths": ", ".join(
            f"{result[f'n_{part}']} {part}" for part in ("train", "valid", "test") if f"n_{part}" in result
        ),
        "epochs": _epochs(result),
        "status": record.status,
        "started": result["started"],
        "ended": result.get("finished") or "",
        "words": " ".join(record.overrides),
        "W&B run": result.get("wandb_id") or "",
        "also here": ", ".join(_compared(record.folder)),
    }
    return {name: entry for name, entry in told.items() if entry}


def _epochs(result: Mapping[str, Any]) -> str:
    if "epochs" not in result:
        return ""
    best = result["best_epoch"]
    return f"{result['epochs']}, the best being {'the untrained state' if best == -1 else f'number {best + 1}'}"


def _compared(folder: Path) -> list[str]:
    return sorted(f"compare/{other.parent.name}" for other in folder.glob("compare/*/result.json"))


def _error(result: Mapping[str, Any]) -> dict[str, str]:
    """The error with the place in the code where it was raised."""
    if not result.get("error"):
        return {}
    places = [line.strip() for line in (result.get("traceback") or "").splitlines() if line.startswith("  File ")]
    return {"message": result["error"], "raised in": places[-1] if places else "unknown"}


def _checked(file: str, checksum: str) -> str:
    return f"sha256 {checksum[:12]}" + ("" if Path(file).is_file() else ", not there any more")


def _versions(result: Mapping[str, Any]) -> dict[str, str]:
    commit = result.get("commit")
    changes = " with changes" if result.get("dirty") else ""
    told = {"commit": f"{commit}{changes}" if commit else "", "python": result.get("python") or ""}
    told |= {name: version or "" for name, version in result.get("versions", {}).items()}
    told |= {name: str(result.get(name) or "") for name in ("platform", "host")}
    return {name: entry for name, entry in told.items() if entry}


def _config(record: Record, whole: bool) -> dict[str, dict[str, str]]:
    mine = flat(record.config)
    defaults = None if whole else _defaults(record)
    if defaults is None:
        title = "Configuration" if whole else "Configuration (whole, as this version does not know its words)"
        return {title: _texts(mine)}
    changed = {key: found for key, found in mine.items() if key not in defaults or found != defaults[key]}
    return {"Configuration, where it differs from the defaults (--all: whole)": _texts(changed)}


def _defaults(record: Record) -> dict[str, Value] | None:
    """The configuration that only the choices of the run and its seed lead to, None where they do not compose."""
    from prnn_md.app.checking import ConfigError
    from prnn_md.app.composition import groups
    from prnn_md.app.overrides import checked_config

    words = record.overrides or [f"model={value(record, 'model')}"]
    choices = [word for word in words if word.partition("=")[0] in groups()]
    try:
        return flat(checked_config([*choices, f"seed={record.result['seed']}"]))
    except ConfigError:
        return None


def _texts(entries: Mapping[str, Value]) -> dict[str, str]:
    return {name: shown(found) for name, found in entries.items()}
