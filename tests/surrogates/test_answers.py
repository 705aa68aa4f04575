"""Answers of cells that were worked out before are given again, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prnn_md.materials import J2
from prnn_md.md.aqs import AQSCell
from prnn_md.md.crystals import silicon_cells
from prnn_md.md.failure import CellFailure
from prnn_md.md.library import load_library
from prnn_md.md.polymer import polymer_force_field
from prnn_md.surrogates import PRNN, FreeEncoder, HillMandelDecoder, TaylorEncoder
from prnn_md.surrogates.answers import Answers

TIMES = torch.linspace(0, 1, 6, dtype=torch.float64)


class Counting(AQSCell):
    """Counts the paths that it is asked."""

    asked = 0

    def rollout(self, strains, times, state=None):
        self.asked += len(strains)
        return super().rollout(strains, times, state)


def cells(*which: int, **options) -> Counting:
    samples = load_library("polymer_80_a")[0][list(which or (0, 1))]
    return Counting(samples, polymer_force_field(samples), **options)


def paths(count: int) -> Tensor:
    steps = 0.01 * torch.randn(count, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return steps.cumsum(1) - steps[:, :1]


def network(file: Path, cell: AQSCell, encoder=TaylorEncoder, **others) -> PRNN:
    prnn = PRNN(encoder, HillMandelDecoder, {"polymer": cell, **others}, seed=0)
    prnn.answers = Answers(file)
    return prnn


def test_answers_are_the_same_and_worked_out_once(tmp_path: Path) -> None:
    cell, strains = cells(), paths(3)
    expected, _ = PRNN(TaylorEncoder, HillMandelDecoder, {"polymer": cells()}, seed=0).rollout(strains, TIMES)
    prnn = network(tmp_path / "answers.sqlite", cell)
    for _ in range(2):
        stresses, state = prnn.follow(strains, TIMES)
        assert torch.equal(stresses, expected)
        assert state.batch_shape == (3,)
        assert not state.failed.any()
        stresses.square().sum().backward()
    assert cell.asked == 3
    prnn.follow(torch.cat([strains[:1], 0.5 * strains[:2]]), TIMES)
    assert cell.asked == 5, "only what is new"

    others = cells(1, 0)
    network(tmp_path / "answers.sqlite", others).follow(strains, TIMES)
    assert others.asked == 0, "another run with the same samples"


def test_cells_beside_them_are_asked(tmp_path: Path) -> None:
    strains, metal = paths(2), J2(count=3)
    found = [
        network(tmp_path / "answers.sqlite", cells(), metal=metal).follow(strains[None], TIMES)[0] for _ in range(2)
    ]
    assert torch.equal(*found)
    alone = PRNN(TaylorEncoder, HillMandelDecoder, {"polymer": cells(), "metal": metal}, seed=0)
    torch.testing.assert_close(found[0][0], alone.rollout(strains, TIMES)[0], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("change", ["samples", "parameters", "tolerance", "path", "times"])
def test_what_another_answer_may_come_from_is_another_question(change: str, tmp_path: Path) -> None:
    file, strains, times = tmp_path / "answers.sqlite", paths(1), TIMES
    network(file, cells()).follow(strains, times)
    cell = {
        "samples": lambda: cells(0, 2),
        "parameters": lambda: cells(parameters={"epsilon": 1.1}),
        "tolerance": lambda: cells(force_tolerance=1e-5),
    }.get(change, cells)()
    if change == "path":
        strains = strains + 1e-12
    if change == "times":
        times = 2 * times
    network(file, cell).follow(strains, times)
    assert cell.asked == (0 if change == "times" else 1), "no time passes for an athermal cell"


def test_who_learns_asks_every_time(tmp_path: Path) -> None:
    learning, still = cells(trainable=["epsilon"]), cells()
    for cell, encoder in ((learning, TaylorEncoder), (still, FreeEncoder)):
        prnn = network(tmp_path / "answers.sqlite", cell, encoder)
        for _ in range(2):
            _, state = prnn.follow(paths(1), TIMES)
        assert cell.asked == 2
        assert state.polymer.positions.isfinite().all()


def test_who_asks_for_gradients_or_goes_on_gets_a_whole_roll_out(tmp_path: Path) -> None:
    cell, strains = cells(), paths(1).requires_grad_(True)
    prnn = network(tmp_path / "answers.sqlite", cell)
    stresses, _ = prnn.follow(strains, TIMES)
    stresses.square().sum().backward()
    assert strains.grad.abs().max() > 0
    _, state = prnn.rollout(strains.detach()[:, :4], TIMES[:4])
    assert prnn(strains.detach()[:, 4], 0.2, state)[0].isfinite().all()


def test_a_failure_names_its_path_among_known_ones(tmp_path: Path) -> None:
    strains = paths(3)
    prnn = network(tmp_path / "answers.sqlite", cells())
    prnn.follow(strains[:2], TIMES)
    strains[2, 3:, :3] = -1.5
    with pytest.raises(CellFailure, match="path 2, increment 3"):
        prnn.follow(strains, TIMES)


def test_numbers_of_a_term_that_are_no_tensors_count_too() -> None:
    crystal = silicon_cells(structure="crystal", repeats=2, count=1)
    before = crystal.digests()
    term = crystal.force_field.terms["three_body"]
    term.constants = replace(term.constants, lambda_=31.5)
    assert crystal.digests() != before


def test_a_failed_path_is_not_kept(tmp_path: Path) -> None:
    strains, cell = paths(2), cells(on_failure="mask")
    strains[1, 3:, :3] = -1.5
    for count in (2, 3):
        stresses, state = network(tmp_path / "answers.sqlite", cell).follow(strains, TIMES)
        assert state.failed.tolist() == [False, True]
        assert stresses[0].isfinite().all()
        assert cell.asked == count


def test_a_file_that_cannot_be_used_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, cell = tmp_path / "answers.sqlite", cells()
    file.write_bytes(b"no database at all" * 100)
    prnn = network(file, cell)
    for _ in range(2):
        assert prnn.follow(paths(1), TIMES)[0].isfinite().all()
    assert cell.asked == 2
    assert capsys.readouterr().err.count(f"{file}: file is not a database. Answers of cells are not kept") == 1
