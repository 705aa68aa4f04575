"""What studies say of runs, by hand-made lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from prnn_md.app.composition import config_dir
from prnn_md.app.experiments.studies import PAIRS, STUDIES, data_efficiency, draw
from prnn_md.app.experiments.summary import Group, groups_of
from prnn_md.data.dataset import shipped_names


def lines(grid: str, errors: dict[int, list[float]], untrained: float | None = None) -> list[dict[str, Any]]:
    """A line for every seed and number of training paths."""
    found = []
    for n, values in errors.items():
        for seed, error in enumerate(values):
            words = [f"dataset.n_train={n}", f"seed={seed}", "md=polymer" if untrained is not None else "model=gru"]
            metrics = {"test/net_error": error, "untrained/net_error": 2.0 if untrained is None else untrained}
            found.append({"grid": grid, "words": words, "n_train": n, "metrics": metrics})
    return found


def groups(*parts: list[dict[str, Any]]) -> list[Group]:
    return groups_of([line for part in parts for line in part])


def test_data_efficiency_is_the_ratio_of_paths_at_the_target() -> None:
    found = data_efficiency(
        groups(
            lines("PRNN", {1: [0.2, 0.18], 2: [0.14, 0.12], 4: [0.1]}, untrained=0.3),
            lines("GRU", {2: [0.9], 100: [0.19, 0.1], 400: [0.1]}),
            lines("LSTM", {2: [0.9], 300: [0.2]}),
        ),
        ["PRNN", "GRU", "LSTM", "TANN"],
    )
    assert found["net_error"]["PRNN"] == pytest.approx({"0": 0.3, "1": 0.19, "2": 0.13, "4": 0.1})
    assert found["net_error"]["GRU"] == pytest.approx({"0": 2.0, "2": 0.9, "100": 0.145, "400": 0.1})
    assert found["pool"] == 400
    assert found["paths_at_target"] == {"PRNN": 2, "GRU": 100, "LSTM": None}
    assert found["paths_ratio"] == {"GRU": 50.0, "LSTM": 150.0}, "it was given 300 paths"
    assert found["is_lower_bound"] == {"GRU": False, "LSTM": True}


def test_an_untrained_model_at_the_target_counts_as_one_path() -> None:
    found = data_efficiency(
        groups(lines("PRNN", {4: [0.1]}, untrained=0.12), lines("GRU", {300: [0.5]})), ["PRNN", "GRU"]
    )
    assert found["paths_at_target"] == {"PRNN": 1, "GRU": None}
    assert found["paths_ratio"] == {"GRU": 300.0}
    never = data_efficiency(
        groups(lines("PRNN", {4: [0.2]}, untrained=0.3), lines("GRU", {300: [0.1]})), ["PRNN", "GRU"]
    )
    assert never["paths_ratio"] == {"GRU": None}
    assert never["is_lower_bound"] == {"GRU": False}
    unfinished = data_efficiency(groups(lines("GRU", {4: [0.1]})), ["PRNN", "GRU"])
    assert (unfinished["reference"], unfinished["paths_ratio"]) == ("PRNN", {"GRU": None})


def test_ratios_compare_what_was_not_seen_with_what_was() -> None:
    metrics = {f"{test}/{what}": value for test, value in (("cycles", 0.3), ("monotonic", 0.2)) for what in ("error",)}
    metrics |= {"cycles/net_error": 0.2, "monotonic/net_error": -0.05, "cycles/zero_error": 1.1}
    group = Group("PRNN", {"a": "1"}, ({"grid": "PRNN", "words": [], "n_train": 4, "metrics": metrics},))
    (row,) = STUDIES["unloading"]([group], ["PRNN"])["ratios"]
    assert row["error_ratio"] == pytest.approx(1.5)
    assert row["net_error_ratio"] is None, "there is no ratio to an error below the noise"
    assert (row["model"], row["a"], row["cycles_zero"], row["monotonic_zero"]) == ("PRNN", "1", 1.1, None)


def cell_lines() -> list[dict[str, Any]]:
    """Two and eight cells of a grid, two of another; errors untrained and trained."""
    errors = {("PRNN", 2): (0.4, 0.3), ("PRNN", 8): (0.2, 0.1), ("mixed", 2): (0.3, 0.2)}
    return [
        {
            "grid": grid,
            "words": [f"md.polymer.count={count}", "md.polymer.beads=80", f"seed={seed}"],
            "n_train": 8,
            "metrics": {"untrained/net_error": untrained + 0.01 * seed, "test/net_error": trained + 0.01 * seed},
        }
        for (grid, count), (untrained, trained) in errors.items()
        for seed in (0, 2)
    ]


def test_what_training_saves_is_the_cost_of_cells_that_do_as_well_without() -> None:
    rows = STUDIES["cells"](groups(cell_lines()), ["PRNN", "mixed"])["frontier"]
    found = {(row["model"], row["cells"]): row for row in rows}
    assert {key: row["cost"] for key, row in found.items()} == {("PRNN", 2): 160, ("PRNN", 8): 640, ("mixed", 2): 160}
    assert found["PRNN", 8]["untrained"] == pytest.approx(0.21)
    assert found["PRNN", 8]["cost_ratio_to_any"] == pytest.approx(4.0), "two cells of the mixture do it, trained"
    assert all(row["cost_ratio"] == 1.0 for row in rows), "of its own grid none that is cheaper does"
    assert found["PRNN", 2]["cost_ratio_to_any"] == found["mixed", 2]["cost_ratio_to_any"] == 1.0


def test_ways_to_train_are_compared_seed_by_seed() -> None:
    other, first = lines("other", {8: [0.25, 0.30]}, 0.6), lines("first", {8: [0.2, 0.4, 0.6]}, 0.5)
    for line in [*other, *first]:
        line["seed"] = int(line["words"][1].removeprefix("seed="))
    one, two = STUDIES["encoder_gradients"](groups(other, first), ["first", "other"])["ways"]
    assert (one["way"], one["untrained"], one["trained"], one["difference"]) == ("first", 0.5, pytest.approx(0.4), 0.0)
    assert (two["trained"], two["difference"]) == (pytest.approx(0.275), pytest.approx(-0.025))
    assert two["difference_spread"] == pytest.approx(0.15 / 2**0.5)


@pytest.mark.parametrize("name", PAIRS)
def test_a_study_compares_tests_that_its_runs_have(name: str) -> None:
    sweeper = yaml.safe_load((config_dir() / "experiment" / f"{name}.yaml").read_text())["hydra"]["sweeper"]
    for grid in sweeper["grids"].values():
        (option,) = [word.removeprefix("tests=") for word in [*sweeper["common"], *grid] if word.startswith("tests=")]
        tests = yaml.safe_load((config_dir() / "tests" / f"{option}.yaml").read_text())
        assert {test for pair in PAIRS[name] for test in pair} <= {*tests, "test"}


def test_further_tests_ask_for_sets_that_ship() -> None:
    tests = [yaml.safe_load(file.read_text()) or {} for file in (config_dir() / "tests").glob("*.yaml")]
    asked = {keys["path"] for named in tests for keys in named.values() if "path" in keys}
    assert asked
    assert asked <= set(shipped_names())


@pytest.mark.parametrize("name", ["data_efficiency", "composite", "unloading", "cells", "training_options", "mine"])
def test_every_study_has_a_figure(name: str, tmp_path: Path) -> None:
    curves = groups(lines("PRNN", {1: [0.2, 0.3], 4: [0.1]}, untrained=0.3), lines("GRU", {1: [0.8], 4: [0.5, 0.4]}))
    found = groups(cell_lines()) if name == "cells" else curves
    for group in curves:
        for line in group.lines:
            for test in dict.fromkeys(test for pair in PAIRS["unloading"] for test in pair):
                line["metrics"] |= {f"{test}/net_error": 0.2, f"{test}/zero_error": 1.0}
    draw(name, found, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_small_and_large_errors_are_seen_on_one_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, drawn, save = groups(lines("PRNN", {4: [0.2], 408: [0.1]})), list[Figure](), Figure.savefig

    def recorded(figure: Figure, *words: Any, **named: Any) -> None:
        drawn.append(figure)
        save(figure, *words, **named)

    monkeypatch.setattr(Figure, "savefig", recorded)
    for group in found:
        for line in group.lines:
            line["metrics"] |= {"unseen/net_error": 2.5, "unseen/zero_error": 1.1, "test/zero_error": 1.0}
            line["metrics"]["test/net_error"] = 0.07
    draw("confirmation", found, tmp_path / "figure.png")
    (axes,) = drawn[0].axes
    place = axes.transData.transform
    heights = {error: (place((0, error)) - place((0, 0)))[1] / axes.bbox.height for error in (0.07, 1.1, 2.5)}
    assert 0.1 < heights[0.07] < heights[1.1] < heights[2.5] < 1.0
    zeros = sorted({y for lines in axes.collections for (_, y) in np.vstack(lines.get_segments())})
    assert [zero for zero in zeros if zero in (1.0, 1.1)] == [1.0, 1.1]
    legend = axes.get_legend()
    assert legend
    assert {text.get_text() for text in legend.get_texts()} == {"test", "unseen", "predicting zero"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["PRNN, 4 paths", "PRNN, 408 paths"]
