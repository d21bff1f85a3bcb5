"""SimpleFPN of Fig. 2: F_ViT^N at four scales, 1/4, 1/8, 1/16 and 1/32 of the input (Section III-B)."""

from __future__ import annotations

from torch import Tensor, nn


class SimpleFPN(nn.Module):
    """A pyramid from the single-scale output of a plain ViT, with one-group GroupNorm.

    Args:
        width: channels of F_ViT^N.
        out_widths: channels of F_1^ms ... F_4^ms, finest first; (128, 256, 512, 1024) in the paper.
    """

    def __init__(self, width: int, out_widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        fine, half, same, coarse = out_widths
        hidden_4, hidden_8, hidden_32 = max(2 * fine, width // 2), max(half, width // 2), max(coarse, 2 * width)
        self.scale_4 = nn.Sequential(
            nn.ConvTranspose2d(width, hidden_4, 2, 2),
            nn.GroupNorm(1, hidden_4),
            nn.GELU(),
            nn.ConvTranspose2d(hidden_4, hidden_4 // 2, 2, 2),
            nn.GroupNorm(1, hidden_4 // 2),
            nn.Conv2d(hidden_4 // 2, fine, 1),
            nn.GroupNorm(1, fine),
            nn.GELU(),
        )
        self.scale_8 = nn.Sequential(
            nn.ConvTranspose2d(width, hidden_8, 2, 2),
            nn.GroupNorm(1, hidden_8),
            nn.Conv2d(hidden_8, half, 1),
            nn.GroupNorm(1, half),
            nn.GELU(),
        )
        self.scale_16 = nn.Sequential(nn.Conv2d(width, same, 1), nn.GroupNorm(1, same), nn.GELU())
        self.scale_32 = nn.Sequential(
            nn.Conv2d(width, hidden_32, 2, 2),
            nn.GroupNorm(1, hidden_32),
            nn.Conv2d(hidden_32, coarse, 1),
            nn.GroupNorm(1, coarse),
            nn.GELU(),
        )

    def forward(self, deep: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """F_ViT^N (B, C, h, w) -> (4h, 4w), (2h, 2w), (h, w), (h/2, w/2) maps."""
        return self.scale_4(deep), self.scale_8(deep), self.scale_16(deep), self.scale_32(deep)
