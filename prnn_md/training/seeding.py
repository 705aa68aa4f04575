"""Independent, reproducible seeds for data, model and cells from one number; free of torch."""

import numpy as np


def derived_seed(seed: int, name: str) -> int:
    """A seed below 2^32 for one purpose, the same in every process and independent of those by other names.

    Raises ValueError for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"A seed must not be negative, got {seed}.")
    return int(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())).generate_state(1)[0])


def resolve_seeds(
    seed: int, data: int | None = None, model: int | None = None, cells: int | None = None
) -> dict[str, int]:
    """The seeds of data, model and cells: those given, the others derived from `seed`."""
    given = {"data": data, "model": model, "cells": cells}
    return {name: derived_seed(seed, name) if value is None else value for name, value in given.items()}
