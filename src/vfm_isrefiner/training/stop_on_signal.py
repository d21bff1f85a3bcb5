"""`StopOnSignal`: SIGTERM or SIGUSR1 ends the run within seconds, with everything saved; so do minutes without a save."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import ParallelStrategy

from vfm_isrefiner.training.errors import StoppedBySignal

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
SAVE = 1  # what the ranks agree on: nothing, to save, or the number of a signal, which is larger


@final
class StopOnSignal(Callback):
    """Schedulers send SIGTERM or SIGUSR1 shortly before they kill a job: finish the batch, save `last.ckpt`, stop.

    The evaluation after an epoch may take longer than a scheduler waits. `last.ckpt` is therefore saved before the last step
    of each epoch, and a signal during that step or the evaluation stops at once: the resumed run makes the step and the whole
    evaluation again, and so finds the best weights that the undisturbed run finds.

    The run ends with `StoppedBySignal`, which the command line turns into exit status 143 (SIGTERM) or 138 (SIGUSR1).
    In a distributed run every rank stops at the same batch, whichever of them got the signal.

    Args:
        folder: where `last.ckpt` is written.
        every_minutes: `last.ckpt` is also saved when the last time is that long ago, for a run that is killed without a word.

    Raises:
        ValueError: `every_minutes` is negative.
    """

    def __init__(self, folder: str | Path, every_minutes: float = 10.0) -> None:
        if every_minutes < 0:
            raise ValueError(f"every_minutes must be 0 or more, got {every_minutes}; 0 saves after each step.")
        self.path, self.every_minutes = Path(folder) / "last.ckpt", every_minutes
        self._received: int | None = None
        self._interruptible = False
        self._has_file = False
        self._saved_at = 0.0
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        strategy = trainer.strategy
        if isinstance(strategy, ParallelStrategy) and isinstance(strategy.cluster_environment, SLURMEnvironment):
            # Lightning's own way on SLURM would save another file inside the handler, in the middle of a step, and go on
            strategy.cluster_environment.auto_requeue = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning has put in its own handlers by now, and puts the original ones back when it ends
        self._received, self._interruptible, self._saved_at = None, False, time.monotonic()
        self._has_file = trainer.ckpt_path is not None and Path(trainer.ckpt_path).absolute() == self.path.absolute()
        self._before = {signum: signal.signal(signum, self._remember) for signum in SIGNALS}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batches, of_a_step = int(trainer.num_training_batches), trainer.accumulate_grad_batches
        if (batch_idx + 1) % of_a_step and batch_idx + 1 < batches:
            return  # gradients that wait for their step are in no checkpoint
        agreed, stops = self._agreed(trainer), trainer.should_stop  # by a clock, with no last step but one to know
        ends = batch_idx + 1 == batches or stops
        due = batch_idx == last_step_but_one(batches, of_a_step) or stops
        if due or (agreed and not ends) or (ends and not self._has_file):
            trainer.save_checkpoint(self.path, weights_only=False)
            self._has_file, self._saved_at = True, time.monotonic()
        if agreed > SAVE:
            raise self._stop(agreed)
        self._interruptible = ends
        if ends and self._received is not None:  # the signal came since the ranks agreed
            raise self._stop(self._received)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._interruptible, self._saved_at = False, time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._interruptible = False
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._interruptible = False
        self._restore()

    def _agreed(self, trainer: Trainer) -> int:
        """What is to be done now: 0, SAVE, or a signal's number; alike on every rank. The first one's clock counts."""
        late = trainer.is_global_zero and time.monotonic() - self._saved_at >= 60 * self.every_minutes
        mine = self._received or (SAVE if late else 0)
        if trainer.world_size == 1:
            return mine
        wish = torch.tensor(mine, dtype=torch.int32, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(wish, reduce_op="max"))

    def _stop(self, signum: int) -> StoppedBySignal:
        return StoppedBySignal(signum, str(self.path))

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self._received = signum
        if self._interruptible:
            self._interruptible = False  # once: a second signal shall not disturb the way out
            raise self._stop(signum)

    def _restore(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}


def last_step_but_one(batches: int, of_a_step: int = 1) -> int:
    """Number of the batch that ends the last optimiser step but one of an epoch; of its only step where there is but one.

    Args:
        batches: of the epoch. of_a_step: batches whose gradients are accumulated.
    """
    number = (batches - 1) // of_a_step * of_a_step - 1
    return batches - 1 if number < 0 else number
