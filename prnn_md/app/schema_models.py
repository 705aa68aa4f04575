"""Schema of the nodes that build cells: the models, what a PRNN embeds, and its encoders and decoders."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from prnn_md.app.fields import Target, key

StressUnit = Literal["epsilon/sigma^3", "MPa"]


@dataclass(kw_only=True)
class Model(Target):
    """What is trained."""


@dataclass(kw_only=True)
class PRNNModel(Model):
    target: ClassVar[str] = "prnn_md.surrogates.PRNN"
    given: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "md")
    seed: int = key("seed of the initial encoder and decoder", low=0)
    remember: bool = key("whether answers of MD cells are kept for other epochs and runs", False)
    cell_share: float = key("part of the cells of each kind that a path asks in training", 1.0, above=0, high=1)


@dataclass(kw_only=True)
class RecurrentModel(Model):
    target: ClassVar[str] = "prnn_md.surrogates.RecurrentBaseline"
    kind: Literal["gru", "lstm"] = key("gated recurrent unit or long short-term memory")
    hidden: int = key("numbers in the hidden state of a layer", low=1)
    layers: int = key("recurrent layers", low=1)
    dropout: float = key("variational dropout rate", low=0, high=0.99)
    seed: int = key("seed of the initial weights and of the dropout", low=0)
    units: str = key("unit of stress of the data", "epsilon/sigma^3")


@dataclass(kw_only=True)
class FeedForwardModel(Model):
    target: ClassVar[str] = "prnn_md.surrogates.FeedForward"
    width: int = key("units of a hidden layer", low=1)
    layers: int = key("hidden layers", low=1)
    seed: int = key("seed of the initial weights", low=0)
    units: str = key("unit of stress of the data", "epsilon/sigma^3")


@dataclass(kw_only=True)
class ThermodynamicModel(Model):
    target: ClassVar[str] = "prnn_md.surrogates.ThermodynamicNetwork"
    mode: Literal["soft", "gsm"] = key("dissipation that is learnt not to be negative, or cannot be")
    variables: int = key("internal variables", low=1)
    width: int = key("units of a hidden layer", low=1)
    layers: int = key("hidden layers", low=1)
    seed: int = key("seed of the initial weights", low=0)
    rate_dependent: bool = key("whether memory evolves with time, or with the length of the strain path", False)
    penalty: float = key("weight in the loss of dissipation that is negative", 1.0, low=0)
    units: str = key("unit of stress of the data", "epsilon/sigma^3")


@dataclass(kw_only=True)
class IsotropicKeys:
    target: ClassVar[str] = "prnn_md.surrogates.IsotropicNetwork"
    memory: int = key("deviators, and scalars, that it remembers", low=1)
    width: int = key("units of a hidden layer", low=1)
    layers: int = key("hidden layers", low=1)
    seed: int = key("seed of the initial weights", low=0)
    units: StressUnit = key("unit of stress of the data", "epsilon/sigma^3")


@dataclass(kw_only=True)
class IsotropicModel(IsotropicKeys, Model):
    target: ClassVar[str] = IsotropicKeys.target


@dataclass(kw_only=True)
class Encoder(Target):
    """From the macroscopic strain to the strain of each cell."""

    partial: ClassVar[bool] = True
    given: ClassVar[tuple[str, ...]] = ("cells", "generator")


@dataclass(kw_only=True)
class TaylorEncoder(Encoder):
    target: ClassVar[str] = "prnn_md.surrogates.TaylorEncoder"
    noise: float = key("standard deviation of the fixed 6x6 blocks around the identity", 0.0, low=0)


@dataclass(kw_only=True)
class FreeEncoder(Encoder):
    target: ClassVar[str] = "prnn_md.surrogates.FreeEncoder"
    noise: float = key("standard deviation of the initial 6x6 blocks around the identity", 0.0, low=0)


@dataclass(kw_only=True)
class LowRankEncoder(Encoder):
    target: ClassVar[str] = "prnn_md.surrogates.LowRankEncoder"
    rank: int = key("rank of what is added to the identity", 1, low=1, high=6)
    noise: float = key("standard deviation of its left factor at the start", 0.0, low=0)


@dataclass(kw_only=True)
class MultilayerEncoder(Encoder):
    target: ClassVar[str] = "prnn_md.surrogates.MultilayerEncoder"
    layers: int = key("hidden layers", 1, low=1)
    width: int = key("units of a hidden layer", 12, low=1)
    noise: float = key("standard deviation of the output weights at the start", 0.0, low=0)


@dataclass(kw_only=True)
class AmplifiedRotationEncoder(Encoder):
    target: ClassVar[str] = "prnn_md.surrogates.AmplifiedRotationEncoder"
    rotations: bool = key("whether the rotation of each cell is learnt", True)
    volumes: bool = key("whether the volumetric amplification is learnt", True)
    noise: float = key("standard deviation of the initial rotation vectors (rad)", 0.0, low=0)


@dataclass(kw_only=True)
class Decoder(Target):
    """From the stresses of the cells to the macroscopic stress."""

    partial: ClassVar[bool] = True
    given: ClassVar[tuple[str, ...]] = ("counts", "generator")


@dataclass(kw_only=True)
class SoftplusDecoder(Decoder):
    target: ClassVar[str] = "prnn_md.surrogates.SoftplusDecoder"
    off_diagonal: float = key("initial off-diagonal entries, times the number of cells", 1e-4, above=0)
    noise: float = key("standard deviation of the initial entries before the softplus", 0.0, low=0)


@dataclass(kw_only=True)
class NormalisedDecoder(Decoder):
    target: ClassVar[str] = "prnn_md.surrogates.NormalisedDecoder"
    shared: bool = key("one weight per cell, or one for each component of its stress", True)
    noise: float = key("standard deviation of the initial logits of the weights", 0.0, low=0)


@dataclass(kw_only=True)
class IsotropicDecoder(Decoder):
    target: ClassVar[str] = "prnn_md.surrogates.IsotropicDecoder"
    learn_cells: bool = key("whether weights of single cells are learnt, beside those of each kind", True)
    noise: float = key("standard deviation of the initial logarithms of the cells' weights", 0.0, low=0)


@dataclass(kw_only=True)
class HillMandelDecoder(Decoder):
    target: ClassVar[str] = "prnn_md.surrogates.HillMandelDecoder"
    learn_weights: bool = key("whether the weights of the cells are learnt", True)
    learn_scale: bool = key("whether the common stress scale is learnt", True)
    noise: float = key("standard deviation of the initial logits of the weights", 0.0, low=0)


@dataclass(kw_only=True)
class EmbeddedCell(Target):
    """A cell that a PRNN embeds, `count` samples of it."""


@dataclass(kw_only=True)
class ElasticCell(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.materials.elastic.Elastic"
    youngs_modulus: float | None = key("Young's modulus, with poissons_ratio", None, above=0)
    poissons_ratio: float | None = key("Poisson's ratio", None, above=-1, high=0.5)
    c11: float | None = key("cubic stiffness c11, with c12 and c44 instead", None, above=0)
    c12: float | None = key("cubic stiffness c12", None)
    c44: float | None = key("cubic stiffness c44 (Voigt)", None, above=0)
    units: StressUnit = key("unit of stress", "epsilon/sigma^3")
    count: int = key("cells", 1, low=1)


@dataclass(kw_only=True)
class J2Cell(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.materials.j2.J2"
    youngs_modulus: float = key("Young's modulus", 50.0, above=0)
    poissons_ratio: float = key("Poisson's ratio", 0.38, above=-1, high=0.5)
    yield_stress: float = key("initial yield stress", 1.5, above=0)
    hardening_modulus: float = key("linear hardening modulus", 1.0, low=0)
    saturation_stress: float = key("further yield stress at saturation", 0.0)
    saturation_rate: float = key("rate of saturation over plastic strain", 0.0, low=0)
    units: StressUnit = key("unit of stress", "epsilon/sigma^3")
    count: int = key("cells", 1, low=1)


@dataclass(kw_only=True)
class ViscoelasticCell(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.materials.viscoelastic.Viscoelastic"
    bulk_modulus: float = key("bulk modulus", 70.0, above=0)
    shear_modulus: float = key("long-term shear modulus", 4.0, above=0)
    moduli: list[float] = key("shear modulus of each Maxwell branch", (7.0, 7.0), above=0)
    relaxation_times: list[float] = key("relaxation time of each branch", (0.05, 0.5), above=0)
    units: StressUnit = key("unit of stress", "epsilon/sigma^3")
    count: int = key("cells", 1, low=1)


@dataclass(kw_only=True)
class GlassyPolymerCell(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.materials.glassy_polymer.GlassyPolymer"
    bulk_modulus: float = key("bulk modulus", 3750.0, above=0)
    shear_moduli: list[float] = key("shear modulus of each mode", (320.0,), above=0)
    viscosities: list[float] = key("viscosity of each mode at rest without age, stress times time", (2.1e11,), above=0)
    hardening_modulus: float = key("modulus of the neo-Hookean hardening", 26.0, low=0)
    characteristic_stress: float = key("stress over which flow becomes e times as fast", 0.7, above=0)
    pressure_dependence: float = key("of the logarithm of the viscosity, per pressure over that stress", 0.08, low=0)
    age: float = key("logarithm of the factor of the viscosity that plastic strain takes away", 27.0, low=0)
    softening: list[float] = key("the three numbers of how it takes it away", (0.965, 50.0, -5.0))
    units: StressUnit = key("unit of stress", "MPa")
    count: int = key("cells", 1, low=1)


@dataclass(kw_only=True)
class FibreCell(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.materials.fibre.Fibre"
    axial_modulus: float = key("Young's modulus along the axis", 230_000.0, above=0)
    transverse_modulus: float = key("Young's modulus across the axis", 15_000.0, above=0)
    axial_ratio: float = key("Poisson's ratio under stress along the axis", 0.2)
    transverse_ratio: float = key("Poisson's ratio under stress across the axis, of strains across it", 0.07)
    shear_modulus: float = key("shear modulus along the axis", 15_000.0, above=0)
    axis: list[float] = key("direction of the axis", (1.0, 0.0, 0.0))
    units: StressUnit = key("unit of stress", "MPa")
    count: int = key("cells", 1, low=1)


@dataclass(kw_only=True)
class IsotropicCell(IsotropicKeys, EmbeddedCell):
    """A network beside physical cells, which learns what these leave."""

    target: ClassVar[str] = IsotropicKeys.target


@dataclass(kw_only=True)
class Dynamics(Target):
    """How MD cells follow their strain."""

    partial: ClassVar[bool] = True
    given: ClassVar[tuple[str, ...]] = ("samples", "force_field", "backend", "trainable", "parameters")


THREADS = "cells that are worked on side by side; null: as many as there are cores"
AT_EVENTS = "what becomes of the gradient of an increment with a plastic event; average: that of the other cells"
ON_FAILURE = "whether a cell that fails ends the run or marks its path"


@dataclass(kw_only=True)
class AQS(Dynamics):
    target: ClassVar[str] = "prnn_md.md.aqs.AQSCell"
    force_tolerance: float | None = key("rms force at a minimum; null: 1e-3, or 2e-5 with kcal/mol", None, above=0)
    minimiser: Literal["newton", "fire"] = key("truncated Newton method by conjugate gradients, or FIRE", "newton")
    max_evaluations: int = key("evaluations of forces and of their derivative per increment at most", 20_000, low=1)
    max_move: float = key("farthest move of a particle in one step, in units of length", 0.1, above=0)
    at_events: Literal["keep", "skip", "damp", "average"] = key(AT_EVENTS, "keep")
    threads: int | None = key(THREADS, None, low=1)
    on_failure: Literal["raise", "mask"] = key(ON_FAILURE, "raise")


@dataclass(kw_only=True)
class Overdamped(Dynamics):
    target: ClassVar[str] = "prnn_md.md.overdamped.OverdampedCell"
    friction: float = key("force times time per length", 5.0, above=0)
    steps: int = key("damped steps per increment", 20, low=1)
    threads: int | None = key(THREADS, None, low=1)
    on_failure: Literal["raise", "mask"] = key(ON_FAILURE, "raise")


@dataclass(kw_only=True)
class Langevin(Dynamics):
    target: ClassVar[str] = "prnn_md.md.langevin.LangevinCell"
    temperature: float | None = key("epsilon/k_B or K; null: 0.3 or 300", None, low=0)
    timestep: float | None = key("longest time step, tau or fs; null: 0.005 or 1", None, above=0)
    friction: float | None = key("per tau or fs; null: 1 or 0.001", None, low=0)
    window: float = key("last part of an increment, over which the stress is averaged", 0.5, above=0, high=1)
    equilibration: float | None = key("time at rest before a path, tau or fs; null: 5 or 2000", None, low=0)
    clip: float = key("largest norm of the gradient at a step", 1e3, above=0)
    horizon: int = key("steps that the gradient goes back", 200, low=1)
    seed: int = key("seed of the noise", 0, low=0)
    threads: int | None = key(THREADS, None, low=1)
    on_failure: Literal["raise", "mask"] = key(ON_FAILURE, "raise")


SEED = "seed of the choice of cells from the library"
BACKEND = "kernel (one core a cell), torch (all cells at once, also on a GPU), or auto"
TRAINABLE = "parameters of the force field to be trained, such as [epsilon,sigma]"
PARAMETERS = "other values for parameters of the force field, such as {epsilon:1.1}"
DYNAMICS = "how the cells follow their strain"
Number = float | list[float]
BackendName = Literal["auto", "kernel", "torch"]


@dataclass(kw_only=True)
class PolymerCells(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.md.polymer.polymer_cells"
    stress_unit: ClassVar[str] = "epsilon/sigma^3"
    library: str = key('set of cells, "a" or "b", or a file', "a")
    beads: int = key("beads of a cell", 160, low=1)
    count: int = key("cells", 32, low=1)
    seed: int = key(SEED, 0, low=0)
    chain_length: int = key("beads of a chain", 20, low=2)
    bending_stiffness: float = key("stiffness of the chains against bending, epsilon", 0.0, low=0)
    dynamics: Dynamics | None = key(DYNAMICS, None)
    backend: BackendName = key(BACKEND, "auto")
    trainable: list[str] = key(TRAINABLE, ())
    parameters: dict[str, Number] | None = key(PARAMETERS, None)


@dataclass(kw_only=True)
class GlassCells(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.md.glass.glass_cells"
    stress_unit: ClassVar[str] = "epsilon/sigma^3"
    library: Literal["a", "b"] = key("set of cells", "a")
    particles: int = key("particles of a cell", 300, low=1)
    count: int = key("cells", 16, low=1)
    seed: int = key(SEED, 0, low=0)
    quench_time: float = key("time of the quench from the melt, tau", 400.0, above=0)
    dynamics: Dynamics | None = key(DYNAMICS, None)
    backend: BackendName = key(BACKEND, "auto")
    trainable: list[str] = key(TRAINABLE, ())
    parameters: dict[str, Number] | None = key(PARAMETERS, None)


@dataclass(kw_only=True)
class PolyethyleneCells(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.md.polyethylene.polyethylene_cells"
    stress_unit: ClassVar[str] = "MPa"
    library: Literal["a", "b"] = key("set of cells", "a")
    chains: int = key("chains of a cell", 16, low=1)
    chain_length: int = key("united atoms of a chain", 24, low=4)
    count: int = key("cells", 8, low=1)
    seed: int = key(SEED, 0, low=0)
    quench_time: float = key("time of the quench from the melt, fs", 100_000.0, above=0)
    dynamics: Dynamics | None = key(DYNAMICS, None)
    backend: BackendName = key(BACKEND, "auto")
    trainable: list[str] = key(TRAINABLE, ())
    parameters: dict[str, Number] | None = key(PARAMETERS, None)


@dataclass(kw_only=True)
class ArgonCells(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.md.crystals.argon_cells"
    stress_unit: ClassVar[str] = "MPa"
    repeats: int = key("unit cells along each edge", 4, low=1)
    count: int = key("cells", 1, low=1)
    dynamics: Dynamics | None = key(DYNAMICS, None)
    backend: BackendName = key(BACKEND, "auto")
    trainable: list[str] = key(TRAINABLE, ())
    parameters: dict[str, Number] | None = key(PARAMETERS, None)


@dataclass(kw_only=True)
class SiliconCells(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.md.crystals.silicon_cells"
    stress_unit: ClassVar[str] = "MPa"
    structure: Literal["crystal", "amorphous"] = key("what the cells are", "amorphous")
    repeats: int = key("unit cells along each edge", 2, low=1)
    count: int = key("cells", 8, low=1)
    seed: int = key(SEED, 0, low=0)
    dynamics: Dynamics | None = key(DYNAMICS, None)
    backend: BackendName = key(BACKEND, "auto")
    trainable: list[str] = key(TRAINABLE, ())
    parameters: dict[str, Number] | None = key(PARAMETERS, None)


@dataclass(kw_only=True)
class FileCells(EmbeddedCell):
    target: ClassVar[str] = "prnn_md.md.from_files.file_cells"
    data: str = key("LAMMPS data file, or extended XYZ file that ends in .xyz")
    force_field: str = key("force field, TorchMD YAML with the sections of prnn_md.md.force_field_file")
    types: list[str] = key("names in the force field of the types of a LAMMPS data file, in their order", ())
    relax: bool = key("whether the box is strained until it is free of stress", True)
    several_images: bool = key("whether pairs may meet through several images of a small box", False)
    count: int = key("equal cells", 1, low=1)
    dynamics: Dynamics | None = key(DYNAMICS, None)
    backend: BackendName = key(BACKEND, "auto")
    trainable: list[str] = key(TRAINABLE, ())
    parameters: dict[str, Number] | None = key(PARAMETERS, None)
