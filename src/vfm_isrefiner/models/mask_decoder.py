"""Transformer decoder of Fig. 5: a two-way decoder whose token looks at the features before it looks at itself, eq. 4-6."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vfm_isrefiner.models.attention import CrossAttention


class DecoderLayer(nn.Module):
    """Token to features (eq. 4), token self-attention, MLP, features to token (eq. 5, first line); each with LN(x + .)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.token_to_feature = CrossAttention(width, heads)
        self.self_attention = CrossAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.feature_to_token = CrossAttention(width, heads)
        self.norm_cross = nn.LayerNorm(width)
        self.norm_self = nn.LayerNorm(width)
        self.norm_mlp = nn.LayerNorm(width)
        self.norm_feature = nn.LayerNorm(width)

    def forward(self, token: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """`token` (B, 1, C), `features` (B, N, C) -> both updated."""
        token = self.norm_cross(token + self.token_to_feature(token, features))
        token = self.norm_self(token + self.self_attention(token, token))
        token = self.norm_mlp(token + self.mlp(token))
        features = self.norm_feature(features + self.feature_to_token(features, token))
        return token, features


class MaskDecoder(nn.Module):
    """F_DFC and the mask token Q -> F'_DFC and Q_final.

    Args:
        width: channels of F_DFC and Q (768 in the paper).
        heads: attention heads; `layers` decoder layers (8 and 2 in the paper).
        use_vit: fuse F_ViT^N with F_mask by the 1x1 Dense Fusion Convolution; without it F_DFC is F_mask alone (Table V).
    """

    def __init__(self, width: int, heads: int = 8, layers: int = 2, use_vit: bool = True) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, width))
        self.dense_fusion = nn.Conv2d(2 * width, width, 1) if use_vit else None
        self.layers = nn.ModuleList(DecoderLayer(width, heads) for _ in range(layers))
        self.final_attention = CrossAttention(width, heads)
        self.final_norm = nn.LayerNorm(width)
        self.final_mlp = nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width // 4))

    def forward(self, mask_features: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """F_mask and F_ViT^N, both (B, C, h, w) -> F'_DFC as tokens (B, h*w, C), and Q_final (B, C/4)."""
        fused = mask_features
        if self.dense_fusion is not None:
            fused = self.dense_fusion(torch.cat([mask_features, deep], 1))
        features = fused.flatten(2).transpose(1, 2)
        token = self.mask_token.expand(len(features), 1, -1)
        for layer in self.layers:
            token, features = layer(token, features)
        # eq. 6, followed by the MLP that brings Q_final to the width of F_final
        token = self.final_norm(token + self.final_attention(token, features))
        return features, self.final_mlp(token)[:, 0]
