"""What tells samples of MD cells from others with other answers, so that answers can be kept."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prnn_md.md.force_field import ForceField


def _digest_of_the_code() -> bytes:
    here = Path(__file__).parent
    files = [*sorted(here.rglob("*.py")), here.parent / "mechanics.py"]
    libraries = "".join(version(name) for name in ("numba", "torch"))
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files) + libraries.encode()).digest()


CODE = _digest_of_the_code()
"""Hash of the code that works the answers out, as it was when this process began."""


def sample_digests(force_field: ForceField, settings: Sequence[object], of_samples: Sequence[Tensor]) -> list[bytes]:
    """A hash for each sample of the code, the force field, plain settings, and tensors (samples, ...) of the sample."""
    common = hashlib.blake2b(CODE + repr((force_field.units, *settings)).encode())
    for name, module in force_field.named_modules():
        common.update(repr((name, type(module).__name__, _plain(module))).encode())
    for name, tensor in sorted((*force_field.named_parameters(), *force_field.named_buffers())):
        common.update(name.encode() + _bytes(tensor))
    found = []
    for parts in zip(*of_samples, strict=True):
        own = common.copy()
        for part in parts:
            own.update(_bytes(part))
        found.append(own.digest())
    return found


def _plain(module: nn.Module) -> list[tuple[str, Any]]:
    """The numbers of a term that are no tensors, such as a cutoff."""
    return sorted(
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and not isinstance(value, torch.Tensor)
    )


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
