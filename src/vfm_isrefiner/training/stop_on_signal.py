"""`StopOnSignal`: SIGTERM or SIGUSR1 ends the run after the current batch or evaluation, with everything saved."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer

from vfm_isrefiner.training.errors import StoppedBySignal

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@final
class StopOnSignal(Callback):
    """Schedulers send SIGTERM or SIGUSR1 shortly before they kill a job: finish the batch (or the evaluation that
    runs), save `last.ckpt`, stop.

    The run ends with `StoppedBySignal`, which the command line turns into exit status 143 (SIGTERM) or 138 (SIGUSR1).
    In a distributed run every rank stops at the same batch, whichever of them got the signal.

    Args:
        folder: where `last.ckpt` is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "last.ckpt"
        self._received: int | None = None
        self._saved = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning has put in its own handlers by now, and puts the original ones back when it ends
        self._received, self._saved = None, False
        self._before = {signum: signal.signal(signum, self._remember) for signum in SIGNALS}

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self._asked(trainer):
            trainer.save_checkpoint(self.path, weights_only=False)
            raise self._stop()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The signal came while the epoch was evaluated. Lightning's checkpoint callbacks have their turn yet, with the scores.
        self._saved = self._asked(trainer)
        if self._saved:
            trainer.save_checkpoint(self.path, weights_only=False)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._saved:
            raise self._stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore()
        if self._saved:  # trained to the end, and yet not to go on with what comes after
            raise self._stop()

    def _asked(self, trainer: Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(self._received is not None, all=False)

    def _stop(self) -> StoppedBySignal:
        return StoppedBySignal(self._received or signal.SIGTERM, str(self.path))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore()

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self._received = signum

    def _restore(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}
