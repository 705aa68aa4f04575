"""The documented fields of result.json are those that a finished run has."""

import re
from pathlib import Path
from typing import Any

from prnn_md.app.ledger import SCHEMA_VERSION, Ledger, read_result

TEXT = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| `")]
FIELDS = {row[0].strip("`"): row for row in ROWS if len(row) == 4}
METRICS = {name for row in ROWS if len(row) == 2 for name in re.findall(r"`([^`]+)`", row[0])}

TYPES: dict[str, Any] = {
    "integer": int,
    "number": float,
    "text": str,
    "true": bool,
    "false": bool,
    "null": type(None),
    "list": list,
    "list of texts": list,
    "two numbers": list,
}


def allowed(field: str) -> tuple[type, ...]:
    """The types in the words of the documentation, such as "true, false or null"."""
    words = re.split(r", | or ", FIELDS[field][1])
    return tuple(dict if word.endswith(" by name") else TYPES[word] for word in words)


def test_a_finished_run_has_exactly_the_documented_fields(finished_run: Path) -> None:
    main, compared = read_result(finished_run), read_result(finished_run / "compare" / "gru")
    assert set(main) == set(FIELDS)
    assert set(compared) == set(FIELDS) - {"description"}
    assert set(main["metrics"]) == set(compared["metrics"]) == METRICS
    assert f"are those of `schema_version` {SCHEMA_VERSION}." in TEXT
    wrong = {name: value for name, value in main.items() if not isinstance(value, allowed(name))}
    assert wrong == {}


def test_fields_are_there_since_when_they_are_said_to_be(tmp_path: Path) -> None:
    with Ledger(tmp_path, {"seed": 0, "seeds": {}, "label": "x"}):
        early = set(read_result(tmp_path))
    assert early == {name for name, row in FIELDS.items() if row[2] == "start"}
