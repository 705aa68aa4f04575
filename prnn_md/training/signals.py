"""Keeps a run's own answer to SIGTERM while Lightning trains."""

import signal
import threading

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class OwnSignals(Callback):
    """Puts back the handler of SIGTERM that Lightning replaces when a training starts.

    Lightning's tells the other ranks of the signal at once, in the midst of whatever they exchange.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
