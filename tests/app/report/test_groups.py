"""Seeds are averaged over, and differences are taken between runs that share them."""

import statistics
from pathlib import Path

import pytest
from report_study import Study

from prnn_md.app.report.groups import data_efficiency, distinct, seed_groups, seed_table
from prnn_md.app.report.pairs import paired_differences
from prnn_md.app.report.runs import find_runs


def test_seeds_become_mean_and_spread(study: Study, tmp_path: Path) -> None:
    errors = [0.10, 0.14, 0.12]
    for seed, error in enumerate(errors):
        study.write(tmp_path / f"prnn{seed}", "prnn", error, seed)
    study.write(tmp_path / "again", "prnn", 0.13, 2)  # the same once more says nothing about the spread
    study.write(tmp_path / "alone", "gru", 0.5)
    study.write(tmp_path / "failed", "prnn", 0.9, 7, status="failed")
    [group] = seed_table(seed_groups(distinct(find_runs([tmp_path]))))
    assert (group["name"], group["model"], group["n_train"], len(group["runs"])) == ("PRNN", "PRNN", 4, 3)
    found = group["samples"]["net_error"]
    kept = [0.10, 0.14, 0.12]
    assert found["n"] == 3
    assert found["mean"] == pytest.approx(statistics.mean(kept))
    assert found["spread"] == pytest.approx(statistics.stdev(kept))
    assert found["half_width"] == pytest.approx(4.3027 * statistics.stdev(kept) / 3**0.5, rel=1e-4)


def test_groups_are_named_by_what_varies(study: Study, tmp_path: Path) -> None:
    for seed in range(2):
        for count in (2, 4):
            study.write(tmp_path / f"{count}-{seed}", "prnn", 0.1, seed, md__j2__count=count)
        study.write(tmp_path / f"gru-{seed}", "gru", 0.4, seed)
    groups = seed_groups(distinct(find_runs([tmp_path])))
    assert sorted(group.name for group in groups) == ["GRU", "PRNN, md.j2.count=2", "PRNN, md.j2.count=4"]


def test_series_over_training_paths(study: Study, tmp_path: Path) -> None:
    for n_train, error in ((2, 0.3), (8, 0.2)):
        for seed in range(2):
            study.write(tmp_path / f"{n_train}-{seed}", "prnn", error + 0.01 * seed, seed, n_train)
    study.write(tmp_path / "gru", "gru", 0.5)
    [series] = data_efficiency(distinct(find_runs([tmp_path])))
    assert series["name"] == "PRNN"
    assert [point["n_train"] for point in series["points"]] == [2, 8]
    assert [point["samples"]["net_error"]["mean"] for point in series["points"]] == pytest.approx([0.305, 0.205])


def test_pairs_share_seeds_and_differ_in_one_thing(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        luck = 0.1 * seed
        study.write(tmp_path / f"a{seed}", "prnn", 0.2 + luck, seed)
        study.write(tmp_path / f"b{seed}", "prnn", 0.17 + luck, seed, optimizer__lr=0.5)
        study.write(tmp_path / f"c{seed}", "gru", 0.6 + luck, seed + 1)
        study.write(tmp_path / f"d{seed}", "prnn", 0.1, seed, n_train=8, training__patience=77)  # differs in two
    found = {pair["key"]: pair for pair in paired_differences(seed_groups(distinct(find_runs([tmp_path]))))}
    assert set(found) == {"optimizer.lr", "model"}
    rate = found["optimizer.lr"]
    assert (rate["from"], rate["to"]) == ("0.01", "0.5")
    assert rate["values"]["net_error"] == pytest.approx([-0.03] * 3)
    assert rate["samples"]["net_error"]["spread"] == pytest.approx(0, abs=1e-9)
    models = [
        pair for pair in paired_differences(seed_groups(distinct(find_runs([tmp_path])))) if pair["key"] == "model"
    ]
    assert {(pair["to"], pair["samples"]["net_error"]["n"]) for pair in models} == {("GRU", 2)}, "seeds 1 and 2"
    assert sorted(models, key=lambda pair: pair["from"])[0]["values"]["net_error"] == pytest.approx([0.3, 0.3])


def test_a_part_that_changes_as_a_whole_is_one_thing(study: Study, tmp_path: Path) -> None:
    adamw = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.02, "weight_decay": 0.1}
    for seed in range(2):
        study.write(tmp_path / f"adam{seed}", "prnn", 0.2, seed)
        study.write(tmp_path / f"adamw{seed}", "prnn", 0.3, seed, optimizer=adamw)
    [pair] = paired_differences(seed_groups(distinct(find_runs([tmp_path]))))
    assert pair["key"] == "optimizer"
    assert pair["to"] == "PRNN, optimizer=AdamW, optimizer.lr=0.02, optimizer.weight_decay=0.1".removeprefix("PRNN, ")
