"""Data-driven cells: physically recurrent neural networks with their encoders and decoders, and baselines."""

from prnn_md.surrogates.decoder import Decoder, HillMandelDecoder, SoftplusDecoder
from prnn_md.surrogates.encoder import AmplifiedRotationEncoder, Encoder, FreeEncoder, TaylorEncoder
from prnn_md.surrogates.prnn import PRNN, Localisation
from prnn_md.surrogates.recurrent import RecurrentBaseline

__all__ = [
    "PRNN",
    "AmplifiedRotationEncoder",
    "Decoder",
    "Encoder",
    "FreeEncoder",
    "HillMandelDecoder",
    "Localisation",
    "RecurrentBaseline",
    "SoftplusDecoder",
    "TaylorEncoder",
]
