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
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(TypeError):
        write_text(file, 3)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError), replaced_when_done(file) as temporary:
        temporary.write_text(str(1 / 0))
    with pytest.raises(FileNotFoundError), replaced_when_done(file):
        pass  # nothing was written
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_package_renames_files_nowhere_else() -> None:
    package = Path(__file__).parents[1] / "prnn_md"
    texts = {file.relative_to(package).as_posix(): file.read_text() for file in package.rglob("*.py")}
    assert [name for name, text in texts.items() if "os.replace" in text and not name.startswith("md/")] == ["files.py"]
