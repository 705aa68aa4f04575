"""Predictions along paths: chunked, with failures marked, and kept for a restart."""

from functools import partial
from pathlib import Path

import pytest
import torch

from prnn_md.app.evaluation import errors, kept_for_a_restart, predicted_stress
from prnn_md.cell import Cell, State
from prnn_md.data.dataset import read_dataset
from prnn_md.materials.j2 import J2
from prnn_md.md.polymer import polymer_cells
from prnn_md.training.module import PathFailure


class Fragile(J2):
    """Fails on the second path that it is given."""

    def rollout(self, strains, times, state=None):
        stresses, state = super().rollout(strains, times, state)
        failed = torch.zeros(len(strains), dtype=torch.bool)
        failed[1:2] = True
        return torch.where(failed[:, None, None], torch.nan, stresses), State(failed)


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_chunks_do_not_change_the_prediction(chunk: int, tiny_dataset: Path, capsys: pytest.CaptureFixture) -> None:
    data, cell = read_dataset(tiny_dataset), J2().train()
    stress, failed = predicted_stress(cell, data, chunk, "J2")
    torch.testing.assert_close(stress, cell.rollout(data.strain, data.times)[0])
    assert not failed.any()
    assert cell.training
    assert "J2: 12 of 12 paths" in capsys.readouterr().err


def test_failed_paths_are_nan_and_count_as_zero(tiny_dataset: Path) -> None:
    data = read_dataset(tiny_dataset).select("test")
    cell: Cell = Fragile()
    stress, failed = predicted_stress(cell, data, 3, "fragile")
    assert failed.tolist() == [False, True, False]
    assert stress[1].isnan().all()
    assert stress[[0, 2]].isfinite().all()
    answered = stress.clone()
    answered[1] = 0.0
    assert errors(stress, failed, data) == errors(answered, torch.zeros(3, dtype=torch.bool), data)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_a_cell_that_gives_up_names_file_path_and_increment(chunk: int, tiny_dataset: Path) -> None:
    data = read_dataset(tiny_dataset).select([7, 5, 9])
    data.strain[1, 2, 0] = 0.9
    cell = polymer_cells("a", 160, 1)
    cell.rollout = partial(_each_path_in_every_cell, cell.rollout)
    with pytest.raises(PathFailure, match="^tiny.h5, path 5, increment 2: MD cell 0: a bond broke"):
        predicted_stress(cell, data, chunk, "cell", "tiny.h5", [7, 5, 9])


def _each_path_in_every_cell(rollout, strains, times):
    stresses, state = rollout(strains.unsqueeze(-3), times)
    return stresses.squeeze(-3), State(state.failed.squeeze(-1))


def test_what_is_remembered_is_not_computed_again(tmp_path: Path) -> None:
    value = torch.ones(2), torch.zeros(2, dtype=torch.bool)
    file = tmp_path / "deep" / "value.pt"
    kept_for_a_restart(file, lambda: value)
    again = kept_for_a_restart(file, lambda: pytest.fail("computed again"))
    assert all(torch.equal(old, new) for old, new in zip(value, again, strict=True))
