"""Four numbers at once against plain arrays."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from prnn_md.compiled import FAST
from prnn_md.md.kernels.vectors import components, index_at, part, row, rows_of, set_part, set_row

OPTIONS = {**FAST, "cache": False}


@njit(**OPTIONS)
def combined(x, indices, numbers, out):
    """Every operation once: differences of rows, squares and products, and rows again."""
    a, b = row(x, index_at(indices, 0)), row(x, index_at(indices, 1))
    c, d = row(x, index_at(indices, 2)), row(x, index_at(indices, 3))
    x0, x1, x2 = components(a - b, b - c, c - d, d - a)
    set_part(numbers, 4, part(numbers, 1) + x0 * x0)
    rows = rows_of(x0, x1, x2)
    for k in range(4):
        set_row(out, k, rows[k] * part(numbers, 0))


def test_operations_are_those_of_arrays() -> None:
    rng = np.random.default_rng(0)
    x, numbers, out = rng.standard_normal((9, 4)), rng.standard_normal(8), np.full((4, 4), 7.0)
    indices = np.array([3, 8, 0, 5], dtype=np.uint32)
    a, b, c, d = x[indices]
    apart, before = np.array([a - b, b - c, c - d, d - a]), numbers.copy()
    combined(x, indices, numbers, out)
    np.testing.assert_allclose(numbers, [*before[:4], *before[1:5] + apart[:, 0] ** 2], rtol=1e-15)
    np.testing.assert_allclose(out, np.column_stack([apart[:, :3], np.zeros(4)]) * before[:4], rtol=1e-15)


@pytest.mark.parametrize("x", [np.zeros((4, 8))[:, ::2], np.zeros((4, 4), dtype=np.float32), np.zeros(16)])
def test_an_array_that_would_be_misread_is_refused(x: np.ndarray) -> None:
    with pytest.raises(TypingError, match="contiguous array of float64 with 2 dimensions"):
        combined(x, np.zeros(4, dtype=np.uint32), np.zeros(8), np.zeros((4, 4)))
