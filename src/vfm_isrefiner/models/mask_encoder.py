"""Previous Mask Processing Module of Fig. 3: M_prev, M_mod and M_click -> F_mask."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


class XceptionConv(nn.Module):
    """Two depthwise 3x3 convolutions, a pointwise one, batch norm after the first and the last, ReLU (Fig. 3, orange)."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.depthwise1 = nn.Conv2d(in_width, in_width, 3, padding=1, groups=in_width)
        self.norm1 = nn.BatchNorm2d(in_width)
        self.depthwise2 = nn.Conv2d(in_width, in_width, 3, padding=1, groups=in_width)
        self.pointwise = nn.Conv2d(in_width, out_width, 1)
        self.norm2 = nn.BatchNorm2d(out_width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm2(self.pointwise(self.depthwise2(self.norm1(self.depthwise1(x))))))


class MaskEncoder(nn.Module):
    """Four stride-2 convolutions with ReLU and one Xception convolution, down to 1/16 of the input.

    Args:
        out_width: channels of F_mask, the ViT's width.
        widths: channels of the four convolutions.
    """

    def __init__(self, out_width: int, widths: tuple[int, ...] = (64, 128, 256, 512), in_width: int = 4) -> None:
        super().__init__()
        channels = (in_width, *widths)
        self.convs = nn.ModuleList(nn.Conv2d(before, after, 3, 2, 1) for before, after in pairwise(channels))
        self.xception = XceptionConv(widths[-1], out_width)

    def forward(self, auxiliary: Tensor) -> Tensor:
        """M = (M_prev, M_mod, positive, negative) (B, 4, H, W) -> F_mask (B, out_width, H/16, W/16), rounded up."""
        x = auxiliary
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.xception(x)
