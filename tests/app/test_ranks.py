"""The ranks of a run start together, end together, and leave one folder that tells the truth."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from prnn_md.app import ranks
from prnn_md.app.composition import Config
from prnn_md.app.fitting import _check_own
from prnn_md.app.ledger import Interrupted, Ledger, note_lost, read_result
from prnn_md.app.metrics_log import read_metrics
from prnn_md.app.overrides import checked_config, comparisons
from prnn_md.app.ranks import RanksLost, run_together
from prnn_md.app.training_job import run
from prnn_md.training.module import read_checkpoint
from prnn_md.training.ranks import RankFailed

MAIN = [sys.executable, "-m", "prnn_md"]
START = "import os, sys, time; rank = os.environ['RANK']; from prnn_md.app.lifeline import end_with_parent; "


def program(code: str) -> list[str]:
    return [sys.executable, "-c", START + code]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "TO_TELL", 0.3)
    monkeypatch.setattr(ranks, "TO_END", 0.3)


def test_ranks_know_their_numbers_and_share_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRNN_MD_THREADS", "6")
    names = ["RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "PRNN_MD_THREADS"]
    code = f"open('{tmp_path}/' + rank, 'w').write(' '.join(os.environ[name] for name in {names}))"
    assert run_together(program(code), 3) == 0
    told = [(tmp_path / str(rank)).read_text() for rank in range(3)]
    assert told == [f"{rank} {rank} 0 3 127.0.0.1 2" for rank in range(3)]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("end", "how"), [("sys.exit(3)", "ended with exit code 3"), ("os.kill(os.getpid(), 9)", "was ended by SIGKILL")]
)
def test_a_rank_that_dies_ends_the_others_and_is_named(end: str, how: str, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(RanksLost, match=f"Rank 1 {how}; all ranks are ended"):
        run_together(program(f"{end} if rank == '1' else time.sleep(60)"), 3)
    assert capfd.readouterr().err == (f"Rank 1 {how}.\n" if "SIGKILL" in how else "")


@pytest.mark.usefixtures("impatient")
def test_the_exit_code_is_that_of_rank_0(capfd: pytest.CaptureFixture) -> None:
    assert run_together(program("sys.exit(7) if rank == '0' else time.sleep(60)"), 2) == 7
    assert capfd.readouterr().err == ""


def test_rank_0_may_tell_why_another_is_lost(tmp_path: Path) -> None:
    seen = f"open('{tmp_path}/seen', 'w')"
    code = f"os.kill(os.getpid(), 9) if rank == '1' else (time.sleep(0.5), {seen}, sys.exit(1))"
    assert run_together(program(code), 2) == 1
    assert (tmp_path / "seen").exists()


@pytest.mark.usefixtures("impatient")
def test_signals_go_to_rank_0(tmp_path: Path) -> None:
    answer = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))"
    code = f"import signal; {answer} if rank == '0' else None; open('{tmp_path}/' + rank, 'w'); time.sleep(60)"
    with _sent_when_there(signal.SIGTERM, tmp_path):
        assert run_together(program(code), 2) == 130


@pytest.mark.usefixtures("impatient")
def test_a_signal_that_comes_before_rank_0_can_answer_is_an_interruption(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="SIGTERM"), _sent_when_there(signal.SIGTERM, tmp_path):
        run_together(program(f"open('{tmp_path}/' + rank, 'w'); time.sleep(60)"), 2)


@contextmanager
def _sent_when_there(number: int, folder: Path) -> Iterator[None]:
    """Within the block this process gets a signal when both ranks have put a file into the folder."""

    def send() -> None:
        _wait_for(lambda: all((folder / rank).exists() for rank in "01"))
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()


def test_a_killed_parent_leaves_no_process(tmp_path: Path) -> None:
    child = f"end_with_parent(); open('{tmp_path}/' + rank, 'w').write(str(os.getpid())); time.sleep(60)"
    code = f"from prnn_md.app.ranks import run_together; run_together({program(child)!r}, 2)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    _wait_for(lambda: all((tmp_path / rank).is_file() and (tmp_path / rank).read_text() for rank in "01"))
    children = [int((tmp_path / rank).read_text()) for rank in "01"]
    assert all(_is_there(child) for child in children)
    parent.kill()
    parent.wait()
    _wait_for(lambda: not any(_is_there(child) for child in children))


def _is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_what_no_rank_could_tell_is_noted(tmp_path: Path) -> None:
    """Of the run and of the model that was just compared, but not of one that had finished."""
    config = {"seed": 0, "seeds": {}, "label": "PRNN"}
    gone = subprocess.Popen(["true"])
    gone.wait()
    for place, status in (("run", "running"), ("run/compare/gru", "running"), ("run/compare/lstm", "finished")):
        Ledger(tmp_path / place, config).record(status=status, process=gone.pid)
    note_lost(tmp_path / "run", RanksLost("Rank 1 was ended by SIGKILL"))
    told = [read_result(tmp_path / place) for place in ("run", "run/compare/gru", "run/compare/lstm")]
    assert [result["status"] for result in told] == ["failed", "failed", "finished"]
    assert told[0]["error"] == "RanksLost: Rank 1 was ended by SIGKILL"


def test_ranks_train_nothing_that_they_were_not_asked_for() -> None:
    main, other = ({"optimizer": {"lr": lr}} for lr in (0.1, 0.2))
    _check_own(main, [other, main])
    with pytest.raises(RankFailed, match=r"another configuration than rank 0: optimizer\.lr is 0\.1 there and 0\.2 he"):
        _check_own(main, [other])


@pytest.fixture(scope="module")
def words(tiny_words: list[str]) -> list[str]:
    """Five paths in batches of four: the last batch has none for rank 1.

    Rotations and weights of equal isotropic cells mean nothing, and of gradients that are rounding errors Adam makes
    steps of any size.
    """
    sizes = ["dataset.n_train=5", "encoder.rotations=false", "decoder.learn_weights=false"]
    gru = "gru training.max_epochs=2 model.hidden=4 model.dropout=0 dataset.symmetry=isotropic"
    staged = "prnn md=j2 encoder=taylor decoder=isotropic training.patience=1 training.max_epochs=5 optimizer.lr=0.3"
    return [*tiny_words, *sizes, f"compare=['{gru}','{staged}']"]


@pytest.fixture(scope="module")
def alone(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one process."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    config = checked_config([*words, "dataset.batch_size=4"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prnn_md.app.model_run.draw_all", lambda *_: {})
        run(config, comparisons(config), folder)
    return folder


@pytest.fixture(scope="module")
def together(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run with two ranks and batches of half the size, started in an empty place."""
    place = tmp_path_factory.mktemp("together")
    own = ["hardware=ddp", "dataset.batch_size=2", "logger=wandb"]
    done = subprocess.run([*MAIN, "train", *words, *own], cwd=place, env=_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Run folder: ") == 1
    assert [file.name for file in place.iterdir()] == ["outputs"]
    (folder,) = place.glob("outputs/*/*")
    return folder


def _environment() -> dict[str, str]:
    return os.environ | {"WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}


def test_two_ranks_go_through_all_stages(together: Path) -> None:
    callbacks = read_checkpoint(together / "compare/prnn/checkpoints/last.ckpt")["callbacks"]
    assert next(state for name, state in callbacks.items() if "StagedFitting" in name)["stage"] == 1


@pytest.mark.parametrize("model", [".", "compare/gru", "compare/prnn"])
def test_two_ranks_do_what_one_process_does_with_the_doubled_batch(model: str, alone: Path, together: Path) -> None:
    """That both ranks have the same weights, to the last bit, every training checks itself."""
    for file in ("last.ckpt", "best.ckpt"):
        ours, theirs = (read_checkpoint(place / model / "checkpoints" / file) for place in (together, alone))
        assert ours["global_step"] == theirs["global_step"]
        for name, tensor in theirs["state_dict"].items():
            torch.testing.assert_close(ours["state_dict"][name], tensor, rtol=1e-12, atol=1e-12)
    curves, expected = read_metrics(together / model), read_metrics(alone / model)
    assert set(curves) == set(expected)
    for name, curve in expected.items():
        assert curves[name] == [(epoch, pytest.approx(value, rel=1e-12, abs=1e-12)) for epoch, value in curve], name
    ours, theirs = (read_result(place / model) for place in (together, alone))
    assert ours["metrics"] == pytest.approx(theirs["metrics"], rel=1e-9)
    assert ours["status"] == "finished"


def test_ranks_leave_one_run(together: Path, words: list[str]) -> None:
    assert len(list(together.glob("wandb/offline-run-*"))) == 1
    assert len(list(together.glob("compare/gru/wandb/offline-run-*"))) == 1
    assert "hydra" not in (together / "overrides.yaml").read_text()
    assert json.loads((together / "comparison.json").read_text())[-1]["name"] == "zero"


@pytest.fixture
def long_run(tiny_words: list[str], tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts a run of two ranks that does not end by itself, always in the same folder, and waits for an epoch."""
    words = [*tiny_words, "training.max_epochs=1000000", "training.patience=null", "hardware=ddp", "hydra.run.dir=run"]
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        before = _epochs(tmp_path / "run")
        process = subprocess.Popen(
            [*MAIN, "train", *words], cwd=tmp_path, env=_environment(), stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        _wait_for(lambda: process.poll() is not None or _epochs(tmp_path / "run") > before + 1)
        assert process.poll() is None, process.communicate()[1]
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def _epochs(folder: Path) -> int:
    file = folder / "checkpoints" / "last.ckpt"
    return read_checkpoint(file)["epoch"] if file.is_file() else -1


def _rank(parent: int, number: int) -> int:
    """The process of a rank, by its parent."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(one) for one in children if f"\0RANK={number}\0" in Path(f"/proc/{one}/environ").read_text())


def test_a_run_of_ranks_is_stopped_goes_on_and_tells_of_a_lost_rank(
    long_run: Callable[[], subprocess.Popen], tmp_path: Path
) -> None:
    first = long_run()
    children = [_rank(first.pid, number) for number in (0, 1)]
    first.terminate()
    _, said = first.communicate()
    assert first.returncode == 130
    assert said.splitlines()[-1].startswith("interrupted by SIGTERM; the same command goes on in ")
    result = read_result(tmp_path / "run")
    assert (result["status"], result["error"]) == ("interrupted", "Interrupted: SIGTERM")
    assert not any(_is_there(child) for child in children)

    second = long_run()  # which waits for epochs beyond those of the first
    os.kill(_rank(second.pid, 1), signal.SIGKILL)
    _, said = second.communicate()
    assert second.returncode == 1
    assert "Rank 1 was ended by SIGKILL." in said
    assert "error: Another rank was lost without a word" in said
    assert "Traceback" not in said
    result = read_result(tmp_path / "run")
    assert (result["status"], result["error"].split(":")[0]) == ("failed", "RankFailed")
    epochs = [epoch for epoch, _ in read_metrics(tmp_path / "run")["valid/error"]]
    assert epochs == list(range(-1, len(epochs) - 1))


def test_several_devices_need_their_ranks(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RANK"):
        run(tiny_config("hardware=ddp"), {}, tmp_path)
