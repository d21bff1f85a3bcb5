"""`PlainTraining`: a training step as one writes it at first, of the same mathematics as the package's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vfm_isrefiner.click_simulation import sample_first_click, sample_next_click
from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.losses import normalized_focal_loss
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.rollout import Network, Round
from vfm_isrefiner.training.simulate_clicks import generator_of


@final
@dataclass(frozen=True)
class PlainTraining:
    """One step on a batch, the way of published training loops for click-based segmentation.

    The network is one function of image, clicks and previous probability, so every round, simulated or trained, encodes the
    images anew. Clicks are looked for on the host. All is float32 and nothing is compiled. What such loops do take care of is
    done here too: whole batches, simulated rounds in eval mode and without gradient, images on the device once. The network,
    the modulation and the clicker are the package's own, so clicks, loss and updated parameters are those of `FastTraining`.

    Attributes:
        network: of models/. optimizer: of its trainable parameters.
        modulation, threshold: as in training.
        differentiate_frozen: let autograd differentiate the frozen part too, as a loop does that only keeps it out of the
            optimiser.
    """

    network: nn.Module
    optimizer: Optimizer
    modulation: Modulation
    threshold: float = 0.5
    differentiate_frozen: bool = False

    def __call__(self, batch: InstanceBatch, rounds: int, seed: int) -> Tensor:
        """Play `rounds` rounds, differentiate the last one, update; the loss, without gradient."""
        generator = generator_of(seed)
        clicks = Clicks.empty(len(batch), batch.image.device)
        prob = torch.zeros_like(batch.mask, dtype=torch.float32)
        for _ in range(rounds - 1):
            clicks = clicks.append(*self._click(batch, clicks, prob, generator))
            self.network.eval()
            with torch.no_grad():
                prob = self._logits(batch, clicks, prob).sigmoid()
        clicks = clicks.append(*self._click(batch, clicks, prob, generator))
        self.network.train()
        self.network.zero_grad()
        with self._frozen_part():
            loss = normalized_focal_loss(self._logits(batch, clicks, prob), batch.mask, batch.ignore).mean()
            loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _logits(self, batch: InstanceBatch, clicks: Clicks, prob: Tensor) -> Tensor:
        play = Round(cast(Network, self.network), self.modulation)
        return play.logits(*play.encode(batch.image), clicks, prob)

    def _click(self, batch: InstanceBatch, clicks: Clicks, prob: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        device, mask, ignore = batch.image.device, batch.mask.cpu(), batch.ignore.cpu()
        if clicks.label.shape[1] == 0:
            yx, label = sample_first_click(mask, ignore, generator)
        else:
            before = Clicks(clicks.yx.cpu(), clicks.label.cpu())
            yx, label = sample_next_click((prob > self.threshold).cpu(), mask, ignore, before, generator)
        return yx.to(device), label.to(device)

    @contextmanager
    def _frozen_part(self) -> Iterator[None]:
        frozen = [each for each in self.network.parameters() if not each.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(self.differentiate_frozen)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)
                parameter.grad = None
