"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from prnn_md.files import replaced_when_done, write_text


def test_a_file_takes_its_place_when_the_block_has_succeeded(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with replaced_when_done(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(TypeError):
        write_text(tmp_path / "a.txt", 3)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError), replaced_when_done(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_the_package_renames_files_nowhere_else() -> None:
    package = Path(__file__).parents[1] / "prnn_md"
    renaming = {file.relative_to(package).as_posix() for file in package.rglob("*.py") if "os.replace" in file.read_text()}
    assert renaming == {"files.py", "md/library.py"}
