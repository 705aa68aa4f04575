"""Runs as a study leaves them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the tests, which name the type

from report_study import Study, labels_of_a_test_set


@pytest.fixture(scope="session")
def study(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    bases = {"prnn": finished_run, "gru": finished_run / "compare" / "gru"}
    return Study(bases, labels_of_a_test_set(), tmp_path_factory.mktemp("study"))
