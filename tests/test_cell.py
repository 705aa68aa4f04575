"""States as trees of tensors, and what every cell can do because it has a step."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prnn_md.cell import Cell, Number, State, chunked_rollout, time_steps
from prnn_md.mechanics import LJ


class Relaxing(Cell):
    """T = (1 + |E|^2) E - q with a stress q that follows dq/dt = E - q, by one implicit Euler step."""

    units = LJ
    rate_dependent = True

    def initial_state(self, batch_shape: Sequence[int]) -> State:
        failed = torch.zeros(tuple(batch_shape), dtype=torch.bool)
        return State(failed, relaxed=torch.zeros((*batch_shape, 6), dtype=torch.float64))

    def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
        step = torch.as_tensor(dt, dtype=torch.float64).unsqueeze(-1)
        relaxed = (state.relaxed + step * strain) / (1 + step)
        stress = (1 + strain.square().sum(-1, keepdim=True)) * strain - relaxed
        return stress, State(state.failed, relaxed=relaxed)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def state() -> State:
    """Three by two items; a scalar each, and within it a state with a vector for each of four parts."""
    parts = State(torch.zeros(3, 2, 4, dtype=torch.bool), place=drawn(0, 3, 2, 4, 5))
    failed = torch.tensor([[False, True], [False, False], [True, False]])
    return State(failed, level=drawn(1, 3, 2), parts=parts, steps=torch.arange(6).reshape(3, 2))


def same(first: State, second: State) -> bool:
    def equal(one: dict, other: dict) -> bool:
        if one.keys() != other.keys():
            return False
        pairs = [(one[name], other[name]) for name in one]
        return all(equal(a, b) if isinstance(a, dict) else torch.equal(a, b) for a, b in pairs)

    return equal(first.tree(), second.tree())


def test_entries_are_attributes(state: State) -> None:
    assert state.batch_shape == (3, 2)
    assert state.level.shape == (3, 2)
    assert state.parts.place.shape == (3, 2, 4, 5)
    for name in ("place", "_place"):
        with pytest.raises(AttributeError, match=f"no entry '{name}'"):
            getattr(state, name)


def test_an_index_selects_along_the_batch_of_the_whole_tree(state: State) -> None:
    row = state[1]
    assert row.batch_shape == (2,)
    assert torch.equal(row.parts.place, state.parts.place[1])
    item = state[2, 0]
    assert item.batch_shape == ()
    assert bool(item.failed)
    healthy = state[~state.failed]
    assert healthy.batch_shape == (4,)
    assert healthy.steps.tolist() == [0, 2, 3, 5]
    assert same(state[:2], state[torch.tensor([0, 1])])


def test_a_clone_stands_alone(state: State) -> None:
    kept, copy = state.clone(), state.clone()
    copy.parts.place.zero_()
    copy.failed.fill_(True)
    assert same(state, kept)


def test_stack_and_cat_undo_an_index(state: State) -> None:
    assert same(State.stack([state[i] for i in range(3)]), state)
    assert same(State.cat([state[:1], state[1:]]), state)


@pytest.mark.parametrize("join", [State.stack, State.cat])
def test_states_of_another_structure_do_not_join(state: State, join: Callable[[list[State]], State]) -> None:
    with pytest.raises(KeyError):
        join([state, State(state.failed, level=state.level)])


def test_a_saved_state_comes_back(state: State, tmp_path: Path) -> None:
    state.save(tmp_path / "state.pt")
    assert same(State.load(tmp_path / "state.pt"), state)


def test_a_tree_of_plain_dictionaries_and_back(state: State) -> None:
    tree = state.tree()
    assert set(tree) == {"failed", "level", "parts", "steps"}
    assert set(tree["parts"]) == {"failed", "place"}
    assert same(State.from_tree(tree), state)


def test_bytes_of_all_tensors(state: State) -> None:
    flags, numbers = 6 + 24, 6 + 120 + 6
    assert state.nbytes == flags + 8 * numbers


def test_map_reaches_every_tensor(state: State) -> None:
    shapes = []
    state.map(lambda tensor: shapes.append(tuple(tensor.shape)) or tensor)
    assert sorted(shapes) == sorted([(3, 2), (3, 2), (3, 2), (3, 2, 4), (3, 2, 4, 5)])


def test_detach_leaves_the_graph_and_to_converts(state: State) -> None:
    tracked = State(state.failed, level=state.level.requires_grad_() * 2)
    assert tracked.level.requires_grad
    assert not tracked.detach().level.requires_grad
    assert state.to("meta").parts.place.device.type == "meta"


def test_entries_must_begin_with_the_batch() -> None:
    failed = torch.zeros(3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"'level' has shape \(2, 6\), batch is \(3,\)"):
        State(failed, level=torch.zeros(2, 6))
    with pytest.raises(ValueError, match="'parts' has shape"):
        State(failed, parts=State(torch.zeros(2, 3, dtype=torch.bool)))
    with pytest.raises(ValueError, match="'level' has shape"):
        State(failed, level=torch.zeros(()))


def test_rollout_under_a_strain_that_stays() -> None:
    """Implicit Euler has q_n = E (1 - (1 + dt)^-n); the first point, of no duration, has q = 0."""
    dt, points = 0.3, 8
    strain = 0.1 * drawn(2, 4, 6)
    times = dt * torch.arange(points, dtype=torch.float64)
    stresses, state = Relaxing().rollout(strain[:, None].expand(4, points, 6), times)
    relaxed = 1 - (1 + dt) ** -torch.arange(points, dtype=torch.float64)
    elastic = (1 + strain.norm(dim=-1, keepdim=True) ** 2) * strain
    torch.testing.assert_close(stresses, elastic[:, None] - relaxed[:, None] * strain[:, None])
    torch.testing.assert_close(state.relaxed, relaxed[-1] * strain)


def test_a_rollout_goes_on_from_a_state() -> None:
    cell, strains, times = Relaxing(), 0.1 * drawn(3, 2, 9, 6), torch.linspace(0, 2, 9, dtype=torch.float64)
    whole, end = cell.rollout(strains, times)
    _, middle = cell.rollout(strains[:, :5], times[:5])
    rest, late = cell.rollout(strains[:, 4:], times[4:], middle)
    torch.testing.assert_close(rest, whole[:, 4:])
    assert same(late, end)


def test_every_path_may_have_its_own_times() -> None:
    cell, strains = Relaxing(), 0.1 * drawn(4, 2, 5, 6)
    times = torch.linspace(0, 1, 5, dtype=torch.float64) * torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    together, _ = cell.rollout(strains, times)
    for path in range(2):
        alone, _ = cell.rollout(strains[path], times[path])
        torch.testing.assert_close(together[path], alone)


def test_tangent_is_the_derivative_of_the_increment() -> None:
    """dT/dE = (1 + |E|^2 - dt / (1 + dt)) I + 2 E E^T."""
    dt, strain = 0.5, 0.1 * drawn(5, 3, 2, 6)
    start = Relaxing().initial_state((3, 2))
    with torch.no_grad():
        stress, tangent, state = Relaxing().stress_and_tangent(strain, dt, start)
    square = strain.square().sum(-1)[..., None, None]
    outer = strain.unsqueeze(-1) * strain.unsqueeze(-2)
    torch.testing.assert_close(tangent, (1 + square - dt / (1 + dt)) * torch.eye(6, dtype=torch.float64) + 2 * outer)
    direct, new = Relaxing()(strain, dt, start)
    assert torch.equal(stress, direct)
    assert same(state, new)
    assert not (stress.requires_grad or tangent.requires_grad or state.relaxed.requires_grad)


def test_tangent_of_a_stress_that_does_not_depend_on_the_strain_is_zero() -> None:
    class Deaf(Relaxing):
        def forward(self, strain: Tensor, dt: Number, state: State) -> tuple[Tensor, State]:
            stress = strain * torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64)
            return torch.cat([stress[..., :1], torch.ones_like(strain[..., 1:])], dim=-1), state

    _, tangent, _ = Deaf().stress_and_tangent(drawn(6, 2, 6), 0.0, Deaf().initial_state((2,)))
    expected = torch.zeros(2, 6, 6, dtype=torch.float64)
    expected[:, 0, 0] = 1.0
    assert torch.equal(tangent, expected)


@pytest.mark.parametrize("chunk", [1, 2, 5, 9])
@pytest.mark.parametrize("own_times", [False, True])
def test_chunks_change_nothing(chunk: int, own_times: bool) -> None:
    cell, strains = Relaxing(), 0.1 * drawn(7, 5, 3, 4, 6)
    times = torch.linspace(0, 1, 4, dtype=torch.float64)
    if own_times:
        times = times * torch.arange(1.0, 16.0, dtype=torch.float64).reshape(5, 3, 1)
    whole, end = cell.rollout(strains, times)
    parts, state = chunked_rollout(cell, strains, times, chunk)
    assert torch.equal(parts, whole)
    assert same(state, end)


def test_a_chunk_holds_something() -> None:
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        chunked_rollout(Relaxing(), torch.zeros(2, 3, 6), torch.zeros(3), 0)


def test_time_steps_end_at_their_times_and_begin_with_none() -> None:
    assert time_steps(torch.tensor([1.0, 1.5, 3.5])).tolist() == [0.0, 0.5, 2.0]
    assert time_steps(torch.tensor([[0.0, 1.0], [2.0, 5.0]])).tolist() == [[0.0, 1.0], [0.0, 3.0]]


def test_a_cell_that_defines_no_step_says_so() -> None:
    with pytest.raises(NotImplementedError):
        Cell().initial_state((1,))
    with pytest.raises(NotImplementedError):
        Cell()(torch.zeros(6), 0.0, State(torch.tensor(False)))
