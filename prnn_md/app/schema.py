"""Schema of the whole configuration of a training run, importable without torch."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from prnn_md.app.fields import Target, key
from prnn_md.app.schema_models import Decoder, Dynamics, EmbeddedCell, Encoder, Model


@dataclass(kw_only=True)
class Seeds:
    """Seeds of the parts of a run; null ones are derived from the one seed."""

    data: int | None = key("seed of the choice and order of training paths", None, low=0)
    model: int | None = key("seed of the initial parameters and of dropout", None, low=0)
    cells: int | None = key("seed of the choice of MD cells from their library", None, low=0)


@dataclass(kw_only=True)
class DataModule(Target):
    target: ClassVar[str] = "prnn_md.data.datamodule.PathDataModule"
    path: str = key("name of a shipped dataset, or a file")
    n_train: int | None = key("training paths; null: all", None, low=1)
    n_valid: int | None = key("validation paths (early stopping, best checkpoint); null: all", None, low=1)
    batch_size: int = key("paths per batch", 4, low=1)
    seed: int = key("seed of the choice and order of training paths", 0, low=0)
    families: list[str] | None = key("families of paths that are taken; null: all", None)
    n_replicas: int | None = key("replicas over which training labels are averaged; null: all", None, low=1)
    train_increments: int | None = key("first increments of each path that training takes; null: all", None, low=1)
    noise: float = key("Gaussian noise on training labels, in units of the stress scale", 0.0, low=0)
    lazy: bool = key("whether paths are read when they are wanted, for sets larger than memory", False)
    format: Literal["hdf5", "prnn_text"] = key("format of the file: ours, or the text of published PRNN data", "hdf5")
    train_families: list[str] | None = key("families that training and validation take of these; null: all", None)
    train_rates: list[float] | None = key("mean strain rates that training and validation take; null: all", None)
    symmetry: Literal["isotropic", "about_x", "about_y", "about_z"] | None = key(
        "symmetry of the material, by which training paths are turned at random whenever they are met; null: none", None
    )


Split = Literal["train", "pool", "valid", "test"]


@dataclass(kw_only=True)
class FurtherTest:
    """How the model is tested beside its test paths."""

    path: str | None = key("name of a shipped dataset, or a file; null: that of the run", None)
    families: list[str] | None = key("families of paths that are taken; null: all", None)
    rates: list[float] | None = key("mean strain rates of paths that are taken; null: all", None)
    splits: list[Split] = key("uses of paths that are taken, without those that have trained or validated", ("test",))
    increments: int | None = key("increments in which paths are followed; null: as the labels", None, low=1)
    changes: list[str] = key("words for keys of MD cells that are other than in training, such as of predict", [])


@dataclass(kw_only=True)
class Training:
    """How long and how a model is fitted."""

    max_epochs: int = key("epochs at most", low=1)
    patience: int | None = key("epochs without a better validation error before stopping; null: never", low=1)
    gradient_clip: float | None = key("largest norm of the gradient; null: no clipping", above=0)
    stages: list[list[str]] | None = key(
        "beginnings of names of parameters that learn first, stage by stage, each until patience ends it; then all do",
        None,
    )
    model_error: float | None = key(
        "error to be expected of the model, in units of the stress scale, beside which noisier labels weigh less; "
        "null: all weigh the same",
        None,
        above=0,
    )


@dataclass(kw_only=True)
class Optimizer(Target):
    """A torch optimiser; the job gives the parameters."""

    partial: ClassVar[bool] = True
    subset: ClassVar[bool] = True
    given: ClassVar[tuple[str, ...]] = ("params",)


@dataclass(kw_only=True)
class Adam(Optimizer):
    target: ClassVar[str] = "torch.optim.Adam"
    lr: float = key("learning rate", above=0)
    weight_decay: float = key("L2 penalty", 0.0, low=0)


@dataclass(kw_only=True)
class AdamW(Optimizer):
    target: ClassVar[str] = "torch.optim.AdamW"
    lr: float = key("learning rate", above=0)
    weight_decay: float = key("decoupled weight decay", low=0)


@dataclass(kw_only=True)
class Scheduler(Target):
    """A torch learning-rate scheduler, stepped once an epoch; the job gives the optimiser."""

    partial: ClassVar[bool] = True
    subset: ClassVar[bool] = True
    given: ClassVar[tuple[str, ...]] = ("optimizer",)


@dataclass(kw_only=True)
class Plateau(Scheduler):
    target: ClassVar[str] = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    factor: float = key("factor on the learning rate when the validation error stalls", above=0, high=0.999)
    patience: int = key("epochs without a better validation error before that", low=0)
    min_lr: float = key("smallest learning rate", low=0)


@dataclass(kw_only=True)
class Cosine(Scheduler):
    target: ClassVar[str] = "torch.optim.lr_scheduler.CosineAnnealingLR"
    T_max: int = key("epochs until the learning rate is smallest", low=1)
    eta_min: float = key("smallest learning rate", low=0)


@dataclass(kw_only=True)
class Constant(Scheduler):
    target: ClassVar[str] = "torch.optim.lr_scheduler.ConstantLR"
    factor: float = key("factor on the learning rate in the first epochs", above=0, high=1)
    total_iters: int = key("number of first epochs", low=0)


@dataclass(kw_only=True)
class Hardware:
    """What computes, and with how many threads."""

    accelerator: Literal["cpu", "cuda", "auto"] = key("where the model lives")
    devices: int = key("devices of that kind on each node, each with a process of its own", low=1)
    nodes: int = key("machines", low=1)
    strategy: Literal["auto", "ddp"] = key("how several devices share the work; auto: there is one")
    precision: Literal["64-true"] = key("floating-point numbers")
    threads: int | None = key("threads of the compiled kernels; null: PRNN_MD_THREADS, or all cores", low=1)
    torch_threads: int = key("threads of torch; more than one slow small models down", low=1)


@dataclass(kw_only=True)
class Callback(Target):
    """What accompanies the training."""


@dataclass(kw_only=True)
class ProgressLines(Callback):
    target: ClassVar[str] = "prnn_md.training.callbacks.ProgressLines"
    subset: ClassVar[bool] = True
    interval: float = key("seconds between lines within a long epoch, where the output is no terminal", 30.0, above=0)


@dataclass(kw_only=True)
class Loggers(Target):
    """Where curves and figures go, beside the run folder."""

    partial: ClassVar[bool] = True
    given: ClassVar[tuple[str, ...]] = ("folder", "config", "run_id")


@dataclass(kw_only=True)
class CsvOnly(Loggers):
    target: ClassVar[str] = "prnn_md.app.metrics_log.csv_only"


@dataclass(kw_only=True)
class TensorBoard(Loggers):
    target: ClassVar[str] = "prnn_md.app.tensorboard_log.tensorboard_log"


@dataclass(kw_only=True)
class WandB(Loggers):
    target: ClassVar[str] = "prnn_md.app.wandb_log.wandb_log"
    project: str = key("W&B project", "prnn_md")
    entity: str | None = key("W&B team or user; null: your default", None)
    group: str | None = key("W&B group; null: the run folder, for the run and what it is compared with", None)
    tags: list[str] = key("W&B tags", ())


@dataclass(kw_only=True)
class TrainConfig:
    """All keys of a training run."""

    label: str = key("name in tables and figures")
    seed: int = key("the seed from which all others are derived", low=0)
    seeds: Seeds = key("seeds of single parts")
    compare: list[str] = key(
        "models to train on the same data for the closing table, e.g. ['gru','lstm model.hidden=32']; each may have "
        "its own dataset.batch_size and dataset.symmetry"
    )
    ckpt: str | None = key("run folder or checkpoint whose weights training starts from; null: none", None)
    model: Model = key("what is trained")
    md: dict[str, EmbeddedCell] | None = key(
        "what a PRNN embeds, by name; backend and trainable are those of all", None
    )
    encoder: Encoder | None = key("from the macroscopic strain to the strain of each cell", None)
    decoder: Decoder | None = key("from the stresses of the cells to the macroscopic stress", None)
    dynamics: Dynamics | None = key("how MD cells follow their strain", None)
    dataset: DataModule = key("data")
    tests: dict[str, FurtherTest] = key("further tests, by the name that begins their metrics", {})
    training: Training = key("training")
    optimizer: Optimizer = key("optimiser")
    scheduler: Scheduler = key("learning-rate schedule")
    callbacks: dict[str, Callback] = key("what accompanies the training, by name")
    hardware: Hardware = key("hardware")
    logger: Loggers = key("logger")


MODEL_KEYS = ("label", "ckpt", "model", "md", "encoder", "decoder", "dynamics", "training", "optimizer", "scheduler")
"""What belongs to one model; the rest is shared with the models that it is compared with."""

SAMPLING_KEYS = ("dataset.batch_size", "dataset.symmetry")
"""How a model meets its training paths, which a compared model may do in its own way."""
