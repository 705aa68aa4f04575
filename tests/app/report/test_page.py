"""The command writes a page with the runs in it, whole or not at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from report_study import content

from prnn_md.app.main import main
from prnn_md.app.report.page import common_folder, json_script, page


def test_a_single_run_is_reported_with_what_it_was_compared_with(finished_run: Path, tmp_path: Path) -> None:
    assert main(["report", str(finished_run), "--output", str(tmp_path / "new" / "one.html")]) == 0
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["one.html"]
    found = content(tmp_path / "new" / "one.html")
    assert [run["name"] for run in found["runs"]] == ["finished", "finished/compare/gru"]
    assert main(["report", str(finished_run / "compare" / "gru"), "--output", str(tmp_path / "part.html")]) == 0
    assert [run["name"] for run in content(tmp_path / "part.html")["runs"]] == ["finished/compare/gru"]
    assert not found["seeds"]
    assert not found["searches"]
    [pair] = found["pairs"]
    assert (pair["key"], pair["from"], pair["to"]) == ("model", "PRNN", "GRU")
    prnn, gru = (run["net_error"] for run in found["runs"])
    assert pair["values"]["net_error"] == pytest.approx([gru - prnn])


def test_nothing_in_the_data_ends_their_script() -> None:
    text = json_script({"message": "</script><script>alert(1)</script>"})
    assert "<" not in text
    assert json.loads(text) == {"message": "</script><script>alert(1)</script>"}
    assert "<title>a &lt;b&gt;</title>" in page("a <b>", {})


def test_the_page_lies_in_the_common_folder(tmp_path: Path) -> None:
    assert common_folder([tmp_path / "a"]) == tmp_path / "a"
    assert common_folder([tmp_path / "a" / "b", tmp_path / "a" / "c"]) == tmp_path / "a"


def test_a_place_without_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert f"There is no run in {tmp_path}" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "missing")]) == 1
    assert f"There is no folder {tmp_path / 'missing'}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom prnn_md.app.main import main\ntry: main(['report', '--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'numpy', 'plotly', 'h5py'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("usage: prnn-md report")
    assert shown.endswith("set()\n")
