"""F_1^ms ... F_4^ms -> one map: the all-MLP fusion of SegFormer's kind that Fig. 2 and SimpleClick's head share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PyramidFusion(nn.Module):
    """1x1 convolution of each scale, bilinear resizing to one size, concatenation, 1x1 convolution; ReLU after each.

    Args:
        in_widths: channels of the four maps, finest first.
        out_width: channels of F_multiscale.
    """

    def __init__(self, in_widths: tuple[int, ...], out_width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, out_width, 1) for width in in_widths)
        self.fusion = nn.Conv2d(out_width * len(in_widths), out_width, 1)

    def forward(self, pyramid: tuple[Tensor, ...], size: torch.Size) -> Tensor:
        """Maps of several sizes -> (B, out_width, *size)."""
        maps = [
            F.interpolate(F.relu(conv(level)), size=size, mode="bilinear", align_corners=False)
            for conv, level in zip(self.convs, pyramid, strict=True)
        ]
        return F.relu(self.fusion(torch.cat(maps, 1)))
