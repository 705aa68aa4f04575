"""Which hardware a configuration asks for, and whether it makes sense; free of torch."""

from collections.abc import Mapping
from typing import Any

from prnn_md.app.checking import ConfigError


def world_size(hardware: Mapping[str, Any]) -> int:
    """Processes that train one model together, one for each device."""
    return int(hardware["devices"] * hardware["nodes"])


def check_hardware(hardware: Mapping[str, Any]) -> None:
    """Raises ConfigError for several devices without the means to share the work."""
    if world_size(hardware) == 1:
        return
    name = "devices" if hardware["devices"] > 1 else "nodes"
    asked = f"hardware.{name}={hardware[name]}"
    if hardware["strategy"] != "ddp":
        raise ConfigError(f"{asked}: several devices need hardware.strategy=ddp, which hardware=ddp brings.")
    if hardware["accelerator"] == "auto":
        raise ConfigError(f"{asked}: say which devices, hardware.accelerator=cpu or hardware.accelerator=cuda.")


def check_no_multirun(hardware: Mapping[str, Any], in_multirun: bool) -> None:
    """Raises ConfigError for several devices in a multirun within one process, which cannot be one of their ranks."""
    if in_multirun:
        raise ConfigError(
            f"hardware.devices={hardware['devices']}: Hydra would run this sweep in one process, which several devices "
            "cannot share: choose hydra/sweeper=grid or optuna, and hydra/launcher=local or slurm."
        )
