"""The whole network of Fig. 2: frozen ViT, high-quality feature extractor, transformer decoder (Section III-A)."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.dynamic_conv import DynamicConv
from vfm_isrefiner.models.extract_on_cpu import extract
from vfm_isrefiner.models.feature_fusion import FeatureFusion
from vfm_isrefiner.models.forms import fast
from vfm_isrefiner.models.freeze import freeze
from vfm_isrefiner.models.image_extractor import ImageExtractor
from vfm_isrefiner.models.mask_decoder import MaskDecoder
from vfm_isrefiner.models.mask_encoder import MaskEncoder
from vfm_isrefiner.models.normalise import Normalise, pad_to_multiple
from vfm_isrefiner.models.pyramid_fusion import PyramidFusion
from vfm_isrefiner.models.resize import resized
from vfm_isrefiner.models.simple_fpn import SimpleFPN
from vfm_isrefiner.models.vit import ViT

MIRROR_PAIR = 2  # the published evaluation of the released weights runs an image and its mirror image as one batch


@final
class ISRefiner(nn.Module):
    """VFM-ISRefiner: `encode_image` once per image, `forward` once per click.

    Args:
        vit: the foundation model; `fpn` its SimpleFPN. Both frozen unless `train_backbone`.
        early_fusion: eq. 1 or another choice of Table VII.
        image_extractor, feature_fusion: the high-quality feature extractor; both None switches F_HQ off (Table V).
        mask_encoder: Fig. 3. mask_decoder: Fig. 5. pyramid_fusion: F_1^ms ... F_4^ms -> F_multiscale.
        scrambled_reshape: the released model's slip: the (N, B, C) token sequence is viewed as (B, C, h, w) without a
            permute. It mixes the rows of a batch: all of them in training, and pairs (an image and its mirror) in eval mode.
        config: the plain arguments it was built from, kept for checkpoints.
    """

    def __init__(
        self,
        *,
        vit: ViT,
        fpn: SimpleFPN,
        early_fusion: nn.Module,
        image_extractor: ImageExtractor | None,
        feature_fusion: FeatureFusion | None,
        mask_encoder: MaskEncoder,
        mask_decoder: MaskDecoder,
        pyramid_fusion: PyramidFusion,
        normalise: Normalise,
        train_backbone: bool = False,
        scrambled_reshape: bool = False,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if (image_extractor is None) != (feature_fusion is None):
            raise ValueError("F_HQ needs the image extractor and the feature fusion, or neither of them (Table V).")
        self.vit, self.fpn = vit, fpn
        self.early_fusion = early_fusion if image_extractor is not None else None
        self.image_extractor, self.feature_fusion = image_extractor, feature_fusion
        self.mask_encoder, self.mask_decoder = mask_encoder, mask_decoder
        self.pyramid_fusion, self.normalise = pyramid_fusion, normalise
        quarter = vit.width // 4
        self.upsample_fused = nn.Sequential(
            nn.ConvTranspose2d(vit.width, 2 * quarter, 2, 2), nn.ConvTranspose2d(2 * quarter, quarter, 2, 2)
        )
        self.dynamic_conv = DynamicConv(quarter)
        self.scrambled_reshape = scrambled_reshape
        self.train_backbone = train_backbone
        self.config = dict(config or {})
        if not train_backbone:
            freeze(self.vit)
            freeze(self.fpn)

    def train(self, mode: bool = True) -> ISRefiner:
        """As `nn.Module.train`; the frozen backbone stays in eval mode."""
        super().train(mode)
        if not self.train_backbone:
            self.vit.eval()
            self.fpn.eval()
        return self

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """`image` (B, 3, H, W) float RGB in [0, 1] -> patch embedding and F_IFE with its projection (eq. 2)."""
        image = self.normalise(image)
        padded = pad_to_multiple(image, self._multiple)
        patches = self.vit.embed_image(padded)
        if self.image_extractor is None or self.feature_fusion is None:
            return ImageFeatures(image, patches)
        ife = extract(self.image_extractor, padded).flatten(2).transpose(1, 2)
        return ImageFeatures(image, patches, ife, self.feature_fusion.project(ife))

    def forward(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """One round.

        Args:
            features: from `encode_image`.
            click_maps: M_click (B, 2, H, W), positive and negative disks.
            prev_prob: M_prev (B, 1, H, W) in [0, 1]; mod_prob: M_mod, likewise. Zeros before the first prediction.

        Returns:
            Logits of M_seg (B, 1, H, W).
        """
        size = click_maps.shape[-2:]
        auxiliary = pad_to_multiple(torch.cat([prev_prob, mod_prob, click_maps], 1), self._multiple)
        assert features.patches is not None, "ISRefiner.encode_image always embeds patches"
        early, deep = self.vit(features.patches, auxiliary)
        mask_features = self.mask_encoder(auxiliary)
        # only backbones whose patch is not 16 px have a token grid of another size than F_mask
        tokens, token = self.mask_decoder(mask_features, resized(deep, mask_features.shape[-2:]))
        fused = self._as_grid(tokens, mask_features.shape[-2:])  # F'_DFC of eq. 5
        final_features = self.pyramid_fusion(self.fpn(deep), torch.Size(4 * side for side in fused.shape[-2:]))
        if self.feature_fusion is not None and self.early_fusion is not None:
            assert features.ife is not None, "features come from this network's encode_image"
            assert features.ife_kv is not None, "features come from this network's encode_image"
            grid = (-(-auxiliary.shape[-2] // 16), -(-auxiliary.shape[-1] // 16))
            hq = self.feature_fusion(self.early_fusion(*early), features.ife, features.ife_kv, grid)
            final_features = final_features + hq
        logits = self.read_mask(fused, final_features, token)
        logits = F.interpolate(logits, size=auxiliary.shape[-2:], mode="bilinear", align_corners=True)
        return logits[..., : size[0], : size[1]]

    def read_mask(self, fused: Tensor, others: Tensor, token: Tensor) -> Tensor:
        """Eq. 7 on F_final = TC(F'_DFC) + the other terms of eq. 5.

        Args:
            fused: F'_DFC (B, C, h, w). others: F_multiscale + F_HQ (B, C/4, 4h, 4w). token: Q_final (B, C/4).

        Returns:
            Logits (B, 1, 4h, 4w).
        """
        if fast():
            return self.dynamic_conv(others, token) + self.dynamic_conv.read_upsampled(fused, self.upsample_fused, token)
        return self.dynamic_conv(self.upsample_fused(fused) + others, token)

    @property
    def _multiple(self) -> int:
        # the pyramid's coarsest map halves the token grid
        return 2 * self.vit.patch

    def _as_grid(self, tokens: Tensor, grid: torch.Size) -> Tensor:
        if not self.scrambled_reshape:
            return tokens.transpose(1, 2).unflatten(2, grid)
        group = len(tokens) if self.training else MIRROR_PAIR
        return torch.cat([part.transpose(0, 1).reshape(len(part), -1, *grid) for part in tokens.split(group)])
