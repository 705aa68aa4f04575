"""Benchmarks run, and write rows that can be compared over time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_aqs_increment_writes_rows_of_ours_against_a_peer(tmp_path: Path) -> None:
    table = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "benchmarks/aqs_increment.py"), "--quick", "--json", str(table)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(table.read_text())
    assert rows
    for row in rows:
        assert set(row) == {"name", "ours", "peer", "ratio", "unit"}
        assert row["ours"] > 0
        assert row["peer"] > 0
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"])
        assert row["name"] in done.stdout
        assert row["unit"] in done.stdout
    assert len({row["name"] for row in rows}) == len(rows)
