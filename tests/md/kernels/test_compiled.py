"""Kernels are compiled by another process, so that this one runs what all others will."""

import fcntl
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SOURCE = """
from prnn_md.compiled import Kernel


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


def test_a_process_waits_for_another_that_compiles_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tripling.py").write_text(SOURCE.replace("doubled", "tripled").replace("2 *", "3 *"))
    monkeypatch.syspath_prepend(str(tmp_path))
    kernel = importlib.import_module("tripling").tripled
    lock = Path(kernel.dispatcher._cache.cache_path) / "tripling.tripled.lock"
    command = [sys.executable, "-c", "import tripling; print(tripling.tripled(2.0), flush=True)"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(15.0)
    assert other.communicate()[0] == "6.0\n"
    assert kernel(2.0) == 6.0
    assert sum(kernel.dispatcher.stats.cache_hits.values()) == 1
