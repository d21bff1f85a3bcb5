"""`Distillation`: a trained network teaches another beside the truth (Hinton et al. 2015). Not in the paper; off by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast, final

import torch
from torch import Tensor, nn

from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.losses import focal_divergence
from vfm_isrefiner.models.checkpoints import CheckpointError, load_any
from vfm_isrefiner.predictor.network_settings import mixes_rows, settings_of
from vfm_isrefiner.rollout import Network, Round


@final
@dataclass(frozen=True)
class Distillation:
    """loss = (1 - weight) · loss of the truth + weight · `focal_divergence` from the teacher's probabilities.

    The teacher plays the same last round as its student: that image, those clicks and that previous probability, which it
    modulates in its own way. It is no part of the student's module: it is neither trained nor saved with it.

    Attributes:
        teacher: its network in eval mode.
        weight: of the teacher, in [0, 1].

    Raises:
        ValueError: the weight is out of range, the teacher's network is in training mode, or what it says of an object would
            depend on the others in the batch.
    """

    teacher: Round
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"distillation.weight is the teacher's share of the loss, from 0 to 1; got {self.weight}.")
        if self.teacher.network.training:
            raise ValueError("Distillation got a teacher in training mode; call network.eval().")
        if mixes_rows(self.teacher):
            raise ValueError(
                "The released VFM-ISRefiner mixes pairs of rows: as a teacher it needs distillation.flip=true, where the two "
                "are an image and its mirror."
            )

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | Path,
        weight: float = 0.5,
        *,
        flip: bool = False,
        released: bool = False,
        backbone_checkpoint: str | Path | None = None,
    ) -> Distillation:
        """The teacher of a file or of shipped weights, with the modulation and the passes that go with it.

        Torch's random state is left as it was, so that the student's training draws what it draws without a teacher.

        Args:
            checkpoint, released, backbone_checkpoint: see `load_any`.
            flip: the teacher's answers are averaged with those for the mirrored image.

        Raises:
            CheckpointError: the file does not fit, or is a training checkpoint. ValueError: as the class.
        """
        if Path(checkpoint).suffix == ".ckpt":
            raise CheckpointError(
                f"distillation.checkpoint={checkpoint} is a checkpoint to resume a training from; give the network.safetensors "
                "that the training leaves in its folder when it ends."
            )
        with torch.random.fork_rng(devices=[]):
            network = load_any(checkpoint, backbone_checkpoint=backbone_checkpoint, released=released)
        network.eval().requires_grad_(False)
        own = settings_of(network.config)
        teacher = Round(cast(Network, network), own["modulation"], first_click_passes=own["first_click_passes"], flip=flip)
        return cls(teacher, weight)

    def to(self, device: torch.device) -> None:
        """Put the teacher where its student is."""
        cast(nn.Module, self.teacher.network).to(device)

    @torch.no_grad()
    def probability(self, batch: InstanceBatch, interaction: Interaction) -> Tensor:
        """What the teacher says of this round, (B, 1, H, W) in [0, 1]."""
        features, flipped = self.teacher.encode(batch.image)
        return self.teacher.logits(features, flipped, interaction.clicks, interaction.prob).sigmoid()

    def mixed(self, loss: Tensor, logits: Tensor, batch: InstanceBatch, interaction: Interaction) -> tuple[Tensor, Tensor]:
        """The truth's `loss` (B,), the student's `logits` -> the loss (B,) to train with, and the divergence in it (B,)."""
        divergence = focal_divergence(logits, self.probability(batch, interaction), batch.ignore)
        return (1 - self.weight) * loss + self.weight * divergence, divergence
