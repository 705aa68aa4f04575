"""Two real processes: gradients are those of one with the whole batch, and errors are those of all."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from prnn_md.app.ranks import run_together

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    assert run_together([sys.executable, str(HERE / "two_ranks.py"), str(folder)], 2) == 0
    return [torch.load(folder / str(rank), weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def fragile() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import fragile

        return fragile


@pytest.mark.parametrize("number", range(6))
def test_gradients_are_those_of_the_whole_batch(
    number: int, fragile: Any, found: list[dict[str, Any]], paths: Any
) -> None:
    """Also where paths fail on one rank or on all of it, and where one has nothing."""
    rows, module = fragile.BATCHES[number], fragile.fragile_module()
    module.training_step(paths.batch(rows), 0).backward()
    for name, weights in module.named_parameters():
        ours, theirs = (each[str(rows)][name] for each in found)
        assert torch.equal(ours, theirs), name
        torch.testing.assert_close(ours, weights.grad, rtol=1e-12, atol=1e-14)


def test_errors_are_those_of_all(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert each["all failed"] == "Epoch 0, batch 0: all 2 paths failed, nothing is left to learn from."
        assert each["disagreement"] == "Ranks 0 and 1 have different answers: 1 and 2."
    first, second = (each["failure"] for each in found)
    assert first.splitlines()[0] == "Rank 1: Path 3: a bond broke."
    assert "two_ranks.py" in first, "with the traceback of rank 1"
    assert second == "Path 3: a bond broke."


def test_rank_0_tells_the_others(found: list[dict[str, Any]]) -> None:
    assert found[1]["told"] == {"fit": "prnn"}
