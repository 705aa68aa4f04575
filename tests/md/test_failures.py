"""Each way in which an MD cell or a file of it can fail: what, where and what to do is said, and no other cell suffers.

In `failing` strains, cell 0 of path 1 does something impossible at increment 2; all others do what they can do.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from torch import Tensor

from prnn_md.cell import State
from prnn_md.md.aqs import AQSCell
from prnn_md.md.failure import CellFailure
from prnn_md.md.force_field_file import ForceFieldError, read_force_field
from prnn_md.md.from_files import file_cells
from prnn_md.md.lammps_data import DataFileError, read_lammps_data
from prnn_md.md.langevin import LangevinCell
from prnn_md.md.library import LibraryError, library_path, load_library, save_library
from prnn_md.md.md_cell import MDCell
from prnn_md.md.overdamped import OverdampedCell
from prnn_md.md.polymer import polymer_cells, polymer_force_field
from prnn_md.md.sample import Samples

NAN = float("nan")
CELLS: dict[str, tuple[type[MDCell], dict[str, Any]]] = {
    "aqs": (AQSCell, {"force_tolerance": 1e-4}),
    "overdamped": (OverdampedCell, {"steps": 4, "friction": 20.0}),
    "langevin": (LangevinCell, {"equilibration": 0.0, "temperature": 0.01}),
}
MODES: dict[str, tuple[int, float, str]] = {  # which strain is added, and what is said
    "broken bond": (0, 0.9, "a bond broke: .*take smaller increments"),
    "narrow box": (1, -0.4, "narrower than twice the cutoff: use cells with more particles or a smaller strain"),
    "NaN strain": (3, NAN, "strain.*(finite|NaN)"),
    "infinite strain": (4, float("inf"), "strain.*(finite|infinite)"),
    "flat strain": (2, -1.0, "strain|twice the cutoff"),
    "strain inside out": (2, -2.2, "strain"),
    "tiny box": (0, -0.999, "strain|twice the cutoff"),
}
KINDS = pytest.mark.parametrize("kind", list(CELLS))
BACKENDS = pytest.mark.parametrize("backend", ["kernel", "torch"])
EVERY_MODE = pytest.mark.parametrize("mode", list(MODES))


def library_samples() -> Samples:
    return load_library("polymer_80_a")[0][:2]


def cells_of(kind: str, backend: str, samples: Samples | None = None, **options: Any) -> MDCell:
    """Two cells of one thread each."""
    samples = library_samples() if samples is None else samples
    make, usual = CELLS[kind]
    chosen: dict[str, Any] = {"backend": backend, "threads": 1, **usual, **options}
    return make(samples, polymer_force_field(samples), **chosen)


@cache
def masking(kind: str, backend: str) -> tuple[MDCell, Tensor, Tensor]:
    """Two cells that mask failures, their stresses along the small strains, and the gradient of `loss_of` these."""
    cell, strains = cells_of(kind, backend, on_failure="mask"), small_strains().requires_grad_()
    stresses, state = rolled(cell, strains)
    assert not state.failed.any()
    assert cell.failures == 0
    (gradient,) = torch.autograd.grad(loss_of(stresses), strains)
    return cell, stresses.detach(), gradient


def loss_of(stresses: Tensor) -> Tensor:
    """Half the sum of all squared stresses that are there."""
    return 0.5 * torch.where(stresses.isfinite(), stresses, 0.0).square().sum()


def small_strains() -> Tensor:
    """What all cells can follow: two paths of four points, (2, 2, 4, 6)."""
    direction = torch.tensor([1.0, -0.5, -0.4, 0.2, 0.3, -0.1], dtype=torch.float64)
    sizes = torch.tensor([[0.0, 0.002, 0.003, 0.004], [0.0, -0.002, -0.003, -0.002]], dtype=torch.float64)
    return (sizes[:, None, :, None] * direction).expand(2, 2, 4, 6).clone()


def failing(mode: str) -> Tensor:
    """The small strains, with what is impossible in cell 0 of path 1 from increment 2 on."""
    component, size, _ = MODES[mode]
    strains = small_strains()
    strains[1, 0, 2:, component] += size
    return strains


def rolled(cell: MDCell, strains: Tensor) -> tuple[Tensor, State]:
    """Stresses and state at the end, at a pace that all kinds of dynamics can follow."""
    return cell.rollout(strains, torch.arange(4, dtype=torch.float64) * 0.01)


def lost_items(stresses: Tensor) -> list[list[int]]:
    """Path, cell and increment of all stresses of which any component is not finite."""
    return (~stresses.isfinite().all(-1)).nonzero().tolist()


def overlapping() -> Samples:
    """Two cells, of which the second has its last chain where a particle of it lies on one of the first chain."""
    samples = library_samples()
    samples.positions[1, 60:] += samples.positions[1, 5] - samples.positions[1, 70]
    samples.positions[1, 70] = samples.positions[1, 5]  # without round-off
    return samples


@KINDS
@BACKENDS
@EVERY_MODE
def test_a_failure_names_cell_path_and_increment_and_says_what_to_change(kind: str, backend: str, mode: str) -> None:
    with pytest.raises(CellFailure, match=MODES[mode][2]) as caught:
        rolled(cells_of(kind, backend), failing(mode))
    assert (caught.value.cell, caught.value.path, caught.value.increment) == (0, 1, 2)
    assert str(caught.value).startswith("MD cell 0, path 1, increment 2: ")


@KINDS
@BACKENDS
@EVERY_MODE
def test_a_masked_failure_is_lost_from_there_on_and_leaves_the_others_alone(kind: str, backend: str, mode: str) -> None:
    cell, expected, _ = masking(kind, backend)
    before = cell.failures
    stresses, state = rolled(cell, failing(mode))
    assert lost_items(stresses) == [[1, 0, 2], [1, 0, 3]]
    assert stresses[1, 0, 2:].isnan().all()
    assert state.failed.tolist() == [[False, False], [True, False]]
    assert cell.failures == before + 1
    kept = expected.isfinite()
    kept[1, 0, 2:] = False
    assert torch.equal(stresses[kept], expected[kept])


@KINDS
@BACKENDS
@pytest.mark.parametrize("mode", ["broken bond", "NaN strain"])
def test_gradients_of_the_others_stay_and_those_of_a_masked_failure_are_finite(
    kind: str, backend: str, mode: str
) -> None:
    cell, _, expected = masking(kind, backend)
    strains = failing(mode).requires_grad_()
    (found,) = torch.autograd.grad(loss_of(rolled(cell, strains)[0]), strains)
    others = torch.ones(2, 2, dtype=torch.bool)
    others[1, 0] = False
    torch.testing.assert_close(found[others], expected[others], rtol=1e-9, atol=1e-9)
    assert expected[others].abs().amax() > 1.0
    assert found[1, 0].isfinite().all()
    assert not found[1, 0, 2:].any()


@KINDS
@BACKENDS
def test_a_failed_item_stays_failed_and_is_counted_once(kind: str, backend: str) -> None:
    cell, _, _ = masking(kind, backend)
    _, state = rolled(cell, failing("broken bond"))
    before = cell.failures
    stress, state = cell(small_strains()[:, :, 3], 0.01, state)
    assert stress[1, 0].isnan().all()
    assert stress[0].isfinite().all()
    assert state.failed.tolist() == [[False, False], [True, False]]
    assert cell.failures == before


@KINDS
@BACKENDS
def test_particles_that_overlap_at_rest_are_said_with_their_cell(kind: str, backend: str) -> None:
    options = {"equilibration": 0.02} if kind == "langevin" else {}
    with pytest.raises(CellFailure, match="MD cell 1, path 0, increment 0: .*particles overlap"):
        cells_of(kind, backend, overlapping(), **options)


@KINDS
@BACKENDS
def test_a_cell_that_fails_at_rest_is_refused_also_where_failures_are_masked(kind: str, backend: str) -> None:
    options: dict[str, Any] = {"on_failure": "mask"}
    options |= {"equilibration": 0.02} if kind == "langevin" else {}
    with pytest.raises(CellFailure, match="MD cell 1, path 0, increment 0: .*particles overlap"):
        cells_of(kind, backend, overlapping(), **options)


@BACKENDS
@pytest.mark.parametrize("minimiser", ["newton", "fire"])
def test_a_minimisation_without_enough_evaluations_is_said(backend: str, minimiser: str) -> None:
    """Cells that are not strained are at rest from the start, and need one evaluation only."""
    strains = torch.zeros(2, 2, 4, 6, dtype=torch.float64)
    strains[1, 0, 2:, 0] = 0.05
    options: dict[str, Any] = {"minimiser": minimiser, "max_evaluations": 5}
    with pytest.raises(CellFailure, match="cell 0, path 1, increment 2: .*did not converge: raise max_evaluations"):
        rolled(cells_of("aqs", backend, **options), strains)
    stresses, _ = rolled(cells_of("aqs", backend, on_failure="mask", **options), strains)
    assert lost_items(stresses) == [[1, 0, 2], [1, 0, 3]]


@BACKENDS
@pytest.mark.parametrize("kind", ["overdamped", "langevin"])
def test_steps_that_are_too_long_are_said(kind: str, backend: str) -> None:
    """A bond is what breaks first in cells with inertia."""
    said = "a bond broke" if kind == "langevin" else "the dynamics are unstable: take smaller time steps"
    options: dict[str, Any] = {"timestep": 1.0} if kind == "langevin" else {}
    times = torch.tensor([0.0, 0.005, 50.0, 100.0], dtype=torch.float64)
    with pytest.raises(CellFailure, match=f"increment 2: {said}"):
        cells_of(kind, backend, **options).rollout(small_strains(), times)
    stresses, state = cells_of(kind, backend, on_failure="mask", **options).rollout(small_strains(), times)
    assert stresses[:, :, :2].isfinite().all()
    assert stresses[:, :, 2:].isnan().all()
    assert state.failed.all()


@KINDS
@BACKENDS
def test_a_box_that_is_too_small_at_rest_is_refused(kind: str, backend: str) -> None:
    samples = library_samples()
    samples = samples.moved(samples.positions, 0.6 * samples.box)
    with pytest.raises(ValueError, match=r"Sample \d: its box, .* wide, is narrower than twice the cutoff of 1.5: use"):
        cells_of(kind, backend, samples, **({"equilibration": 0.02} if kind == "langevin" else {}))


# Files

DATA = """two chains of two

4 atoms
2 atom types
2 bonds
0.0 10.0 xlo xhi
0.0 10.0 ylo yhi
0.0 10.0 zlo zhi

Atoms # molecular

1 1 1 1.0 1.0 1.0
2 1 2 2.0 1.0 1.0
3 2 1 5.0 5.0 5.0
4 2 2 5.0 6.0 5.0

Bonds

1 1 1 2
2 1 3 4
"""
FIELD = """
units: lj
exclusions: [bonds]
atomtypes: [A, B]
masses: {A: 1.0, B: 2.0}
lj:
  A: {sigma: 1.0, epsilon: 1.0}
  B: {sigma: 0.9, epsilon: 0.5}
pairs:
  (A, B): {sigma: 0.8, epsilon: 1.5}
fene:
  (A, B): {k0: 30.0, r0: 1.5}
switch: {inner: 1.2, outer: 1.5}
"""


def without(text: str, *parts: str) -> str:
    """The text without these parts, which are in it."""
    for part in parts:
        assert part in text
        text = text.replace(part, "")
    return text


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Any]:
    """Returns `cells(data=DATA, field=FIELD, types=("A", "B"))`: cells from two files of these contents."""

    def cells(data: str = DATA, field: str = FIELD, types: tuple[str, ...] = ("A", "B")) -> Any:
        (tmp_path / "system.data").write_text(data)
        (tmp_path / "field.yaml").write_text(field)
        return file_cells(str(tmp_path / "system.data"), str(tmp_path / "field.yaml"), types, relax=False)

    return cells


def test_whole_files_make_a_cell(files: Callable[..., Any]) -> None:
    assert files().count == 1


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("", "Atoms|atoms|empty"),
        (DATA[: DATA.index("Atoms")], "Atoms"),
        (DATA[: DATA.index("Bonds")], "2 bonds and lists 0"),
        (without(DATA, "2 1 3 4\n"), "2 bonds and lists 1"),
        (without(DATA, "4 2 2 5.0 6.0 5.0\n", "2 1 3 4\n"), "4 atoms and lists 3"),
        (without(DATA, "4 2 2 5.0 6.0 5.0\n"), "particle"),
        (DATA[: DATA.index(" 6.0 5.0")], "line|coordinate"),
        (without(DATA, "4 atoms\n"), "atoms"),
        (without(DATA, "0.0 10.0 ylo yhi\n"), "ylo yhi"),
        (changed(DATA, "0.0 10.0 ylo", "0.0 ylo"), "ylo yhi|line"),
        (changed(DATA, "0.0 10.0 ylo", "10.0 0.0 ylo"), "box"),
        (changed(DATA, "0.0 10.0 ylo", "0.0 nan ylo"), "box"),
        (changed(DATA, "5.0 6.0 5.0", "5.0 nan 5.0"), "position"),
        (changed(DATA, "5.0 6.0 5.0", "5.0 six 5.0"), "six"),
        (changed(DATA, "# molecular", "# ellipsoid"), "ellipsoid"),
        (changed(DATA, "4 2 2 5.0", "3 2 2 5.0"), "particle|twice|number 3"),
        (changed(DATA, "4 2 2 5.0", "4 2 0 5.0"), "type"),
        (changed(DATA, "4 2 2 5.0", "4 2 7 5.0"), "type"),
        (changed(DATA, "2 1 3 4", "2 1 3 9"), "particle|9"),
        (changed(DATA, "2 1 3 4", "2 1 3 3"), "itself|bond"),
        (changed(DATA, "2 1 3 4", "2 1 3"), "line"),
        ("\x00\x01\x02\n" * 5, "Atoms|atoms|line"),
    ],
)
def test_a_damaged_data_file_is_named_with_what_is_wrong(files: Callable[..., Any], data: str, what: str) -> None:
    with pytest.raises(ValueError, match=rf"system\.data.*({what})"):
        files(data=data)


def test_types_are_those_of_the_force_field_whatever_their_order(files: Callable[..., Any]) -> None:
    """With the types of the file called the other way round, and its numbers too, the stress is the same."""
    swapped = DATA.replace(" 1 1.0 1.0", " 9 1.0 1.0").replace(" 2 2.0 1.0", " 1 2.0 1.0").replace(" 9 1.0", " 2 1.0")
    swapped = swapped.replace("3 2 1 5.0", "3 2 9 5.0").replace("4 2 2 5.0", "4 2 1 5.0").replace("3 2 9", "3 2 2")
    one, other = files(), files(data=swapped, types=("B", "A"))
    assert swapped != DATA
    assert one.types.tolist() == other.types.tolist() == [0, 1, 0, 1]
    assert torch.equal(one.residual_stress, other.residual_stress)


def test_an_xyz_file_is_the_same_as_a_data_file(tmp_path: Path) -> None:
    field = "units: lj\natomtypes: [B, A]\nmasses: {A: 1.0, B: 2.0}\nswitch: {inner: 2, outer: 2.5}\n"
    (tmp_path / "pair.yaml").write_text(field + "lj: {A: {sigma: 1.0, epsilon: 1.0}, B: {sigma: 0.9, epsilon: 0.5}}\n")
    box = "0 9 xlo xhi\n0 8 ylo yhi\n0 7 zlo zhi\n1 0.5 0.2 xy xz yz"
    atoms = "1 1 1 1 1\n2 2 2.1 1 1\n3 1 1 2 1.2\n"
    (tmp_path / "a.data").write_text(f"three\n\n3 atoms\n2 atom types\n{box}\n\nAtoms # atomic\n\n{atoms}")
    lines = 'Lattice="9 0 0 1 8 0 0.5 0.2 7" Properties=species:S:1:pos:R:3\nA 1 1 1\nB 2.1 1 1\nA 1 2 1.2\n'
    (tmp_path / "a.xyz").write_text("3\n" + lines)
    one = file_cells(str(tmp_path / "a.data"), str(tmp_path / "pair.yaml"), ["A", "B"], relax=False)
    other = file_cells(str(tmp_path / "a.xyz"), str(tmp_path / "pair.yaml"), relax=False)
    assert torch.equal(one.sample_box, other.sample_box)
    assert torch.equal(one.residual_stress, other.residual_stress)
    for text, what in (("3\nno box\nA 1 1 1\n", "no Lattice"), ("4\n" + lines, "fewer than 4"), ("x\ny\n", "readable")):
        (tmp_path / "a.xyz").write_text(text)
        with pytest.raises(DataFileError, match=rf"a\.xyz: .*{what}"):
            file_cells(str(tmp_path / "a.xyz"), str(tmp_path / "pair.yaml"))


def test_charges_that_the_force_field_does_not_know_are_refused(tmp_path: Path) -> None:
    text = "two\n\n2 atoms\n1 atom types\n0 9 xlo xhi\n0 9 ylo yhi\n0 9 zlo zhi\n\nAtoms # charge\n\n"
    field = "units: lj\natomtypes: [A]\nmasses: {A: 1.0}\nlj: {A: {sigma: 1.0, epsilon: 1.0}}\n"
    field += "switch: {inner: 2, outer: 2.5}"
    (tmp_path / "pair.yaml").write_text(field)
    (tmp_path / "pair.data").write_text(text + "1 1 0.5 1 1 1\n2 1 -0.5 2 1 1\n")
    with pytest.raises(ForceFieldError, match=r"pair.data has charges, which .*pair.yaml knows nothing of"):
        file_cells(str(tmp_path / "pair.data"), str(tmp_path / "pair.yaml"), ["A"])
    (tmp_path / "pair.data").write_text(text + "1 1 0.0 1 1 1\n2 1 0.0 2.1 1 1\n")
    assert file_cells(str(tmp_path / "pair.data"), str(tmp_path / "pair.yaml"), ["A"], relax=False).count == 1


def test_a_data_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"none\.data: no readable LAMMPS data file"):
        read_lammps_data(tmp_path / "none.data")
    (tmp_path / "binary.data").write_bytes(bytes(range(256)))
    with pytest.raises(DataFileError, match=r"binary\.data: no readable LAMMPS data file"):
        read_lammps_data(tmp_path / "binary.data")
    with pytest.raises(DataFileError, match="no readable LAMMPS data file"):
        read_lammps_data(tmp_path)


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("", "atomtypes"),
        ("- a list", "atomtypes"),
        ("atomtypes: [A, B", "no readable force field"),
        ("\tunits: lj", "no readable force field"),
        (FIELD + "switches: {inner: 1.0}\n", "no energy for the sections switches. Allowed: .*switch"),
        (changed(FIELD, "units: lj", "units: metric"), "metric"),
        (changed(FIELD, "atomtypes: [A, B]", "atomtypes: [A]"), "B"),
        (changed(FIELD, "atomtypes: [A, B]", "atomtypes: 3"), "atomtypes"),
        (without(FIELD, "masses: {A: 1.0, B: 2.0}\n"), "masses"),
        (changed(FIELD, "B: 2.0}", "B: -2.0}"), "masses"),
        (changed(FIELD, "B: 2.0}", "B: .nan}"), "masses"),
        (changed(FIELD, "B: 2.0}", "B: heavy}"), "masses"),
        (changed(FIELD, "B: 2.0}", "C: 2.0}"), "masses"),
        (without(FIELD, "  B: {sigma: 0.9, epsilon: 0.5}\n"), r"lj.*\(B\)"),
        (without(FIELD, ", epsilon: 0.5"), "epsilon"),
        (changed(FIELD, "epsilon: 0.5", "epsilon: half"), "epsilon|half"),
        (changed(FIELD, "epsilon: 0.5", "epsilon: -0.5"), "epsilon"),
        (changed(FIELD, "epsilon: 0.5", "epsilon: .nan"), "epsilon"),
        (changed(FIELD, "epsilon: 0.5", "epsilon: .inf"), "epsilon"),
        (changed(FIELD, "epsilon: 0.5", "epsilon:"), "epsilon"),
        (changed(FIELD, "sigma: 0.9", "sigma: 0.0"), "sigma"),
        (changed(FIELD, "sigma: 0.9", "sigma: .inf"), "sigma"),
        (changed(FIELD, "inner: 1.2", "inner: 1.8"), "inner <= outer"),
        (changed(FIELD, "inner: 1.2", "inner: .nan"), "inner"),
        (changed(FIELD, "outer: 1.5", "outer: .inf"), "outer"),
        (without(FIELD, ", outer: 1.5"), "outer"),
        (without(FIELD, "switch: {inner: 1.2, outer: 1.5}\n"), "switch"),
        (changed(FIELD, "switch: {inner: 1.2, outer: 1.5}", "switch: 1.5"), "switch"),
        (changed(FIELD, "  (A, B): {sigma: 0.8", "  (A, Z): {sigma: 0.8"), "pairs.*Z|Z.*pairs"),
        (changed(FIELD, "  (A, B): {sigma: 0.8", "  A B: {sigma: 0.8"), "pairs"),
        (without(FIELD, "sigma: 0.8, "), "pairs.*sigma|sigma.*pairs"),
        (without(FIELD, "fene:\n  (A, B): {k0: 30.0, r0: 1.5}\n"), "no section 'bonds' or 'fene'"),
        (changed(FIELD, "  (A, B): {k0", "  (A, A): {k0"), r"fene.*\(A, B\)"),
        (without(FIELD, ", r0: 1.5"), "r0"),
        (changed(FIELD, "r0: 1.5", "r0: -1.5"), "r0|extent"),
        (changed(FIELD, "r0: 1.5", "r0: .nan"), "r0|extent"),
        (changed(FIELD, "k0: 30.0", "k0: .nan"), "k0|stiffness"),
        (changed(FIELD, "exclusions: [bonds]", "exclusions: [bends]"), "exclusions|bends"),
    ],
)
def test_a_wrong_force_field_file_is_named_with_what_is_wrong(files: Callable[..., Any], field: str, what: str) -> None:
    with pytest.raises(ForceFieldError, match=rf"(?s)field\.yaml.*({what})"):
        files(field=field)


def test_a_force_field_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    none = torch.zeros(0, 2, dtype=torch.int64)
    with pytest.raises(ForceFieldError, match=r"none\.yaml: no readable force field"):
        read_force_field(tmp_path / "none.yaml", ["A"], none)
    (tmp_path / "binary.yaml").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ForceFieldError, match=r"binary\.yaml: no readable force field"):
        read_force_field(tmp_path / "binary.yaml", ["A"], none)


def test_names_of_types_that_do_not_fit_the_files_are_said(files: Callable[..., Any]) -> None:
    with pytest.raises(ForceFieldError, match=r"system\.data has 2 particle types, but types names 1"):
        files(types=("A",))
    with pytest.raises(ForceFieldError, match=r"field\.yaml has no atom types C; it has A, B"):
        files(types=("A", "C"))


def test_a_library_file_that_is_not_there_or_of_other_cells_is_named(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"none\.h5"):
        polymer_cells(tmp_path / "none.h5", beads=80, count=1)
    with pytest.raises(LibraryError, match=r"polymer_80_a\.h5 holds cells of 80 beads, not 160"):
        polymer_cells(library_path("polymer_80_a"), beads=160, count=1)
    with pytest.raises(LibraryError, match=r"count must be between 1 and the .*, got 5000"):
        polymer_cells(library_path("polymer_80_a"), beads=80, count=5000)


def test_a_file_of_another_kind_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5"
    path.write_text("no HDF5")
    with pytest.raises(LibraryError, match=r"cells\.h5 is not a readable cell library"):
        load_library(path)
    with pytest.raises(LibraryError, match=f"{tmp_path.name} is not a readable cell library"):
        load_library(tmp_path)


@pytest.mark.parametrize("attribute", ["schema_version", "provenance", "checksum"])
def test_a_library_without_one_of_its_attributes_or_with_a_strange_one_is_refused(
    tmp_path: Path, attribute: str
) -> None:
    path = tmp_path / "cells.h5"
    save_library(path, library_samples(), {"made_by": "a test"})
    for value in ("strange", None):
        with h5py.File(path, "a") as file:
            if value is None:
                del file.attrs[attribute]
            else:
                file.attrs[attribute] = value
        with pytest.raises(LibraryError, match=r"cells\.h5 is (not a readable cell library|damaged)"):
            load_library(path)


def test_a_library_with_a_group_instead_of_an_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5"
    save_library(path, library_samples(), {"made_by": "a test"})
    with h5py.File(path, "a") as file:
        del file["box"]
        file.create_group("box")
    with pytest.raises(LibraryError, match=r"cells\.h5 is not a readable cell library"):
        load_library(path)
