"""Data-driven cells: physically recurrent neural networks with their encoders and decoders, and baselines."""

from prnn_md.surrogates.decoder import Decoder, HillMandelDecoder, IsotropicDecoder, NormalisedDecoder, SoftplusDecoder
from prnn_md.surrogates.encoder import (
    AmplifiedRotationEncoder,
    Encoder,
    FreeEncoder,
    LowRankEncoder,
    MultilayerEncoder,
    TaylorEncoder,
)
from prnn_md.surrogates.feed_forward import FeedForward
from prnn_md.surrogates.isotropic import IsotropicNetwork
from prnn_md.surrogates.prnn import PRNN, Localisation
from prnn_md.surrogates.recurrent import RecurrentBaseline
from prnn_md.surrogates.thermodynamic import ThermodynamicNetwork

__all__ = [
    "PRNN",
    "AmplifiedRotationEncoder",
    "Decoder",
    "Encoder",
    "FeedForward",
    "FreeEncoder",
    "HillMandelDecoder",
    "IsotropicDecoder",
    "IsotropicNetwork",
    "Localisation",
    "LowRankEncoder",
    "MultilayerEncoder",
    "NormalisedDecoder",
    "RecurrentBaseline",
    "SoftplusDecoder",
    "TaylorEncoder",
    "ThermodynamicNetwork",
]
