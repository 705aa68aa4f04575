"""A search: Optuna chooses the values of every job from what came of those before."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from prnn_md.app.checking import ConfigError
from prnn_md.app.sweeps.job import Job
from prnn_md.app.sweeps.plan import Parameter, Space
from prnn_md.app.sweeps.sweep import JOURNAL
from prnn_md.training.seeding import derived_seed

SAMPLERS: dict[str, type[BaseSampler]] = {"tpe": TPESampler, "random": RandomSampler, "cmaes": CmaEsSampler}
CLOSED = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
PRUNERS: dict[str, type[BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "halving": SuccessiveHalvingPruner,
}


class Search:
    """Asks Optuna for the jobs of a space and tells it their objective; its journal lies in the folder of the sweep.

    A search in the same folder goes on: trials that were under way are continued under their numbers, and the count
    goes toward the total, which may be another one than before. Every trial draws from a generator of its own, by
    `seed` and its number, so that a restart changes nothing but what is known at the time. Raises ConfigError for the
    journal of another search, and for one that cannot be read.
    """

    def __init__(self, space: Space, folder: Path, sampler: str, pruner: str, seed: int) -> None:
        self.space, self.folder, self.total = space, folder, space.total
        self._sampler, self._seed = SAMPLERS[sampler], seed
        self._study = _open_study(folder, PRUNERS[pruner]())
        self._check_same_space()
        trials = self._study.get_trials(deepcopy=False)
        self.jobs = [self._job(trial) for trial in trials]
        self.closed = {trial.number: CLOSED[trial.state] for trial in trials if trial.state in CLOSED}
        self.known_metrics = dict[int, dict[str, float]]()
        self._under_way = [trial for trial in trials if trial.state == TrialState.RUNNING]
        self._trials: dict[int, Trial] = {}

    def next(self) -> Job | None:
        if not self._under_way and len(self.jobs) >= self.total:
            return None
        number = self._under_way[0].number if self._under_way else len(self.jobs)
        self._study.sampler = self._sampler(seed=derived_seed(self._seed, f"trial {number}"))  # type: ignore[call-arg]
        trial = Trial(self._study, self._under_way.pop(0)._trial_id) if self._under_way else self._study.ask()
        for parameter in self.space.parameters:  # also of a trial under way, which may lack some after a kill
            _choose(trial, parameter)
        self._trials[number] = trial
        self.jobs[number:] = [self._job(self._frozen(number)), *self.jobs[number + 1 :]]
        return self.jobs[number]

    def report(self, job: Job, epoch: int, value: float) -> bool:
        trial = self._trials[job.number]
        known = self._frozen(job.number).intermediate_values
        if epoch >= 0 and epoch not in known:
            trial.report(value, epoch)
        return trial.should_prune()

    def ended(self, job: Job, state: str, objective: float | None) -> None:
        if state == "interrupted":  # it goes on when the command is repeated
            return
        trial = self._trials.pop(job.number)
        if state == "finished" and objective is not None and math.isfinite(objective):
            self._study.tell(trial, objective)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _job(self, trial: FrozenTrial) -> Job:
        values = {name: _text(value) for name, value in trial.params.items()}
        words = (*self.space.words, *(f"{name}={value}" for name, value in values.items()))
        return Job(trial.number, words, values, self.folder / str(trial.number))

    def _check_same_space(self) -> None:
        known: dict[str, str] | None = self._study.user_attrs.get("space")
        if known is None:
            self._study.set_user_attr("space", self.space.described)
        elif known != self.space.described:
            here = self.space.described
            names = [name for name in known | here if known.get(name) != here.get(name)]
            listed = "\n".join(
                f"  {name}: {known.get(name, 'nothing')} there, {here.get(name, 'nothing')} here" for name in names
            )
            raise ConfigError(
                f"{self.folder} holds a search in another space:\n{listed}\nChoose another hydra.sweep.dir."
            )


def _open_study(folder: Path, pruner: BasePruner) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = folder / JOURNAL
    for lock in folder.glob(f"{JOURNAL}.lock*"):  # of a process that was killed: only one works in this folder
        lock.unlink() if lock.is_symlink() or lock.is_file() else shutil.rmtree(lock)
    if file.exists() and not (text := file.read_bytes()).endswith(b"\n"):  # a kill, or a full disk, has torn its end
        os.truncate(file, text.rfind(b"\n") + 1)
    try:
        storage = JournalStorage(JournalFileBackend(str(file)))
        return optuna.create_study(
            storage=storage, study_name="search", direction="minimize", pruner=pruner, load_if_exists=True
        )
    except OSError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{file} cannot be read as the journal of a search ({type(error).__name__}: {error}): restore it, or "
            "choose another hydra.sweep.dir. The finished runs beside it are not touched."
        ) from error


def _choose(trial: Trial, p: Parameter) -> None:
    """Have a trial choose the value of a parameter, unless it has one."""
    if p.choices:
        trial.suggest_categorical(p.name, p.choices)
    elif p.is_whole:
        trial.suggest_int(p.name, int(p.low), int(p.high), step=int(p.step or 1), log=p.log)
    else:
        trial.suggest_float(p.name, p.low, p.high, step=p.step, log=p.log)


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
