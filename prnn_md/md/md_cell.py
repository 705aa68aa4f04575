"""What all MD cells have in common: samples, force field, backend, failures and units."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from prnn_md.cell import Cell
from prnn_md.md.failure import REASONS, CellFailure
from prnn_md.md.force_field import ForceField
from prnn_md.md.kernels.field import Field, NoKernel, compiled_field
from prnn_md.md.kernels.neighbours import NARROWEST
from prnn_md.md.sample import Samples
from prnn_md.md.threads import default_threads
from prnn_md.mechanics import LJ, MPA, face_widths

Backend = Literal["auto", "kernel", "torch"]
OnFailure = Literal["raise", "mask"]
Parameters = Mapping[str, float | Sequence[float]]


class MDCell(Cell):
    """`count` samples of one material, each a small MD simulation; the base of the kinds of dynamics.

    The last batch dimension is the sample: strains are (*batch, count, 6). The Biot stress of the undeformed cell is
    subtracted. Materials in reduced units answer in these, all others in MPa.

    `backend` says how forces are worked out: "kernel", compiled functions for one processor core a cell; "torch", all
    cells at once by automatic differentiation of the energy, on the processor or on a GPU; or "auto", the former where
    there is a kernel for all terms of the force field and the cell is on the processor. `threads` cells (by default as
    many as `default_threads` says) are worked on side by side by kernels.

    `trainable` names parameters of the force field that an optimiser may change, such as ["epsilon"]; `parameters` are
    values of some that replace those of the force field.

    `on_failure` is "raise", for a CellFailure that names cell, path and increment, or "mask", for NaN stresses from
    there on, a mark in `state.failed` and a count in `failures`; a failure at rest is always raised.
    """

    sample_box: Tensor
    sample_positions: Tensor
    types: Tensor

    def __init__(
        self,
        samples: Samples,
        force_field: ForceField,
        backend: Backend = "auto",
        trainable: Iterable[str] = (),
        parameters: Parameters | None = None,
        threads: int | None = None,
        on_failure: OnFailure = "raise",
    ) -> None:
        super().__init__()
        for name, value, allowed in (
            ("on_failure", on_failure, ("raise", "mask")),
            ("backend", backend, ("auto", "kernel", "torch")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, not '{value}'.")
        self._check(samples, force_field)
        self.count = len(samples)
        self.force_field = force_field
        self.given_parameters = dict(parameters or {})
        self.use_parameters()
        self.trainable = tuple(trainable)
        force_field.make_trainable(self.trainable)
        self.units = LJ if force_field.units is LJ else MPA
        self.stress_factor = 1.0 if force_field.units is LJ else force_field.units.stress_in_mpa()
        self.threads = threads or default_threads()
        self.on_failure: OnFailure = on_failure
        self.backend, self.failures = backend, 0
        self.register_buffer("sample_box", samples.box.double(), persistent=False)
        self.register_buffer("sample_positions", samples.positions.double(), persistent=False)
        self.register_buffer("types", samples.types, persistent=False)
        self._reason_for_torch = self._checked_backend()

    @staticmethod
    def _check(samples: Samples, force_field: ForceField) -> None:
        """Raises ValueError for samples that do not belong to the force field."""
        if len(force_field.masses) != len(samples.types):
            numbers = f"{len(force_field.masses)} particles, the samples have {len(samples.types)}"
            raise ValueError(f"The force field is one of {numbers}.")
        kinds, most = force_field.particle_types, int(samples.types.max()) + 1
        if most > kinds:
            raise ValueError(f"The force field knows {kinds} types of particles, the samples have {most}.")
        widths = face_widths(samples.box).amin(-1)
        least = (NARROWEST if force_field.several_images else 2.0) * force_field.cutoff
        if not bool((widths >= least).all()):
            sample = int(widths.argmin())
            limit = "a quarter of" if force_field.several_images else "twice"
            raise ValueError(
                f"Sample {sample}: its box, {float(widths[sample]):.4g} wide, is narrower than {limit} the cutoff of "
                f"{force_field.cutoff:.4g}: use samples with more particles, or a force field with several_images."
            )

    def checked_strains(self, strains: Tensor) -> Tensor:
        """Strains (*batch, T, 6) as the cell works with them; ValueError for another shape."""
        if strains.dim() < 3 or strains.shape[-1] != 6 or strains.shape[-2] < 1:
            raise ValueError(f"Strains are (*batch, {self.count}, increments, 6); got {tuple(strains.shape)}.")
        self.checked_batch(strains.shape[:-2])
        return strains.to(self.sample_box)

    @staticmethod
    def check_numbers(strains: Tensor, times: Tensor) -> None:
        """ValueError unless there is a time for each of the increments of strains (*batch, T, 6)."""
        if times.shape[-1:] != strains.shape[-2:-1]:
            numbers = f"{tuple(times.shape)} for strains {tuple(strains.shape)}"
            raise ValueError(f"There must be a time for each increment, got {numbers}.")

    def checked_lengths(self, lengths: Tensor, strains: Tensor) -> Tensor:
        """Lengths of increments as long as the strains (*batch, T, 6); ValueError where time is not finite or back."""
        if not bool((lengths >= 0.0).all()) or not bool(lengths.isfinite().all()):
            raise ValueError("The times of a path must be finite and must not go back.")
        self.check_numbers(strains, lengths)
        return lengths.to(strains).expand(strains.shape[:-1])

    def use_parameters(self) -> None:
        """Give the force field the `parameters` that the cell was made with, also where training has changed them."""
        for name, number in self.given_parameters.items():
            self.force_field.set_value(name, number)
        self._field: Field | None = None

    def _checked_backend(self) -> str:
        """Why there is no kernel, or nothing; ValueError where one was asked for."""
        try:
            compiled_field(self.force_field, self.types)
        except NoKernel as error:
            if self.backend == "kernel":
                raise ValueError(f"backend=kernel: {error}; choose backend=torch or auto.") from None
            return str(error)
        return ""

    @property
    def compiled(self) -> bool:
        """Whether the cell works with kernels where it is now."""
        fits = self.sample_box.device.type == "cpu" and self.sample_box.dtype == torch.float64
        if self.backend == "kernel" and not fits:
            message = "kernels run on the processor and in float64; choose hardware=cpu or backend=torch."
            raise ValueError(f"backend=kernel: {message}")
        return self.backend != "torch" and fits and not self._reason_for_torch

    @property
    def field(self) -> Field:
        """The force field as the kernels take it, with its parameters of now."""
        if self._field is None or self.trainable:
            self._field = compiled_field(self.force_field, self.types)
        return self._field

    @property
    def trained_parameters(self) -> list[Tensor]:
        """The parameters of the force field that take gradients; ValueError where training has made one impossible."""
        return [self.force_field.checked_value(name) for name in self.trainable]

    def samples_of(self, items: int) -> Tensor:
        """The sample of each of so many items, (items,): the last batch dimension."""
        return torch.arange(items, device=self.sample_box.device) % self.count

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Within the block every failure is an error: a cell that fails at rest can follow no path."""
        chosen, self.on_failure = self.on_failure, "raise"
        try:
            yield
        finally:
            self.on_failure = chosen

    def note_failures(self, status: Tensor, done: Tensor) -> Tensor:
        """Which items (I,) failed, of their status and increments done (I,); raises CellFailure unless masked."""
        failed = status != 0
        if self.on_failure == "raise" and bool(failed.any()):
            item = int(failed.nonzero()[0])
            path, cell = divmod(item, self.count)
            raise CellFailure(cell, path, int(done[item]), REASONS[int(status[item])])
        self.failures += int(failed.sum())
        return failed

    def side_by_side(self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Results of a function, which works without the interpreter's lock, for all arguments in their order."""
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(function, *these) for these in arguments]
            try:
                yield from (future.result() for future in futures)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def checked_batch(self, batch_shape: Sequence[int]) -> torch.Size:
        """The batch shape; ValueError if its last dimension is not the sample."""
        if not batch_shape or batch_shape[-1] != self.count:
            raise ValueError(f"The last batch dimension is the sample, of size {self.count}; got {tuple(batch_shape)}.")
        return torch.Size(batch_shape)


def as_numpy(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor on the processor as a contiguous array."""
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array
