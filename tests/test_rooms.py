"""Every module imports only from lower floors, or from its own room."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "app": 8,
    "multiscale": 7,
    "campaign": 7,
    "uq": 6,
    "training": 5,
    "data": 4,
    "labels": 4,
    "surrogates": 3,
    "reference": 3,
    "materials": 2,
    "md": 2,
    "cell": 1,
    "compiled": 0,
    "files": 0,
    "mechanics": 0,
    "progress": 0,
    "statistics": 0,
}
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "train.py", *ROOT.glob("prnn_md/*/**/*.py")])
MODULES += sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("prnn_md/*.py"))


def room_of(module: str) -> str:
    """The room of a file: a folder or a file of the package; train.py belongs to the commands."""
    parts = Path(module).with_suffix("").parts
    return "app" if parts in (("train",), ("prnn_md", "__main__")) else parts[1]


def imported_rooms(source: str) -> set[str]:
    """Rooms of the package that a module imports, anywhere in its text."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("prnn_md.")}


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import prnn_md.md.aqs as x\ndef f():\n    from prnn_md import cell\n    from prnn_md.uq.a import b\n"
    assert imported_rooms(source) == {"md", "cell", "uq"}


def test_every_room_has_its_floor() -> None:
    assert {room_of(module) for module in MODULES} - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_rooms_below_it(module: str) -> None:
    room = room_of(module)
    floor = FLOORS.get(room, -1)  # the package itself imports nothing
    others = imported_rooms((ROOT / module).read_text()) - {room}
    above = {other for other in others if FLOORS[other] >= floor}
    assert not above, f"{module} (floor {floor}) imports {', '.join(sorted(above))}"
