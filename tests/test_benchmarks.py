"""Benchmarks run, and write rows that can be compared over time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_md_engine_writes_rows_of_ours_against_a_peer(tmp_path: Path) -> None:
    table = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "benchmarks/md_engine.py"), "--quick", "--json", str(table)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(table.read_text())
    assert [row["name"] for row in rows] == [
        "force_vs_lammps",
        "aqs_vs_lammps",
        "forces_vs_torchmd",
        "backward_vs_forward",
        "two_cores_vs_one",
        "cells_4096_vs_32",
        "compiled_vs_eager",
    ]
    for row in rows:
        assert set(row) == {"name", "ours", "peer", "ratio", "unit"}
        assert row["ours"] > 0
        assert row["peer"] > 0
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"])
        assert row["name"] in done.stdout
        assert row["unit"] in done.stdout


def test_label_store_writes_rows_with_goals(tmp_path: Path) -> None:
    table = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "benchmarks/label_store.py"), "--quick", "--json", str(table)]
    done = subprocess.run([*command, "--folder", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(table.read_text())
    assert [row["name"] for row in report["rows"]] == [
        "scale_time",
        "scale_command",
        "scale_worker",
        "scale_disk",
        "serial_overhead",
        "serial_last_first",
        "pool_overhead",
        "pool_last_first",
        "two_workers_vs_one",
        "two_processes_vs_one",
    ]
    for row in report["rows"]:
        assert row["value"] > 0
        assert row["name"] in done.stdout
    assert report["size"]["elements"] == 20
    assert [file.name for file in tmp_path.iterdir()] == ["rows.json"]


def test_surrogates_write_rows_of_ours_against_a_peer(tmp_path: Path) -> None:
    table = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "benchmarks/surrogates"), "--quick", "--json", str(table)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(table.read_text())
    assert [row["name"] for row in rows] == [
        "j2_1280",
        "j2_10240",
        "j2_batch_1280",
        "gru_1280",
        "md_1280",
        "md_10240",
        "md_batch_10240",
        "md_equal_error",
        "md_j2_equal_error",
        "jax_8",
        "jax_512",
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
        assert row["name"] in done.stdout
    peers = {row["name"]: row["peer"] for row in rows}
    for name, error in (("md_equal_error", 0.085), ("md_j2_equal_error", 0.062)):
        samples = peers[name] / (peers["md_1280"] / 5)
        assert samples == pytest.approx((0.164 / error) ** 2), "a label of five samples is that much longer than one"
    assert [row["name"] for row in rows if row.get("compile", 0.0) > 0.0] == ["jax_8", "jax_512"]


@pytest.mark.acceptance
def test_sweeps_write_rows_of_ours_against_a_peer(tmp_path: Path) -> None:
    table = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "benchmarks/sweeps.py"), "--quick", "--json", str(table)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(table.read_text())
    assert [row["name"] for row in rows] == ["jobs_vs_xargs", "start_vs_import"]
    assert all(row["ratio"] == pytest.approx(row["ours"] / row["peer"]) for row in rows)
    assert all(row["name"] in done.stdout for row in rows)
    assert [file.name for file in tmp_path.iterdir()] == ["rows.json"]
