"""Questions that are expensive to answer, and their answers, as bytes that are the same everywhere."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

_DTYPES = {"float64": torch.float64, "float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


@dataclass(frozen=True)
class Query:
    """What a labeler is asked: tensors such as a strain path and its times, and which replica is to answer.

    `labeler` is the digest of the labeler's physics, see `physics_digest`, so that the same question to another one is
    another query. `parent` is the id of the query at whose end the simulation goes on, none for the sample at rest.
    """

    labeler: str
    inputs: Mapping[str, Tensor]
    replica: int = 0
    parent: str | None = None

    @cached_property
    def data(self) -> bytes:
        """All that the query says, in one way only."""
        about = {"labeler": self.labeler, "replica": self.replica, "parent": self.parent}
        return packed(about, self.inputs)

    @cached_property
    def id(self) -> str:
        """Hash of all that the query says, 32 characters."""
        return hashlib.blake2b(self.data, digest_size=16).hexdigest()

    @classmethod
    def from_data(cls, data: bytes) -> "Query":
        """The query of `data`."""
        about, inputs = unpacked(data)
        return cls(inputs=inputs, **about)


@dataclass(frozen=True)
class Label:
    """An answer: tensors, such as the stresses along a path, and what is to be known of them.

    `about` goes with the label, such as the minimiser, its stop reason and versions, and must be the same whenever the
    same query is answered; `cost`, the seconds that it took, does not count as part of it.
    """

    outputs: Mapping[str, Tensor]
    about: Mapping[str, Any] = field(default_factory=dict)
    cost: float = 0.0

    @cached_property
    def data(self) -> bytes:
        """The label but for its cost."""
        return packed({"about": dict(self.about)}, self.outputs)

    @classmethod
    def from_data(cls, data: bytes, cost: float = 0.0) -> "Label":
        """The label of `data`."""
        about, outputs = unpacked(data)
        return cls(outputs, about["about"], cost)


class Labeler(Protocol):
    """Answers queries. It is sent to other processes, and what it draws at random follows from the query alone."""

    @property
    def physics(self) -> Mapping[str, Any]:
        """All that its answers depend on but the query, as plain numbers, strings, lists and mappings."""

    def label(self, query: Query) -> Label:
        """The answer to one query."""


def physics_digest(labeler: Labeler) -> str:
    """Hash of the physics of a labeler, 32 characters."""
    text = json.dumps(labeler.physics, sort_keys=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def packed(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """A line of JSON, sorted, and behind it the numbers of the tensors by name, little-endian; zero has no sign."""
    parts, shapes = [], {}
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype not in _DTYPES:
            raise TypeError(f"'{name}' must be one of {', '.join(_DTYPES)}, got {dtype}.")
        shapes[name] = [dtype, *tensor.shape]
        values = (tensor + 0.0 if tensor.is_floating_point() else tensor).numpy()
        parts.append(values.astype(values.dtype.newbyteorder("<")).tobytes())
    head = json.dumps({**about, "tensors": shapes}, sort_keys=True, allow_nan=False)
    return b"\n".join([head.encode(), b"".join(parts)])


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `packed` made into bytes; ValueError if the bytes are not all there."""
    head, _, body = data.partition(b"\n")
    about = json.loads(head)
    tensors, place = {}, 0
    for name, (dtype, *shape) in about.pop("tensors").items():
        empty = torch.empty(shape, dtype=_DTYPES[dtype])
        end = place + empty.nbytes
        if end > len(body):
            raise ValueError("it ends too early")
        tensors[name] = (
            torch.frombuffer(bytearray(body[place:end]), dtype=empty.dtype).reshape(shape) if end > place else empty
        )
        place = end
    if place != len(body):
        raise ValueError("it is longer than it says")
    return about, tensors
