"""The wheel holds what runs need, versions agree, and everything that is installed is pinned."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, version
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def shipped(folder: Path) -> set[str]:
    """Files of a source folder, without those that a simulation is still writing."""
    return {name for name in files(folder) if ".parts/" not in name and not name.endswith((".partial", ".tmp"))}


def test_wheel_holds_the_package_and_the_configuration(unpacked: Path) -> None:
    wanted = shipped(ROOT / "prnn_md") | {f"conf/{name}" for name in shipped(ROOT / "conf")}
    assert files(unpacked / "prnn_md") == wanted


def test_wheel_holds_what_sweeps_need(unpacked: Path) -> None:
    assert files(unpacked / "hydra_plugins") == files(ROOT / "hydra_plugins")


def test_wheel_holds_cell_libraries_and_datasets(unpacked: Path) -> None:
    assert list((unpacked / "prnn_md/md/libraries").glob("*.h5"))
    assert list((unpacked / "prnn_md/data/sets").glob("*.h5"))


def test_wheel_holds_nothing_else(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {
        "prnn_md",
        "hydra_plugins",
        f"prnn_md-{PROJECT['version']}.dist-info",
    }


def said(script: str, package: Path, folder: Path) -> str:
    """What a Python script prints in another folder, with the package of an unpacked wheel."""
    environment = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout


def test_unpacked_wheel_finds_its_own_configuration(unpacked: Path, tmp_path: Path) -> None:
    line = "from prnn_md.app.composition import config_dir; print(config_dir())"
    assert Path(said(line, unpacked, tmp_path).strip()) == unpacked.resolve() / "prnn_md/conf"


def test_unpacked_wheel_answers_for_help_and_composes_from_another_folder(unpacked: Path, tmp_path: Path) -> None:
    line = "import sys; from prnn_md.app.main import main; sys.exit(main(['train', '--help']))"
    text = said(line, unpacked, tmp_path)
    assert "md.polymer.count" in text
    assert all(option in text for option in ("viscoelastic", "hill_mandel", "wandb"))
    line = "from prnn_md.app.overrides import checked_config; print(*checked_config(['md=j2'])['md'])"
    assert said(line, unpacked, tmp_path).split() == ["j2"]


def test_wheel_has_the_command(unpacked: Path) -> None:
    (entry_points,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "prnn-md = prnn_md.app.main:main" in entry_points.read_text()


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert {citation["version"], newest[1]} == {PROJECT["version"]}


def requirements() -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    return [Requirement(line) for line in lines]


def pins() -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in lines if line)}


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_requirement_is_pinned_as_it_allows(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def needed_by(requirement: Requirement) -> list[Requirement]:
    needs = [Requirement(line) for line in distribution(requirement.name).requires or ()]
    extras = ("", *requirement.extras)
    return [
        need for need in needs if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def test_everything_that_requirements_bring_is_pinned() -> None:
    """Walks the metadata of what is installed; what CUDA builds of torch bring is left to torch."""
    waiting, seen = requirements(), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in seen and not name.startswith(("nvidia-", "cuda-", "triton")):
            seen.add(name)
            waiting += needed_by(requirement)
    assert seen - set(pins()) == set()


def test_installed_versions_are_the_pinned_ones() -> None:
    different = {
        name: version(name).split("+")[0] for name, pin in pins().items() if version(name).split("+")[0] != pin
    }
    assert different == {}


def test_torchvision_stays_out() -> None:
    assert "torchvision" not in pins()


def test_make_help_lists_each_target() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  make (\S+) +\S", shown, flags=re.MULTILINE)
    assert listed == targets
    assert {"train", "test", "lint", "acceptance", "help", "clean"} <= set(targets)


def test_continuous_integration_can_be_started() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
