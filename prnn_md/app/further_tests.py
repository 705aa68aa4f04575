"""How a model does on other paths than its test paths, in other increments, or with other numbers in its cells."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from prnn_md.app.building import check_fits
from prnn_md.app.composition import Config
from prnn_md.app.evaluation import errors, predicted_stress
from prnn_md.app.trained import with_changes
from prnn_md.cell import Cell
from prnn_md.data.datamodule import PathDataModule
from prnn_md.data.dataset import DatasetFile, StressStrainData
from prnn_md.data.resampling import in_increments
from prnn_md.data.selection import OpenDataset, Selection
from prnn_md.statistics import NetError, relative_error


@dataclass(frozen=True)
class Answers:
    """What a model answers to labelled paths: stresses (paths, T+1, 6), and which it could not follow (paths,)."""

    labels: StressStrainData
    indices: tuple[int, ...]
    stress: Tensor
    failed: Tensor

    @property
    def errors(self) -> NetError:
        return errors(self.stress, self.failed, self.labels)

    @property
    def zero_error(self) -> float:
        """The error of predicting no stress at all."""
        return relative_error(torch.zeros_like(self.labels.stress), self.labels.stress, self.labels.stress_scale)

    def of_family(self, name: str) -> "Answers":
        """The same of the paths of one family."""
        rows = [row for row, family in enumerate(self.labels.family) if family == name]
        indices = tuple(self.indices[row] for row in rows)
        return Answers(self.labels.select(rows), indices, self.stress[rows], self.failed[rows])


def answers_to(
    cell: Cell,
    dataset: OpenDataset,
    splits: Sequence[str],
    selection: Selection,
    increments: int | None,
    chunk: int,
    what: str,
    seen: Collection[int] = (),
) -> Answers:
    """The model's stresses on the selected paths of some splits, `chunk` paths at a time, but on none that it has seen.

    Raises ValueError where no path is left, or where the increments do not fit.
    """
    found = [index for split in dict.fromkeys(splits) for index in selection.indices(dataset, split)]
    indices = tuple(index for index in found if index not in seen)
    if not indices:
        raise ValueError(f"{dataset.path}: no {' or '.join(splits)} path is left by this choice.")
    paths = in_increments(dataset.read(indices), increments)
    stress, failed = predicted_stress(cell, paths.followed, chunk, what, str(dataset.path), indices)
    return Answers(paths.labels, indices, stress[:, :: paths.every], failed)


def further_metrics(config: Config, cell: Cell, data: PathDataModule, trained: bool) -> dict[str, float]:
    """The errors of a model in all `tests` of its configuration, by names such as cycles/net_error.

    Those of an untrained one are called cycles/untrained_net_error. Raises ValueError, which names the test, where one
    does not fit the data or the model.
    """
    metrics: dict[str, float] = {}
    for name, test in config.get("tests", {}).items():
        try:
            dataset = data.dataset if test.get("path") is None else DatasetFile(test["path"])
            model = with_changes(cell, config, test.get("changes", ()))
            check_fits(model, dataset.about, dataset.path)
            families = data.families if test.get("path") is None else None
            own = Path(dataset.path).resolve() == Path(data.file).resolve()
            answers = answers_to(
                model,
                dataset,
                test.get("splits", ("test",)),
                Selection(test.get("families") or families, test.get("rates")),
                test.get("increments"),
                config["dataset"]["batch_size"],
                f"{config['label']} {'' if trained else 'un'}trained, test {name}",
                {*data.train_indices, *data.valid_indices} if own else (),
            )
        except ValueError as error:
            raise ValueError(f"tests.{name}: {error}") from error
        judged = asdict(answers.errors)
        floor = judged.pop("floor")
        judged["failed"] = float(answers.failed.sum())
        metrics |= {f"{name}/{'' if trained else 'untrained_'}{what}": value for what, value in judged.items()}
        metrics |= {f"{name}/floor": floor, f"{name}/zero_error": answers.zero_error}
    return metrics
