"""`ReportEpochs`: a line an epoch on the terminal, also where no progress bar can be drawn (log files, schedulers)."""

from __future__ import annotations

import time
from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer

from vfm_isrefiner.training.evaluate_noc import EvaluateNoC

SHOWN = {
    "train/epoch_loss": "loss {:.4f}",
    "train/epoch_iou": "IoU {:.3f}",
    "val/noc80": "NoC@80 {:.2f}",
    "val/noc90": "NoC@90 {:.2f}",
}


@final
class ReportEpochs(Callback):
    """Prints on the first rank: epoch, its mean loss and IoU, the latest scores, the time it took and about how much is left.

    Goes after the callbacks whose scores it shows. A score that this epoch did not measure is left out.
    """

    def __init__(self) -> None:
        self._begun = 0.0
        self._epochs = 0
        self._spent = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begun = time.monotonic()  # an epoch that is resumed in its middle does not start again

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begun = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        seconds = time.monotonic() - self._begun
        self._epochs, self._spent = self._epochs + 1, self._spent + seconds
        number, last = trainer.current_epoch + 1, trainer.max_epochs or -1
        words = [f"epoch {number}/{last}" if last > 0 else f"epoch {number}", *self._scores(trainer), f"{seconds:.0f} s"]
        if last > number:
            words.append(f"about {_duration((last - number) * self._spent / self._epochs)} left")
        bar = trainer.progress_bar_callback
        say = print if bar is None else bar.print
        say("  ".join(words))

    def _scores(self, trainer: Trainer) -> list[str]:
        evaluations = [each for each in trainer.callbacks if isinstance(each, EvaluateNoC)]  # type: ignore[attr-defined]
        measured = any(each.due(trainer.current_epoch) for each in evaluations)
        names = [name for name in SHOWN if measured or not name.startswith("val/")]
        return [SHOWN[name].format(float(trainer.callback_metrics[name])) for name in names if name in trainer.callback_metrics]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
