"""F_1^ms ... F_4^ms -> one map: the all-MLP fusion of SegFormer's kind that Fig. 2 and SimpleClick's head share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.models.forms import fast
from vfm_isrefiner.models.resize import resized


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
        maps = [F.relu(conv(level)) for conv, level in zip(self.convs, pyramid, strict=True)]
        if fast():
            return F.relu(self._fused_first(maps, size))
        return F.relu(self.fusion(torch.cat([resized(level, size) for level in maps], 1)))

    def _fused_first(self, maps: list[Tensor], size: torch.Size) -> Tensor:
        """Each scale goes through its part of the last convolution at its own size: a 1x1 convolution commutes with bilinear
        resizing, and that of a concatenation is a sum."""
        parts = self.fusion.weight.chunk(len(maps), 1)
        finest, *coarser = (F.conv2d(level, part) for level, part in zip(maps, parts, strict=True))
        assert self.fusion.bias is not None, "as it is built above"
        total = resized(finest, size) + self.fusion.bias[:, None, None]
        for level in coarser:
            total = total + resized(level, size)
        return total
