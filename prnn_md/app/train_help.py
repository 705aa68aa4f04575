"""The text of `train.py --help`, made from the configuration groups and the schema."""

import shutil
from collections.abc import Iterator, Sequence
from typing import Any, cast

from omegaconf import OmegaConf

from prnn_md.app.composition import config_dir, groups
from prnn_md.app.fields import leaves, shown
from prnn_md.app.overrides import checked_composition
from prnn_md.app.schema import TrainConfig

_USAGE = """\
Train a surrogate and compare it with others on the same data.

  python train.py [group=option ...] [key=value ...]       the same: prnn-md train ...

  python train.py model=prnn md=polymer dataset.n_train=4
  python train.py model=gru --help                         the keys of another choice
  python train.py --cfg job                                the whole configuration as YAML
  python train.py -m model=prnn,gru seed=range(0,5)        a sweep: every combination, each a run of its own
  python train.py -m hparams_search=prnn                   a search: Optuna chooses the values

A repeated command goes on where an interrupted one was; --new begins anew. Of a sweep, hydra.launcher.slots=2 jobs run
at a time, in hydra.sweep.dir=FOLDER.
"""


def help_text(words: Sequence[str] = ()) -> str:
    """Usage, groups with their options, and all keys of the configuration that the words choose."""
    config = checked_composition(words, with_hydra=True)
    choices = {str(name): choice for name, choice in config.hydra.runtime.choices.items()}
    own = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    plain = cast(dict[str, Any], OmegaConf.to_container(own))
    return "\n".join([_USAGE, "Groups (* is chosen)", *_group_lines(choices), "", "Keys", *_key_lines(plain)])


def _group_lines(choices: dict[str, Any]) -> Iterator[str]:
    for name, options in groups().items():
        for index, option in enumerate(options):
            chosen = "*" if option == choices.get(name) or option in (choices.get(name) or ()) else " "
            yield f"  {name if index == 0 else '':<12} {chosen} {option:<20}{_first_comment(name, option)}"


def _first_comment(group: str, option: str) -> str:
    for line in (config_dir() / group / f"{option}.yaml").read_text().splitlines():
        if line.startswith("# ") and not line.startswith("# @package"):
            return line[2:]
    return ""


def _key_lines(plain: dict[str, Any]) -> Iterator[str]:
    width = shutil.get_terminal_size((120, 40)).columns
    for path, value, help in leaves(TrainConfig, plain):
        line = f"  {f'{path}={shown(value)}':<48} {help}"
        yield line if len(line) <= width else f"{line[: width - 3]}..."
