"""`EndInTime`: a training that ends when its minutes are over, its learning rate down by then."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer


@final
class EndInTime(Callback):
    """For a machine that is free for so long: as many steps as fit, under a schedule that knows the clock and not their number.

    The learning rate of every group rises in a line to the optimiser's own and goes down to nothing along half a cosine. It
    rises by the clock and by steps, whichever is slower: the first steps on a GPU take seconds, as kernels are built.

    The clock starts with the first batch (reading the data before it does not count), goes on while an epoch is evaluated and
    stands while a run is interrupted: a resumed run has what was left. In a distributed run the first rank's clock counts.
    Two runs are not equal to the bit, as one may have made a step more.

    Args:
        minutes: in all.
        warmup: part of them in which the learning rate rises.
        warmup_steps: and the steps that it takes to rise.

    Raises:
        ValueError: no time, or a warmup out of [0, 1).
    """

    def __init__(self, minutes: float, warmup: float = 0.02, warmup_steps: int = 20) -> None:
        if not minutes > 0 or not 0 <= warmup < 1 or warmup_steps < 0:
            raise ValueError(
                "EndInTime needs minutes above 0, a warmup in [0, 1) and warmup_steps of 0 or more, got "
                f"{minutes}, {warmup} and {warmup_steps}."
            )
        self.seconds, self.warmup, self.warmup_steps = 60 * minutes, warmup, warmup_steps
        self._spent = 0.0
        self._begun: float | None = None
        self._rates: list[float] = []

    def rate(self, share: float, steps: int) -> float:
        """Factor of the learning rate when this share of the time is over and so many steps are made, 1 at its highest."""
        by_clock = min(1.0, share / self.warmup) if self.warmup else 1.0
        by_steps = min(1.0, steps / self.warmup_steps) if self.warmup_steps else 1.0
        past = min(1.0, max(0.0, (share - self.warmup) / (1 - self.warmup)))
        return min(by_clock, by_steps) * (0.5 + 0.5 * math.cos(math.pi * past))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begun = None
        if not self._rates:  # a resumed optimiser has the rate at which it was interrupted
            self._rates = [group["lr"] for group in _groups(trainer)]
        if self._spent >= self.seconds:  # resumed behind its end: no step more
            trainer.should_stop = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._begun is None:
            self._begun = monotonic() - self._spent
        self._spent = trainer.strategy.broadcast(monotonic() - self._begun)
        for group, rate in zip(_groups(trainer), self._rates, strict=True):
            group["lr"] = rate * self.rate(self._spent / self.seconds, trainer.global_step)

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
