"""Processes share a machine out by an environment variable."""

import os

import pytest

from prnn_md.md.polymer import polymer_cells
from prnn_md.md.threads import THREADS, default_threads


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    assert default_threads() == len(os.sched_getaffinity(0))
    monkeypatch.setenv(THREADS, "7")
    assert default_threads() == polymer_cells("a", 80, 1).threads == 7


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "", "1.5", "²"])
def test_what_is_no_number_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, wrong)
    with pytest.raises(ValueError, match=f"{THREADS} is a number of threads, at least 1; got '{wrong}'"):
        default_threads()
