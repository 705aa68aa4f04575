"""Kernels are compiled by another process, so that this one runs what all others will."""

import importlib
from pathlib import Path

import numpy as np
import pytest

SOURCE = """
from prnn_md.md.kernels.compiled import Kernel


@Kernel
def doubled(x):
    return 2 * x
"""


def test_a_kernel_is_loaded_and_never_compiled_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doubling.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    kernel = importlib.import_module("doubling").doubled
    for x in (3.5, np.arange(3.0)):
        for _ in range(2):
            np.testing.assert_array_equal(kernel(x), 2.0 * x)
    assert sum(kernel.dispatcher.stats.cache_misses.values()) == 0
    assert sum(kernel.dispatcher.stats.cache_hits.values()) == 2


def test_where_the_other_process_fails_the_kernel_is_compiled_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halving.py").write_text(SOURCE.replace("doubled", "halved").replace("2 *", "0.5 *"))
    monkeypatch.syspath_prepend(str(tmp_path))
    kernel = importlib.import_module("halving").halved
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert kernel(3.0) == 1.5
    assert sum(kernel.dispatcher.stats.cache_misses.values()) == 1
