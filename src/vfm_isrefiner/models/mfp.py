"""MFP: SimpleClick's network with the modulated map and a late fusion of probability features (Lee et al., CVPR 2024)."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.mask_encoder import XceptionConv
from vfm_isrefiner.models.normalise import Normalise, pad_to_multiple
from vfm_isrefiner.models.pyramid_fusion import PyramidFusion
from vfm_isrefiner.models.resize import resized
from vfm_isrefiner.models.simple_fpn import SimpleFPN
from vfm_isrefiner.models.simpleclick import HEAD_DROPOUT
from vfm_isrefiner.models.tuning import keep_frozen_in_eval_mode
from vfm_isrefiner.models.vit import ViT


class ProbabilityEncoder(nn.Module):
    """Image, M_prev and M_mod (5 channels) -> 1/4 of the size: two stride-2 convolutions and an Xception convolution."""

    def __init__(self, out_width: int, hidden: int = 64) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(5, hidden, 3, 2, 1), nn.Conv2d(hidden, out_width, 3, 2, 1)])
        self.xception = XceptionConv(out_width, out_width)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.xception(x)


@final
class MFP(nn.Module):
    """Sees the image, M_prev, M_mod and the click maps.

    Args:
        vit: with `auxiliary=4`. fpn: its pyramid. head: the fused pyramid, 256 channels in the paper.
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
        width = head.fusion.out_channels
        self.probability_encoder = ProbabilityEncoder(width)
        self.late_fusion = nn.Sequential(XceptionConv(2 * width, width), XceptionConv(width, width))
        self.dropout = nn.Dropout2d(HEAD_DROPOUT)
        self.classify = nn.Conv2d(width, 1, 1)
        self.config = dict(config or {})
        self.frozen = frozen

    def train(self, mode: bool = True) -> MFP:
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
        size, multiple = click_maps.shape[-2:], 2 * self.vit.patch
        auxiliary = pad_to_multiple(torch.cat([prev_prob, mod_prob, click_maps], 1), multiple)
        assert features.patches is not None, "MFP.encode_image always embeds patches"
        _, deep = self.vit(features.patches, auxiliary)
        pyramid = self.fpn(deep)
        backbone = self.head(pyramid, pyramid[0].shape[-2:])
        probability = self.probability_encoder(torch.cat([pad_to_multiple(features.image, multiple), auxiliary[:, :2]], 1))
        probability = resized(probability, backbone.shape[-2:])  # another size only where the patch is not 16 px
        logits = self.classify(self.dropout(self.late_fusion(torch.cat([backbone, probability], 1))))
        logits = F.interpolate(logits, size=auxiliary.shape[-2:], mode="bilinear", align_corners=True)
        return logits[..., : size[0], : size[1]]
