"""The physically recurrent neural network: physical cells between an encoder and a linear decoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from prnn_md.cell import Cell, Number, State
from prnn_md.mechanics import deviatoric_projector, volumetric_projector
from prnn_md.surrogates.answers import Answers
from prnn_md.surrogates.decoder import Decoder
from prnn_md.surrogates.encoder import Encoder
from prnn_md.surrogates.subsampling import CellSampler


@dataclass(frozen=True)
class Localisation:
    """What encoder and decoder make of each cell; tensors on the CPU, first dimension the cell.

    `names` are like "polymer 3"; `matrices` A_m (cells, 6, 6); `operators` D_m (cells, 6, 6); `volumetric`,
    `deviatoric` (cells,) the root mean square stretch that A_m gives a volumetric or deviatoric unit strain;
    `singular_values` (cells, 6) of A_m; `weights` (cells,) the share of the cell in the stress.
    """

    names: tuple[str, ...]
    matrices: Tensor
    operators: Tensor
    volumetric: Tensor
    deviatoric: Tensor
    singular_values: Tensor
    weights: Tensor


class PRNN(Cell):
    """Encoder, embedded cells with their own memory, and decoder; itself a cell.

    `encoder` is called with the number of `cells`, `decoder` with the `counts` of each kind of them, both with a
    `generator` made from `seed`. `md` holds the embedded cells by name, `count` samples each, in the order in which
    the encoder numbers them. The state has one entry per name, with batch (*batch, count). An item in which any cell
    failed is failed; its stress is NaN where a cell has no finite one, and failed cells add nothing to gradients.
    With `remember`, `follow` keeps what MD cells answer in a file that all runs share, see `Answers`. In training,
    roll-outs from the virgin state ask the part `cell_share` of the cells of each kind, see `CellSampler`; what the
    others' states are at their end means nothing. This saves the work of MD cells; constitutive ones are left out too,
    but do their work.

    Raises ValueError without cells, for a name that cannot be used, for cells that disagree in units or stress measure,
    for an encoder or a decoder of another number of cells, and for a `cell_share` below one where answers are
    remembered, which cost nothing; TypeError for what is no cell.

    Source: M. A. Maia et al., Comput. Methods Appl. Mech. Engrg. 407 (2023) 115934.
    """

    def __init__(
        self,
        encoder: Callable[..., Encoder],
        decoder: Callable[..., Decoder],
        md: Mapping[str, Cell],
        seed: int,
        remember: bool = False,
        cell_share: float = 1.0,
    ) -> None:
        super().__init__()
        _check(md)
        self.answers = Answers() if remember else None
        self.names = tuple(md)
        self.counts = tuple(md[name].count for name in md)
        self.sampler = CellSampler(self.counts, cell_share, seed)
        first = md[self.names[0]]
        self.units, self.stress_measure = first.units, first.stress_measure
        self.rate_dependent = any(cell.rate_dependent for cell in md.values())
        generator = torch.Generator().manual_seed(seed)
        self.encoder = encoder(cells=sum(self.counts), generator=generator)
        self.decoder = decoder(counts=self.counts, generator=generator)
        _check_numbers(self.encoder, self.decoder, sum(self.counts))
        self.md = nn.ModuleDict(md)
        if self.remembers and not self.sampler.asks_all:
            raise ValueError(
                f"A cell_share of {cell_share} has no use: the encoder does not learn, so that answers of MD cells are "
                "remembered. Let an encoder learn, such as encoder=amplified_rotation, or take model.remember=false."
            )

    @property
    def cells(self) -> dict[str, Cell]:
        """The embedded cells by name."""
        return {name: cast(Cell, self.md[name]) for name in self.names}

    @property
    def remembers(self) -> bool:
        """Whether answers of MD cells are kept: the encoder then must not learn, and their local strains be known."""
        return (
            self.answers is not None
            and not _learns(self.encoder)
            and any(cell.digests() for cell in self.cells.values())
        )

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        """The virgin states of all embedded cells."""
        cells = self.cells.items()
        return _joined({name: cell.initial_state((*batch_shape, cell.count)) for name, cell in cells})

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        def respond(cell: Cell, local: Tensor, memory: State) -> tuple[Tensor, State]:
            return cell(local, _per_cell(dt, cell.count), memory)

        (stresses,), new_state = self._ask(respond, self.encoder(strain), state)
        return self._decode(stresses, self.encoder.matrices_at(strain)), new_state

    def rollout(self, strains: Tensor, times: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As for every cell, with one roll-out per name, so that fused ones are used."""

        def respond(cell: Cell, local: Tensor, memory: State) -> tuple[Tensor, State]:
            return cell.rollout(local, _times_per_cell(times, cell.count), memory)

        local = self.encoder(strains).transpose(-3, -2)
        if state is None and self.training and not self.sampler.asks_all:
            stresses, new_state = self._ask_some(respond, local)
        else:
            state = self.initial_state(strains.shape[:-2]) if state is None else state
            (stresses,), new_state = self._ask(respond, local, state)
        return self._decode(stresses.transpose(-3, -2), self.encoder.matrices_at(strains)), new_state

    def follow(self, strains: Tensor, times: Tensor) -> tuple[Tensor, State]:
        """Stresses (*batch, T+1, 6) as by `rollout`, but without asking MD cells again what they have answered before.

        Only where neither they nor the encoder learn; the state then tells of such cells only whether they failed.
        """
        if self.answers is None or strains.requires_grad or _learns(self.encoder):
            return self.rollout(strains, times)
        batch, dim = strains.shape[:-2], strains.dim() - 2
        found, memories = [], {}
        local = self.encoder(strains).transpose(-3, -2)
        for (name, cell), part in zip(self.cells.items(), local.split(self.counts, dim), strict=True):
            digests = cell.digests()
            if digests is None:
                stresses, memories[name] = cell.rollout(part, _times_per_cell(times, cell.count))
            else:
                stresses, failed = self.answers.rollout(cell, digests, part.flatten(0, dim - 1))
                stresses, memories[name] = stresses.reshape(part.shape), State(failed.reshape(*batch, cell.count))
            found.append(stresses)
        stresses = torch.cat(found, dim).transpose(-3, -2)
        return self._decode(stresses, self.encoder.matrices_at(strains)), _joined(memories)

    def penalty(self, state: State) -> Tensor | None:
        """Those of embedded cells, as a mean over the samples of each."""
        parts = [(cell, getattr(state, name)) for name, cell in self.cells.items()]
        found = [found for cell, memory in parts if (found := cell.penalty(memory)) is not None]
        return torch.stack([penalties.mean(-1) for penalties in found]).sum(0) if found else None

    def stress_and_tangent(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, Tensor, State]:
        """Stress, tangent and state from the cells' own tangents C_m, by C = sum of D_m C_m A_m.

        Where the encoder is not linear, A_m depends on the strain, and six backward passes are taken instead.
        """
        if not self.encoder.linear:
            return super().stress_and_tangent(strain, dt, state)

        def respond(cell: Cell, local: Tensor, memory: State) -> tuple[Tensor, Tensor, State]:
            return cell.stress_and_tangent(local, _per_cell(dt, cell.count), memory)

        with torch.no_grad():
            (stresses, tangents), new_state = self._ask(respond, self.encoder(strain), state)
            matrices = self.encoder.matrices()
            operators = self.decoder.operators(matrices)
            tangent = torch.einsum("mij,...mjk,mkl->...il", operators, tangents, matrices)
            return self._decode(stresses, matrices), tangent, new_state

    def set_scales(self, strain: Tensor, stress_scale: Tensor, times: Tensor | None = None) -> None:
        """Hand the scales to the encoder and to embedded cells, whose strains are of the same size at the start.

        The scale of the stresses of a kind of cells is multiplied by cells / count: at its share in the mean of all
        cells, that kind alone can then make the whole stress.
        """
        self.encoder.set_scales(strain)
        for cell in self.cells.values():
            cell.set_scales(strain, stress_scale * (sum(self.counts) / cell.count), times)

    def reseed(self, *numbers: int) -> None:
        self.sampler.reseed(*numbers)
        for cell in self.cells.values():
            cell.reseed(*numbers)

    @torch.no_grad()
    def localisation(self) -> Localisation:
        """Matrices, operators, amplifications and weights of all cells."""
        matrices = self.encoder.matrices().detach()
        groups = zip(self.names, self.counts, strict=True)
        projectors = volumetric_projector().to(matrices), deviatoric_projector().to(matrices)
        squares = [(matrices @ p).square().sum((-2, -1)) / p.trace() for p in projectors]
        return Localisation(
            names=tuple(f"{name} {index}" for name, count in groups for index in range(count)),
            matrices=matrices.cpu(),
            operators=self.decoder.operators(matrices).cpu(),
            volumetric=squares[0].sqrt().cpu(),
            deviatoric=squares[1].sqrt().cpu(),
            singular_values=torch.linalg.svdvals(matrices).cpu(),
            weights=self.decoder.weights().cpu(),
        )

    def _ask(
        self, respond: Callable[[Cell, Tensor, State], tuple[Any, ...]], local: Tensor, state: State
    ) -> tuple[list[Tensor], State]:
        """What `respond` answers for each embedded cell, joined over the cells, and the new state.

        `local` is (*batch, cells, ..., 6); an answer is tensors (*batch, count, ...) and the cell's state.
        """
        dim = len(state.batch_shape)
        answers, memories = [], {}
        for (name, cell), part in zip(self.cells.items(), local.split(self.counts, dim), strict=True):
            *tensors, memories[name] = respond(cell, part, getattr(state, name))
            _drop_failed_gradients(part, memories[name].failed)
            answers.append(tensors)
        return [torch.cat(parts, dim) for parts in zip(*answers, strict=True)], _joined(memories)

    def _ask_some(
        self, respond: Callable[[Cell, Tensor, State], tuple[Any, ...]], local: Tensor
    ) -> tuple[Tensor, State]:
        """Stresses (*batch, cells, T+1, 6) of some cells, weighted to stand for all, zero for the others, and state.

        Those that are not asked count as failed for as long as it takes, so that MD cells do no work for them.
        """
        batch = local.shape[:-3]
        weights = self.sampler.draw(batch).to(local)
        left_out = dict(zip(self.names, (weights == 0.0).split(self.counts, -1), strict=True))
        state = self.initial_state(batch)
        marked = {name: _with_failed(getattr(state, name), left_out[name]) for name in self.names}
        (stresses,), state = self._ask(respond, local, _joined(marked))
        memories = {name: getattr(state, name) for name in self.names}
        memories = {n: _with_failed(memory, memory.failed & ~left_out[n]) for n, memory in memories.items()}
        weights = weights[..., None, None]
        return torch.where(weights > 0.0, weights * stresses, 0.0), _joined(memories)

    def _decode(self, stresses: Tensor, matrices: Tensor) -> Tensor:
        """Stress (*batch, 6) of the cells' (*batch, cells, 6); NaN without gradient if one is not finite."""
        lost = ~stresses.isfinite().all(-1)
        stress = self.decoder(stresses.masked_fill(lost.unsqueeze(-1), 0.0), matrices)
        return torch.where(lost.any(-1).unsqueeze(-1), torch.nan, stress)


def _check(md: Mapping[str, Cell]) -> None:
    if not md:
        raise ValueError("A PRNN needs at least one embedded cell in md.")
    for name, cell in md.items():
        taken = hasattr(State, name) or hasattr(nn.ModuleDict, name)
        if not name.isidentifier() or name.startswith("_") or taken:
            raise ValueError(
                f"'{name}' cannot name an embedded cell: use letters, digits and underscores, "
                "and no name of a method of State or ModuleDict."
            )
        if not isinstance(cell, Cell):
            raise TypeError(f"md.{name} must be a cell, got {type(cell).__name__}.")
    for what in ("units", "stress_measure"):
        values = {name: getattr(cell, what) for name, cell in md.items()}
        if any(value != values[next(iter(values))] for value in values.values()):
            listed = ", ".join(f"{name}: {value}" for name, value in values.items())
            raise ValueError(f"All embedded cells must share their {what}, got {listed}.")


@torch.no_grad()
def _check_numbers(encoder: Encoder, decoder: Decoder, cells: int) -> None:
    for part, number in ((encoder, len(encoder.matrices())), (decoder, len(decoder.weights()))):
        if number != cells:
            raise ValueError(
                f"{type(part).__name__} is for {number} cells, but md has {cells}: make it for the number that a PRNN "
                "calls it with."
            )


def _learns(module: nn.Module) -> bool:
    return any(weights.requires_grad for weights in module.parameters())


def _per_cell(dt: Number, count: int) -> Number:
    """The increment of each item, (*batch,), for each of its cells, (*batch, count)."""
    return dt.unsqueeze(-1).expand(*dt.shape, count) if isinstance(dt, Tensor) and dt.dim() else dt


def _times_per_cell(times: Tensor, count: int) -> Tensor:
    """Times (T+1,) as they are, or (*batch, T+1) for each item's cells, (*batch, count, T+1)."""
    return times if times.dim() == 1 else times.unsqueeze(-2).expand(*times.shape[:-1], count, -1)


def _joined(memories: dict[str, State]) -> State:
    """One state of all embedded cells' states, failed where any cell is."""
    failed = torch.cat([memory.failed for memory in memories.values()], dim=-1).any(-1)
    return State(failed, **memories)


def _with_failed(memory: State, failed: Tensor) -> State:
    """The state with other marks of failure (*batch,)."""
    return State.from_tree({**memory.tree(), "failed": failed})


def _drop_failed_gradients(local: Tensor, failed: Tensor) -> None:
    """Let failed cells add nothing to the gradient of local strains (*batch, count, ..., 6), not NaN."""
    if local.requires_grad and bool(failed.any()):
        mask = failed.reshape(failed.shape + (1,) * (local.dim() - failed.dim()))
        local.register_hook(lambda gradient: gradient.masked_fill(mask, 0.0))
