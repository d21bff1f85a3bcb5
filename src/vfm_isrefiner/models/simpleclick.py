"""SimpleClick: plain ViT, SimpleFPN, all-MLP head; the baseline without any modulation (Liu et al., ICCV 2023)."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.normalise import Normalise, pad_to_multiple
from vfm_isrefiner.models.pyramid_fusion import PyramidFusion
from vfm_isrefiner.models.simple_fpn import SimpleFPN
from vfm_isrefiner.models.tuning import keep_frozen_in_eval_mode
from vfm_isrefiner.models.vit import ViT

HEAD_DROPOUT = 0.1  # of the released head


@final
class SimpleClick(nn.Module):
    """Sees the image, the previous probability and the click maps; M_mod is ignored.

    Args:
        vit: with `auxiliary=3`. fpn: its pyramid. head: the fused pyramid, 256 channels in the paper.
        config: the plain arguments it was built from, kept for checkpoints.
        frozen: its own parameters do not learn (models/tuning.py).
    """

    def __init__(
        self,
        *,
        vit: ViT,
        fpn: SimpleFPN,
        head: PyramidFusion,
        normalise: Normalise,
        config: dict[str, Any] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.vit, self.fpn, self.head, self.normalise = vit, fpn, head, normalise
        self.dropout = nn.Dropout2d(HEAD_DROPOUT)
        self.classify = nn.Conv2d(head.fusion.out_channels, 1, 1)
        self.config = dict(config or {})
        self.frozen = frozen

    def train(self, mode: bool = True) -> SimpleClick:
        """As `nn.Module.train`; what is frozen stays in eval mode."""
        super().train(mode)
        if self.frozen:
            keep_frozen_in_eval_mode(self)
        return self

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """`image` (B, 3, H, W) float RGB in [0, 1] -> its patch embedding; the rest of the ViT sees the clicks."""
        image = self.normalise(image)
        return ImageFeatures(image, self.vit.embed_image(pad_to_multiple(image, 2 * self.vit.patch)))

    def forward(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """One round; arguments and logits (B, 1, H, W) as in `ISRefiner.forward`."""
        size = click_maps.shape[-2:]
        auxiliary = pad_to_multiple(torch.cat([prev_prob, click_maps], 1), 2 * self.vit.patch)
        assert features.patches is not None, "SimpleClick.encode_image always embeds patches"
        _, deep = self.vit(features.patches, auxiliary)
        pyramid = self.fpn(deep)
        logits = self.classify(self.dropout(self.head(pyramid, pyramid[0].shape[-2:])))
        logits = F.interpolate(logits, size=auxiliary.shape[-2:], mode="bilinear", align_corners=True)
        return logits[..., : size[0], : size[1]]
