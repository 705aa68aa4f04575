"""The command line itself: quick refusals, folders, exit codes."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from prnn_md.app import train
from prnn_md.app.ledger import read_result
from prnn_md.app.records import read_sweep

SCRIPT = Path(__file__).parents[2] / "train.py"


def command(*words: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *words]


def timed(words: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """The finished command, and the processor time (s) that it took, which other work on the machine leaves alone."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command(*words), cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("model=prnn md=polymr", "polymer"),
        ("dataset.n_trian=4", "dataset.n_train"),
        ("model=gru md=polymer", "model=prnn"),
        ("optimizer.lr=abc", "a number"),
        ("-m model=prnn,gru md=polymr", "polymer"),
        ("--multirun seed=1,2 optimizer.lr=0.1,abc", "a number"),
    ],
)
def test_a_typo_is_answered_at_once(words: str, near: str, pace: float, tmp_path: Path) -> None:
    done, seconds = timed(words.split(), tmp_path)
    assert seconds < 2.0 * pace
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert near in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["optimizer.lr=abc"], ["-m", "model=gru,prnn", "md=j2", "optimizer.lr=abc"]])
def test_checking_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        f"import sys; from prnn_md.app.train import main; code = main({words}); "
        "print(code, {'torch', 'lightning', 'wandb', 'matplotlib', 'h5py', 'numba'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPT.parent).stdout
    assert shown.strip() == "2 set()"


def test_help_is_quick(pace: float, tmp_path: Path) -> None:
    done, seconds = timed(["--help"], tmp_path)
    assert seconds < 2.0 * pace
    assert done.returncode == 0
    assert "dataset.n_train=" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("md=po", {"md=polyethylene", "md=polymer", "md=polymer_j2", "md=polymer_network"}),
        ("hparams_search=r", {"hparams_search=recurrent"}),
        ("dataset.n_", {"dataset.n_replicas=", "dataset.n_train=", "dataset.n_valid="}),
    ],
)
def test_the_tab_key_completes_words(line: str, completions: set[str], pace: float, tmp_path: Path) -> None:
    typed = f"python train.py {line}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMP_LINE", typed)
        patch.setenv("COMP_POINT", str(len(typed)))
        done, seconds = timed(["-sc", "query=bash"], tmp_path)
    assert set(done.stdout.split()) == completions
    assert seconds < 2.0 * pace
    assert list(tmp_path.iterdir()) == []


def test_help_for_a_choice_that_does_not_exist(capsys: pytest.CaptureFixture) -> None:
    assert train.main(["--help", "model=grru"]) == 2
    assert "Did you mean gru?" in capsys.readouterr().err


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_stops_on_sigterm_and_says_so_in_its_folder(
    tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    """The folder is made under outputs/ of where the command was started."""
    words = [*tiny_words, "training.max_epochs=100000", "training.patience=null"]
    stopper = threading.Thread(target=_terminate_after_an_epoch, args=(in_folder,))
    stopper.start()
    assert train.main(words) == train.EXIT_INTERRUPTED
    stopper.join()
    (folder,) = in_folder.glob("outputs/*/*")
    assert folder.name.count("-") == 3
    assert f"interrupted by SIGTERM; the same command goes on in {folder}." in capsys.readouterr().err
    result = read_result(folder)
    assert (result["status"], result["error"]) == ("interrupted", "Interrupted: SIGTERM")


def _terminate_after_an_epoch(folder: Path) -> None:
    for _ in range(600):
        if list(folder.glob("outputs/*/*/checkpoints/last.ckpt")):
            break
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_failure_is_one_message_and_code_1(
    tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [*tiny_words, "dataset.path=nowhere.h5", "hydra.run.dir=run"]
    assert train.main(words) == train.EXIT_FAILED
    errors = capsys.readouterr().err
    assert f"error: There is no dataset '{in_folder / 'nowhere.h5'}'" in errors
    assert "Traceback" not in errors
    assert read_result(in_folder / "run")["status"] == "failed"


def test_a_bug_shows_its_traceback(
    tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.training_job.use_hardware", lambda _: 1 / 0)
    assert train.main([*tiny_words, "hydra.run.dir=run"]) == train.EXIT_FAILED
    assert "Traceback" in capsys.readouterr().err


def test_the_same_command_on_a_finished_run_shows_its_table(
    finished_run: Path, tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (finished_run / "result.json").stat().st_mtime
    words = [*tiny_words, "compare=['gru training.max_epochs=2 model.hidden=4']", f"hydra.run.dir={finished_run}"]
    assert train.main(words) == 0
    assert "This run has finished" in capsys.readouterr().out
    assert (finished_run / "result.json").stat().st_mtime == before


def test_a_finished_folder_of_another_run_is_refused(
    finished_run: Path, tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [*tiny_words, "optimizer.lr=0.123", f"hydra.run.dir={finished_run}"]
    assert train.main(words) == train.EXIT_CONFIG
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "holds a finished run of another configuration: " in shown.err
    assert "there and" in shown.err


def test_an_unfinished_folder_of_another_run_is_refused(
    tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [*tiny_words, "hydra.run.dir=run"]
    assert train.main([*words, "dataset.path=nowhere.h5"]) == train.EXIT_FAILED
    assert train.main(words) == train.EXIT_CONFIG
    assert f"dataset.path is {in_folder / 'nowhere.h5'} there" in capsys.readouterr().err
    assert json.loads((in_folder / "run" / "result.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lr=0.1,abc"], "optimizer.lr=abc: expected a number"),
        (["decoder=hill_mandel,softplsu"], "Did you mean softplus?"),
        (["model=gru,prnn", "md=j2,polymr"], "Did you mean polymer"),
        (["model=gru,prn"], "Did you mean prnn?"),
        (["model=gru,prnn", "md=j2", "md.j2.cuont=2"], "Did you mean md.j2.count"),
        (["model=gru", "md=j2,elastic"], "md=j2: md does not exist with model=gru"),
    ],
)
def test_a_sweep_is_checked_before_its_first_run(
    words: list[str], message: str, in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train.main(["-m", *words]) == train.EXIT_CONFIG
    assert message in capsys.readouterr().err
    assert not (in_folder / "outputs").exists()


def test_values_with_commas_need_the_flag(in_folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert train.main(["seed=1,2"]) == train.EXIT_CONFIG
    assert "add --multirun" in capsys.readouterr().err
    assert not (in_folder / "outputs").exists()


def test_a_sweep_over_models_takes_words_for_parts_of_one(
    tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    """Every job in its own folder in the one that is asked for."""
    words = ["model=prnn,gru", *tiny_words, "training.max_epochs=1", "hydra.sweep.dir=here"]
    assert train.main(["-m", *words, "hydra.launcher.slots=2"]) == 0
    results = [read_result(in_folder / "here" / str(number)) for number in range(2)]
    assert [result["label"] for result in results] == ["PRNN", "GRU"]
    assert [result["status"] for result in results] == ["finished"] * 2
    assert "encoder" in yaml.safe_load((in_folder / "here" / "0" / "config.yaml").read_text())
    assert "md" not in yaml.safe_load((in_folder / "here" / "1" / "config.yaml").read_text())
    assert {"number": 1, "values": {"model": "gru"}, "state": "finished"}.items() <= read_sweep(Path("here"))["jobs"][
        1
    ].items()


def test_a_repeated_command_goes_on_where_it_was_interrupted(
    tiny_words: list[str], in_folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prnn_md.app.model_run.draw_all", lambda *_: {})
    stopper = threading.Thread(target=_terminate_after_an_epoch, args=(in_folder,))
    stopper.start()
    words = [*tiny_words, "training.max_epochs=60", "training.patience=null"]
    assert train.main(words) == train.EXIT_INTERRUPTED
    stopper.join()
    (folder,) = in_folder.glob("outputs/*/*")
    assert train.main([*words, "optimizer.lr=0.02"]) == 0
    assert len(list(in_folder.glob("outputs/*/*"))) == 2, "another configuration is another run"
    assert train.main(words) == 0
    assert f"Going on in {folder}" in capsys.readouterr().out
    assert read_result(folder)["status"] == "finished"
    assert train.main([*tiny_words, "training.max_epochs=1"]) == 0
    assert len(list(in_folder.glob("outputs/*/*"))) == 3
