"""Several devices need a strategy, a kind, and a process each."""

from pathlib import Path

import pytest

from prnn_md.app import train
from prnn_md.app.checking import ConfigError
from prnn_md.app.hardware import world_size
from prnn_md.app.overrides import checked_config
from prnn_md.app.ranks import run_ranks


@pytest.mark.parametrize(("option", "processes"), [("cpu", 1), ("gpu", 1), ("ddp", 2), ("slurm", 1)])
def test_options_say_how_many_processes(option: str, processes: int) -> None:
    assert world_size(checked_config([f"hardware={option}"])["hardware"]) == processes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("hardware.devices=2", "hardware.devices=2: several devices need hardware.strategy=ddp"),
        ("hardware.nodes=3", "hardware.nodes=3: several devices need hardware.strategy=ddp"),
        ("hardware=ddp hardware.accelerator=auto", "hardware.accelerator=cpu or hardware.accelerator=cuda"),
        ("hardware=ddp hardware.devices=0", "hardware.devices=0"),
        ("hardware=ddp hardware.strategy=dpp", "Did you mean ddp?"),
    ],
)
def test_nonsense_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        checked_config(words.split())
    assert message in str(raised.value).replace("hardware.strategy=dpp: unknown.\nDid you mean hardware.strategy.", "")


def test_several_machines_need_a_scheduler(tmp_path: Path) -> None:
    hardware = checked_config(["hardware=ddp", "hardware.nodes=2"])["hardware"]
    with pytest.raises(ConfigError, match="hardware.nodes=2: ranks on several machines are started by the scheduler"):
        run_ranks([], tmp_path, hardware)


def test_a_multirun_in_one_process_is_refused(
    tiny_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """As Hydra would run it, with a flag that is only Hydra's."""
    monkeypatch.chdir(tmp_path)
    words = ["-m", "--config-dir=.", *tiny_words, "hardware=ddp", "seed=1,2", "hydra/launcher=basic"]
    words += ["hydra/sweeper=basic"]
    assert train.main(words) == train.EXIT_CONFIG
    said = capsys.readouterr().err
    assert "hardware.devices=2: Hydra would run this sweep in one process" in said
    assert not list(tmp_path.rglob("result.json"))
