"""The published text format is read as Biot strain and Biot stress, and what is wrong is named with its line."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prnn_md.data.prnn_text import PrnnTextFile, read_prnn_text
from prnn_md.data.verification import DatasetError
from prnn_md.mechanics import COMPONENTS

REAL = Path(__file__).parents[3] / "shared" / "data" / "prnn3d_propgp.data"  # published, and not ours to copy
"""The published test set of a fibre composite, on machines that have it."""

Write = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def test_paths_are_those_that_were_written(write_prnn_text: Write, tmp_path: Path) -> None:
    strain, stress, times = write_prnn_text(tmp_path / "made.data")
    data = read_prnn_text(tmp_path / "made.data")
    torch.testing.assert_close(data.strain, strain, rtol=0, atol=1e-9)
    torch.testing.assert_close(data.stress, stress, rtol=0, atol=1e-5)
    torch.testing.assert_close(data.times, times, rtol=0, atol=1e-6)
    assert (data.units, data.time_unit, data.stress_measure) == ("MPa", "s", "biot")
    assert data.family == ("proportional_random",) * 5
    assert data.split == ("",) * 5
    assert data.replica_count.tolist() == [0] * 5
    assert not data.standard_error.any()
    digest = hashlib.sha256((tmp_path / "made.data").read_bytes()).hexdigest()
    assert data.provenance == {
        "made_by": "prnn-md dataset import prnn_text",
        "file": "made.data",
        "sha256": digest,
    }


@pytest.mark.skipif(not REAL.exists(), reason="the published data do not lie beside the repository")
def test_the_published_file_is_read_by_value() -> None:
    data = read_prnn_text(REAL)
    assert data.strain.shape == (100, 81, 6)
    numbers = np.loadtxt(REAL).reshape(100, 80, 19)
    for path in (0, 99):
        stretch, cauchy = (numbers[path, :, part].reshape(80, 3, 3) for part in (slice(9), slice(9, 18)))
        nominal = np.linalg.det(stretch)[:, None, None] * cauchy @ np.linalg.inv(stretch)
        biot = 0.5 * (nominal + nominal.transpose(0, 2, 1))
        for place, name in enumerate(COMPONENTS):
            i, j = ("xyz".index(axis) for axis in name)
            weight = 1.0 if i == j else 2.0**0.5
            expected = stretch[:, i, j] - float(i == j)
            np.testing.assert_allclose(data.strain[path, 1:, place] / weight, expected, atol=1e-12)
            np.testing.assert_allclose(data.stress[path, 1:, place] / weight, biot[:, i, j], atol=1e-8)
        np.testing.assert_allclose(data.times[path, 1:], numbers[path, :, 18].cumsum(), rtol=1e-12)
    for values in (data.strain, data.stress, data.times):
        assert not values[:, 0].any()


def words_changed(changes: dict[int, str]) -> Callable[[str], str]:
    """A line with some words replaced, by their place from 1."""
    return lambda line: " ".join(changes.get(place, word) for place, word in enumerate(line.split(), start=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line.rsplit(" ", 1)[0], "18 numbers, where there must be 19"),
        (lambda line: line + " 1.0", "20 numbers, where there must be 19"),
        (words_changed({4: "one"}), "number 4: 'one' is not a finite number"),
        (words_changed({12: "nan"}), "number 12: 'nan' is not a finite number"),
        (words_changed({1: "-inf"}), "number 1: '-inf' is not a finite number"),
        (words_changed({2: "0.5"}), "the right stretch is not symmetric, by 0.[45]"),
        (words_changed({11: "1e4"}), "the Cauchy stress is not symmetric, by "),
        (words_changed({5: "-1.0"}), "the stretch has principal value -1"),
        (words_changed({19: "0.0"}), "the time increment must be positive, got 0"),
        (words_changed({19: "-2.5"}), "the time increment must be positive, got -2.5"),
    ],
)
def test_a_bad_line_is_named(
    change: Callable[[str], str], message: str, write_prnn_text: Write, tmp_path: Path
) -> None:
    file = tmp_path / "made.data"
    write_prnn_text(file)
    lines = file.read_text().splitlines()
    assert lines[6] == ""
    lines[9] = change(lines[9].strip())  # the third increment of the second path
    file.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=f"^{re.escape(str(file))}, line 10(,|:) .*{message}"):
        read_prnn_text(file)


def test_rounding_is_no_asymmetry(write_prnn_text: Write, tmp_path: Path) -> None:
    file = tmp_path / "made.data"
    write_prnn_text(file)
    exact = read_prnn_text(file)
    lines = file.read_text().splitlines()
    words = lines[2].split()
    words[10] = f"{float(words[10]) + 1e-9:.10f}"
    lines[2] = " ".join(words)
    file.write_text("\n".join(lines))
    torch.testing.assert_close(read_prnn_text(file).stress, exact.stress, rtol=0, atol=1e-8)


def test_paths_of_another_length_are_named(write_prnn_text: Write, tmp_path: Path) -> None:
    file = tmp_path / "made.data"
    write_prnn_text(file)
    lines = file.read_text().splitlines()
    del lines[17]
    file.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="line 19: path 2 ends after 5 increments, the first after 6"):
        read_prnn_text(file)


@pytest.mark.parametrize(
    ("content", "message"), [(b"\n \n", "no lines of numbers"), (b"\xff\xfe", "not a readable text")]
)
def test_what_is_no_such_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "some.data").write_bytes(content)
    with pytest.raises(DatasetError, match=f"some.data: .*{message}"):
        read_prnn_text(tmp_path / "some.data")
    with pytest.raises(DatasetError, match="gone.data: not a readable text file: "):
        read_prnn_text(tmp_path / "gone.data")


def test_an_open_file_has_uses_that_are_always_the_same(write_prnn_text: Write, tmp_path: Path) -> None:
    write_prnn_text(tmp_path / "made.data", 10)
    file, again = (PrnnTextFile(tmp_path / "made.data") for _ in range(2))
    file.verify()
    assert file.split == again.split
    assert [file.split.count(use) for use in ("train", "valid", "test")] == [6, 2, 2]
    torch.testing.assert_close(file.read([3, 1]).stress, file.read().stress[[3, 1]], rtol=0, atol=0)


def test_the_same_path_twice_is_refused(write_prnn_text: Write, tmp_path: Path) -> None:
    write_prnn_text(tmp_path / "made.data")
    text = (tmp_path / "made.data").read_text()
    (tmp_path / "made.data").write_text(text + text)
    with pytest.raises(DatasetError, match="made.data: /strain: .*paths 0 and 5 are the same"):
        PrnnTextFile(tmp_path / "made.data").verify()
