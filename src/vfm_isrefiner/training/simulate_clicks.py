"""`SimulateClicks`: before each training step, play the earlier rounds of the interaction without gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import final

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from vfm_isrefiner.click_simulation import sample_first_click, sample_next_click
from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.rollout import Segmenter, rollout
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.statistics import share_statistics


@final
class SimulateClicks(Callback):
    """One to `max_rounds` rounds a batch; all but the last, which is the training step, in eval mode and without gradient.

    Everything is drawn from (seed, batch number, rank), the number of rounds from (seed, batch number) alone: every rank plays
    as many rounds, and a resumed run draws what the uninterrupted one would have drawn, with no state to save.

    Args:
        max_rounds: the most rounds, 3 as released.
        decay: P(i rounds) is proportional to decay^(i-1).
        threshold: above this probability a pixel counts as predicted when the next click is chosen.
        seed: of all draws.
    """

    def __init__(self, max_rounds: int = 3, decay: float = 0.8, threshold: float = 0.5, seed: int = 0) -> None:
        if max_rounds < 1 or not 0 < decay <= 1:
            raise ValueError(f"max_rounds must be at least 1 and decay in (0, 1], got {max_rounds} and {decay}.")
        self.max_rounds, self.decay, self.threshold, self.seed = max_rounds, decay, threshold, seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: InstanceBatch, batch_idx: int) -> None:
        assert isinstance(pl_module, InteractiveSegmentation), "SimulateClicks goes with InteractiveSegmentation"
        # counts every batch, unlike global_step where gradients are accumulated
        number = trainer.fit_loop.total_batch_idx
        generator = generator_of(self.seed, number, trainer.global_rank)
        share_statistics(pl_module.network, trainer.world_size)
        with in_eval_mode(pl_module.network), torch.no_grad(), trainer.precision_plugin.train_step_context():
            interaction = self.play(pl_module.segmenter, batch, self.rounds(number), generator)
        # dropout inside the step, alike after a resume
        torch.manual_seed(_mixed(self.seed, number, trainer.global_rank, 1))
        pl_module.prepare(batch, interaction)

    def rounds(self, number: int) -> int:
        """How many rounds batch `number` of the run gets, the training step included."""
        odds = self.decay ** torch.arange(self.max_rounds, dtype=torch.float64)
        return 1 + int(torch.multinomial(odds, 1, generator=generator_of(self.seed, number)))

    def play(self, segmenter: Segmenter, batch: InstanceBatch, rounds: int, generator: torch.Generator) -> Interaction:
        """`rounds` - 1 rounds and the click of the last one, which is left to the caller: its `prob` is the previous one.

        An object with no pixel at all, or no error left, gets no click in that round (label -1) and keeps its place.
        """

        def click(interaction: Interaction) -> tuple[Tensor, Tensor]:
            if interaction.clicks.label.shape[1] == 0:
                return sample_first_click(batch.mask, batch.ignore, generator)
            pred = interaction.prob > self.threshold
            return sample_next_click(pred, batch.mask, batch.ignore, interaction.clicks, generator)

        interaction = Interaction.begin(batch.image, batch.size)
        if rounds > 1:
            *_, interaction = rollout(segmenter, segmenter.start(batch.image, batch.size), click, rounds - 1)
        return replace(interaction, clicks=interaction.clicks.append(*click(interaction)), features=None, flipped=None)


def generator_of(*numbers: int) -> torch.Generator:
    """A generator that these whole numbers decide; near numbers give unrelated draws. On the CPU: alike for every device."""
    return torch.Generator().manual_seed(_mixed(*numbers))


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards each module is in the mode in which it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
