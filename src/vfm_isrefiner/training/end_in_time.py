"""`EndInTime`: a training that ends when its minutes are over, its learning rate down by then."""

from __future__ import annotations

import math
import time
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer


@final
class EndInTime(Callback):
    """For a machine that is lent for so long: as many steps as fit, under a schedule that knows the clock and not their number.

    The learning rate of every group rises in a line to the optimiser's own and goes down to nothing along half a cosine. The
    clock starts with the first batch (reading the data before it does not count), goes on while an epoch is evaluated and
    stands while a run is interrupted: a resumed run has what was left. In a distributed run the first rank's clock counts.
    Two runs are not equal to the bit, as one may have made a step more.

    Args:
        minutes: in all.
        warmup: part of them in which the learning rate rises.

    Raises:
        ValueError: no time, or a warmup out of [0, 1).
    """

    def __init__(self, minutes: float, warmup: float = 0.02) -> None:
        if not minutes > 0 or not 0 <= warmup < 1:
            raise ValueError(f"EndInTime needs minutes above 0 and a warmup in [0, 1), got {minutes} and {warmup}.")
        self.seconds, self.warmup = 60 * minutes, warmup
        self._spent = 0.0
        self._begun: float | None = None
        self._rates: list[float] = []

    def rate(self, share: float) -> float:
        """Factor of the learning rate when this share of the time is over, 1 at its highest."""
        if share < self.warmup:
            return share / self.warmup
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (share - self.warmup) / (1 - self.warmup)))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begun = None
        if not self._rates:  # a resumed optimiser has the rate at which it was interrupted
            self._rates = [group["lr"] for group in _groups(trainer)]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._begun is None:
            self._begun = time.monotonic() - self._spent
        self._spent = trainer.strategy.broadcast(time.monotonic() - self._begun)
        for group, rate in zip(_groups(trainer), self._rates, strict=True):
            group["lr"] = rate * self.rate(self._spent / self.seconds)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._spent >= self.seconds:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self._spent, "rates": self._rates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._spent, self._rates = state_dict["spent"], state_dict["rates"]


def _groups(trainer: Trainer) -> list[dict[str, Any]]:
    return [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
