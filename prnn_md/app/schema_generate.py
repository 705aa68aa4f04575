"""Schema of the configuration of `prnn-md generate`, importable without torch."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from prnn_md.app.fields import Target, key


@dataclass(kw_only=True)
class Paths:
    """Numbers by the use of a path."""

    train: int = key("paths to train on", low=1)
    pool: int = key("further paths to train on, taken after those", low=0)
    valid: int = key("paths to validate on", low=1)
    test: int = key("paths to test on", low=1)


@dataclass(kw_only=True)
class Replicas:
    """Numbers by the use of a path; paths to test on are followed by samples that follow no others."""

    train: int = key("samples that follow a path to train on", low=2)
    pool: int = key("samples that follow a path of the pool", low=2)
    valid: int = key("samples that follow a path to validate on", low=2)
    test: int = key("samples that follow a path to test on", low=2)


@dataclass(kw_only=True)
class Recipe:
    """What a dataset is made of."""

    name: str = key("name of the dataset")
    families: list[str] = key("families of paths, see `prnn-md paths`")
    paths: Paths = key("paths of each family, or as many as it has")
    replicas: Replicas = key("samples that follow each path")
    increments: int = key("increments of each path", low=1)
    amplitude: float = key("largest Mandel norm of the strain along each path", above=0)
    max_trace: float = key("largest |tr E|", low=0)
    isochoric: bool = key("whether paths keep the volume")
    rates: list[float] = key("strain rates (per tau or fs), which paths take in turns; []: times from 0 to 1", above=0)
    scale_of: str | None = key("dataset whose stress scale this one has; null: its own, of paths to train on")
    seed: int = key("seed of paths and samples", low=0)


@dataclass(kw_only=True)
class System(Target):
    """The material of the reference simulations."""


@dataclass(kw_only=True)
class PolymerGlass(System):
    target: ClassVar[str] = "prnn_md.reference.systems.PolymerGlass"
    beads: int = key("beads of a sample", 1000, low=1)
    chain_length: int = key("beads of a chain", 20, low=2)
    bending_stiffness: float = key("of chains (epsilon)", 0.0, low=0)
    melt_time: float = key("in the melt (tau)", 1000.0, above=0)
    quench_time: float = key("of cooling into the glass (tau)", 1000.0, above=0)
    timestep: float = key("of making samples (tau)", 0.005, above=0)


@dataclass(kw_only=True)
class KobAndersenGlass(System):
    target: ClassVar[str] = "prnn_md.reference.systems.KobAndersenGlass"
    particles: int = key("particles of a sample", 1000, low=1)
    melt_time: float = key("in the melt (tau)", 100.0, above=0)
    quench_time: float = key("of cooling into the glass (tau)", 400.0, above=0)
    timestep: float = key("of making samples (tau)", 0.005, above=0)


@dataclass(kw_only=True)
class Polyethylene(System):
    target: ClassVar[str] = "prnn_md.reference.systems.Polyethylene"
    chains: int = key("chains of a sample", 20, low=1)
    chain_length: int = key("united atoms of a chain", 50, low=4)
    melt_time: float = key("in the melt (fs)", 40000.0, above=0)
    quench_time: float = key("of cooling into the glass (fs)", 100000.0, above=0)
    timestep: float = key("of making samples (fs)", 2.0, above=0)


@dataclass(kw_only=True)
class ArgonCrystal(System):
    target: ClassVar[str] = "prnn_md.reference.systems.ArgonCrystal"
    repeats: int = key("unit cells along an edge", 6, low=1)


@dataclass(kw_only=True)
class Silicon(System):
    target: ClassVar[str] = "prnn_md.reference.systems.Silicon"
    structure: Literal["crystal", "amorphous"] = key("of the samples", "amorphous")
    repeats: int = key("unit cells along an edge", 5, low=1)


@dataclass(kw_only=True)
class ReferenceDynamics(Target):
    """How samples follow their strain."""


@dataclass(kw_only=True)
class Athermal(ReferenceDynamics):
    target: ClassVar[str] = "prnn_md.reference.dynamics.Athermal"
    force_tolerance: float = key("largest force on a particle at rest (unit of the force field)", 0.001, above=0)


@dataclass(kw_only=True)
class Thermal(ReferenceDynamics):
    target: ClassVar[str] = "prnn_md.reference.dynamics.Thermal"
    temperature: float | None = key("epsilon/k_B or K; null, here and below: as usual for the system", None, low=0)
    timestep: float | None = key("tau or fs", None, above=0)
    friction: float | None = key("of the thermostat (1/tau or 1/fs)", None, above=0)
    equilibration: float | None = key("time before the path (tau or fs)", None, above=0)
    window: float = key("last part of an increment over which its stress is averaged", 0.5, above=0, high=1)


@dataclass(kw_only=True)
class Reference:
    """The simulations that answer."""

    system: System = key("material")
    dynamics: ReferenceDynamics = key("how it follows its strain")


@dataclass(kw_only=True)
class Executor(Target):
    """Where simulations run."""


@dataclass(kw_only=True)
class Serial(Executor):
    target: ClassVar[str] = "prnn_md.labels.executors.serial.SerialExecutor"


@dataclass(kw_only=True)
class Pool(Executor):
    target: ClassVar[str] = "prnn_md.labels.executors.pool.PoolExecutor"
    workers: int = key("processes side by side", low=1)


@dataclass(kw_only=True)
class Parsl(Executor):
    target: ClassVar[str] = "prnn_md.labels.executors.parsl.ParslExecutor"
    workers: int = key("workers in all", low=1)
    provider: Any = key("Parsl's provider of a cluster's scheduler; null: this machine", None)
    workers_per_node: int | None = key("workers on a node; null: all, but no more than cores", None, low=1)
    address: str | None = key("of this machine, as workers reach it; null: that of its host name", None)


@dataclass(kw_only=True)
class GenerateConfig:
    """All keys of `prnn-md generate`."""

    dataset: Recipe = key("what is made")
    reference: Reference = key("what answers")
    executor: Executor = key("where it runs")
    output: str = key("the file to write")
    store: str = key("folder of the label store, which other datasets may share")
