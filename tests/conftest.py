"""What tests of several rooms need: made-up data in the text format of published PRNN data, and a small disk."""

import argparse
import inspect
import subprocess
import time
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prnn_md.data.paths import PathOptions, sample_paths
from prnn_md.materials.j2 import J2
from prnn_md.mechanics import cauchy_from_biot, from_mandel, stretch_of


@pytest.fixture(scope="session")
def write_prnn_text() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Writes `count` paths of six increments of an elastoplastic material to a file.

    It returns what is in it, with the zero point: strain and Biot stress (paths, 7, 6) in MPa, times (paths, 7) in s.
    """

    def write(path: Path, count: int = 5) -> tuple[Tensor, Tensor, Tensor]:
        strain, times = sample_paths("proportional_random", count, 0, PathOptions(increments=6, rates=(1e-3, 1e-4)))
        stress, _ = J2(youngs_modulus=3000.0, yield_stress=30.0, units="MPa").rollout(strain, times)
        cauchy = from_mandel(cauchy_from_biot(stress, strain))
        numbers = torch.cat([stretch_of(strain).flatten(-2), cauchy.flatten(-2)], -1)[:, 1:]
        rows = torch.cat([numbers, times.diff(dim=1)[..., None]], -1).tolist()
        blocks = ["".join(" ".join(f"{x:.10f}" for x in row) + " \n" for row in block) for block in rows]
        path.write_text("\n".join(blocks) + "\n")
        return strain, stress, times

    return write


@pytest.fixture(scope="session", autouse=True)
def own_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Answers of cells are those of these tests, in processes that they start as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRNN_MD_ANSWERS", str(tmp_path_factory.mktemp("answers") / "answers.sqlite"))
        yield


@pytest.fixture
def pace() -> float:
    """How many times as long this machine takes now as the one for which limits on seconds were set, at least 1."""
    texts = [Path(str(module.__file__)).read_text() for module in (argparse, inspect, typing)]
    start = time.process_time()
    for text in texts:
        compile(text, "pace", "exec")
    return max(1.0, (time.process_time() - start) / 0.08)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted: {made.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
