"""Image Feature Fusion of Fig. 4: cross-attention between early ViT features and F_IFE, eq. 2-3."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vfm_isrefiner.models.attention import CrossAttention


class FeatureFusion(nn.Module):
    """F'_early = LN(F_early + θ CA(F_early, F_IFE)); F'_IFE = LN(F_IFE + CA(F_IFE, F'_early)); F'_IFE upsampled 4x is F_HQ.

    Args:
        width: channels of both features.
        heads: attention heads (8 in the paper).
        theta: "learnable" (one value per channel, initialised to 1, as released), "learnable_scalar" (one value), or a
            number that stays fixed (Table VI).
    """

    theta: Tensor

    def __init__(self, width: int, heads: int = 8, theta: str | float = "learnable") -> None:
        super().__init__()
        self.early_to_ife = CrossAttention(width, heads)
        self.ife_to_early = CrossAttention(width, heads)
        self.norm_early = nn.LayerNorm(width)
        self.norm_ife = nn.LayerNorm(width)
        if theta == "learnable":
            self.theta = nn.Parameter(torch.ones(1, 1, width))
        elif theta == "learnable_scalar":
            self.theta = nn.Parameter(torch.ones(1, 1, 1))
        elif isinstance(theta, int | float):
            self.register_buffer("theta", torch.full((1, 1, 1), float(theta)))
        else:
            raise ValueError(f"theta is 'learnable', 'learnable_scalar' or a number, got {theta!r}.")
        self.upsample = nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2),
            nn.BatchNorm2d(width // 2),
            nn.GELU(),
            nn.ConvTranspose2d(width // 2, width // 4, 2, 2),
            nn.BatchNorm2d(width // 4),
            nn.GELU(),
        )

    def project(self, ife: Tensor) -> Tensor:
        """Keys and values of F_IFE for eq. 2; they depend on the image alone. (B, n, C) -> (B, n, 2C)."""
        return self.early_to_ife.project(ife)

    def forward(self, early: Tensor, ife: Tensor, ife_kv: Tensor, grid: tuple[int, int]) -> Tensor:
        """F_HQ (B, C/4, 4h, 4w).

        Args:
            early: F_early (B, N, C).
            ife: F_IFE as tokens (B, h*w, C), and `ife_kv` their projection (B, h*w, 2C).
            grid: (h, w) of F_IFE.
        """
        early = self.norm_early(early + self.theta * self.early_to_ife(early, projected=ife_kv))
        ife = self.norm_ife(ife + self.ife_to_early(ife, early))
        return self.upsample(ife.transpose(1, 2).unflatten(2, grid))
