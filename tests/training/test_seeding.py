"""Seeds that are the same everywhere, and need no torch."""

import subprocess
import sys

import pytest

from prnn_md.training.seeding import derived_seed, resolve_seeds


def test_seeds_are_the_same_in_another_process_that_never_loads_torch():
    code = (
        "import sys; from prnn_md.training.seeding import derived_seed;"
        "assert not {'torch', 'lightning'} & set(sys.modules); print(derived_seed(7, 'model'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == derived_seed(7, "model")


def test_seeds_differ_by_name_and_by_seed():
    seeds = [derived_seed(seed, name) for seed in range(50) for name in ("data", "model", "cells", "modelmodel")]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**32 for seed in seeds)


def test_given_seeds_stay():
    resolved = resolve_seeds(3, model=11)
    assert resolved == {"data": derived_seed(3, "data"), "model": 11, "cells": derived_seed(3, "cells")}
    assert resolve_seeds(3, data=0)["data"] == 0


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="negative"):
        derived_seed(-1, "data")
