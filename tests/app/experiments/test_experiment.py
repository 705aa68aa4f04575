"""An experiment leaves a line for every finished job, goes on by these lines alone, and sums them up."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from quick import QuickWorkers

from prnn_md.app.checking import ConfigError
from prnn_md.app.composition import EXPERIMENTS, config_dir, groups
from prnn_md.app.experiments.lines import FILE, add_line, check_files, read_lines
from prnn_md.app.overrides import checked_config, with_every_word
from prnn_md.app.records import read_sweep
from prnn_md.app.sweeps.plan import Experiment, ExperimentJob, extremes, plan
from prnn_md.app.sweeps.running import run_sweep
from prnn_md.app.train import main


def experiment(results: Path, *words: str, name: str = "quick") -> Experiment:
    """Jobs of grids, each as text such as "A: seed=1 error=0.5"."""
    jobs = [ExperimentJob(grid, tuple(text.split())) for grid, text in (word.split(": ") for word in words)]
    return Experiment(name, tuple(jobs), tuple(jobs), results, {job.grid: [] for job in jobs}, (f"experiment={name}",))


def run(folder: Path, planned: Experiment) -> bool:
    return run_sweep(folder, [], planned, QuickWorkers(2))


def finished(folder: Path) -> int:
    """How many jobs have run to their end in a folder."""
    file = folder / "finished.txt"
    return len(file.read_text().split()) if file.exists() else 0


def test_every_finished_job_leaves_a_line_by_which_it_is_not_run_again(tmp_path: Path) -> None:
    folder, results = tmp_path / "sweep", tmp_path / "results"
    planned = experiment(results, "A: seed=0 error=0.5", "A: seed=1 error=0.3", "B: seed=0 error=0.9 fail=1")
    assert not run(folder, planned)
    lines = read_lines(results / FILE)
    assert sorted((line["grid"], line["seed"], line["metrics"]["valid/error"]) for line in lines) == [
        ("A", 0, 0.5),
        ("A", 1, 0.3),
    ]
    assert lines[0]["files"] == {"quick.h5": "0123"}
    assert lines[0]["versions"]["torch"]
    shutil.rmtree(folder)
    more = experiment(results, "C: seed=0 error=0.2", "A: seed=1 error=0.3", "A: seed=0 error=0.5")
    assert run(folder, more)
    assert finished(folder) == 1
    jobs = read_sweep(folder)["jobs"]
    assert [(job["state"], job["objective"]) for job in jobs] == [
        ("finished", 0.2),
        ("finished", 0.3),
        ("finished", 0.5),
    ]
    assert len(read_lines(results / FILE)) == 3
    assert run(folder, planned) is False, "jobs may be taken away, and the one that fails is tried again"
    assert finished(folder) == 1


def test_a_job_that_finished_before_its_line_was_written_gets_it(tmp_path: Path) -> None:
    folder, results = tmp_path / "sweep", tmp_path / "results"
    planned = experiment(results, "A: seed=0 error=0.5", "A: seed=1 error=0.3")
    run(folder, planned)
    whole = sorted((results / FILE).read_text().splitlines())
    (results / FILE).write_text(whole[0] + "\n" + whole[1][:40])
    assert run(folder, planned)
    assert finished(folder) == 2
    assert sorted((results / FILE).read_text().splitlines()) == whole


def test_the_summary_has_means_over_seeds_and_libraries(tmp_path: Path) -> None:
    repeated = [f"seed={seed} md.x.library={library}" for seed in (1, 2) for library in "ab"]
    jobs = [f"A: {words} n={n} error=0.{n}" for n in (2, 4) for words in repeated]
    run(tmp_path / "sweep", experiment(tmp_path, *jobs))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["jobs"], summary["finished"], summary["experiment"]) == (8, 8, "quick")
    assert summary["files"] == {"quick.h5": "0123"}
    found = sorted(summary["groups"], key=lambda group: group["n_train"])
    assert [(group["runs"], group["n_train"]) for group in found] == [(4, 2), (4, 4)]
    assert found[0]["values"] == {"n": "2", "error": "0.2"}
    assert [group["mean"]["valid/error"] for group in found] == pytest.approx([0.2, 0.4])
    assert [group["spread"]["valid/error"] for group in found] == pytest.approx([0.0, 0.0])
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_lines_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    file = tmp_path / FILE
    line = {"grid": "A", "words": [], "files": {"a.h5": "01"}}
    add_line(file, line)
    add_line(file, {**line, "files": {"a.h5": "02"}})
    with pytest.raises(ConfigError, match=r"made with another version of a\.h5: remove its line"):
        check_files(file, read_lines(file))
    with pytest.raises(ConfigError, match=r"made with another version of polymer_80_a\.h5: remove its line"):
        check_files(file, [{**line, "files": {"polymer_80_a.h5": "01"}}])
    file.write_text('{"grid": "A"}\n')
    with pytest.raises(ConfigError, match=r"runs\.jsonl, line 1 cannot be used \('words'\)"):
        read_lines(file)


def test_a_last_line_is_kept_if_it_is_whole_and_replaced_if_it_is_not(tmp_path: Path) -> None:
    file = tmp_path / FILE
    line = {"grid": "A", "words": ["ä=1"], "files": {}}
    file.write_text(json.dumps(line))  # as an editor may leave it
    add_line(file, {**line, "grid": "B"})
    assert [found["grid"] for found in read_lines(file)] == ["A", "B"]
    file.write_text(file.read_text() + json.dumps(line)[:20])
    assert [found["grid"] for found in read_lines(file)] == ["A", "B"]
    add_line(file, {**line, "grid": "C"})
    assert [found["grid"] for found in read_lines(file)] == ["A", "B", "C"]


def test_lines_of_other_versions_of_the_data_stop_an_experiment_before_it_begins(tmp_path: Path) -> None:
    planned = experiment(tmp_path, "A: seed=0 error=0.5", "A: seed=1 error=0.3")
    add_line(tmp_path / FILE, {"grid": "A", "words": ["seed=0", "error=0.5"], "files": {"polymer_80_a.h5": "01"}})
    with pytest.raises(ConfigError, match=r"the run seed=0 error=0\.5 was made with another version"):
        run(tmp_path / "sweep", planned)
    assert finished(tmp_path / "sweep") == 0


def test_the_summary_is_of_the_whole_study_where_only_a_grid_of_it_is_run(tmp_path: Path) -> None:
    planned = experiment(tmp_path, "A: seed=0 error=0.5", "B: seed=1 error=0.3")
    run(tmp_path / "sweep", planned)
    run(tmp_path / "sweep", replace(planned, jobs=planned.jobs[1:]))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["jobs"], summary["finished"], summary["seed"]) == (2, 2, [0, 1])
    assert summary["command"] == "python train.py -m experiment=quick"


def test_words_of_the_command_line_replace_those_of_the_experiment() -> None:
    planned = plan(["experiment=step_size", "dataset.n_train=3", "seed=7,8", "hydra.sweeper.results=elsewhere"])
    assert isinstance(planned, Experiment)
    assert planned.results == Path("elsewhere/step_size")
    seeds = [word for job in planned.jobs for word in job.words if word.startswith("seed=")]
    assert seeds == ["seed=7", "seed=8"] * len(dict.fromkeys(job.grid for job in planned.jobs))
    for job in planned.jobs:
        assert "dataset.n_train=3" in job.words
        assert not any(word.startswith("experiment=") for word in job.words)


@pytest.mark.parametrize("name", [name for name in groups()[EXPERIMENTS] if name != "none"])
def test_experiments_that_ship_can_be_run(name: str) -> None:
    planned = plan([f"experiment={name}"])
    assert isinstance(planned, Experiment)
    assert planned.name == name
    for words in with_every_word(extremes(planned)):
        assert checked_config(words)["compare"] == []
    text = (config_dir() / EXPERIMENTS / f"{name}.yaml").read_text()
    assert set(yaml.safe_load(text)["hydra"]["sweeper"]["grids"]) == {job.grid for job in planned.jobs}


def test_some_grids_may_be_chosen() -> None:
    planned = plan(["experiment=step_size", "hydra.sweeper.only=[GRU,TANN]"])
    assert isinstance(planned, Experiment)
    assert list(dict.fromkeys(job.grid for job in planned.jobs)) == ["GRU", "TANN"]
    assert len(planned.study) > len(planned.jobs)
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.only=\[GRUU\]: there is no such grid.\nDid you mean GRU"):
        plan(["experiment=step_size", "hydra.sweeper.only=[GRUU]"])


def test_the_results_of_a_study_are_of_its_own_words() -> None:
    with pytest.raises(ConfigError, match=r"seed=7: results/step_size is for the words of the experiment itself"):
        plan(["experiment=step_size", "seed=7"])
    with pytest.raises(ConfigError, match="give one experiment at a time"):
        plan(["experiment=step_size,unloading"])
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.only=\[\]: there is no such grid"):
        plan(["experiment=step_size", "hydra.sweeper.only=[]"])


def test_a_word_that_does_not_fit_a_grid_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["experiment=step_size", "md.polymer.count=8", "hydra.sweeper.results=elsewhere"]
    assert main([*words, "-m"]) == 2
    assert "This is of the grid PRNN-J2; hydra.sweeper.only=[...] takes some" in capsys.readouterr().err


def test_an_experiment_without_the_flag_of_a_sweep_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment=step_size"]) == 2
    assert "an experiment is a sweep of several jobs: add -m" in capsys.readouterr().err


def test_an_experiment_of_real_jobs(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prnn-md"])
    words = [
        "experiment=step_size",
        "hydra.sweeper.only=[GRU,PRNN-J2]",
        f"hydra.sweeper.results={tmp_path / 'results'}",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
        f"dataset.path={tiny_dataset}",
        "dataset.n_train=2",
        "dataset.n_valid=1",
        "seed=1",
        "training.max_epochs=1",
        "logger=csv",
    ]
    assert main([*words, "-m"]) == 0
    summary = json.loads((tmp_path / "results" / "step_size" / "summary.json").read_text())
    assert [(row["model"], row["unseen"], row["seen"]) for row in summary["ratios"]] == [
        (model, test, "test") for model in ("PRNN-J2", "GRU") for test in ("coarse", "fine")
    ]
    for row in summary["ratios"]:
        assert row["error_ratio"] == pytest.approx(row[f"{row['unseen']}_error"] / row["test_error"])
    shutil.rmtree(tmp_path / "sweep")
    capfd.readouterr()
    assert main([*words, "-m"]) == 0
    assert "GRU untrained" not in capfd.readouterr().err
    assert not list((tmp_path / "sweep").glob("*/result.json")), "nothing was run again"
