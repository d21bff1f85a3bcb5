"""Deformable 3x3 convolution in two equal forms: torchvision's kernel on an accelerator, grid_sample on a CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d


class DeformConv3x3(nn.Module):
    """3x3 convolution whose nine taps are displaced by `offset`; stride 1, padding 1 (Section III-C).

    Always computed in float32: bfloat16 offsets move the taps by up to a pixel, and torchvision's CPU kernel has no
    bfloat16 form. The grid_sample form is 3-7 times faster than torchvision's on a CPU and equal to about 1e-5.
    """

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_width, in_width, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_width))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """`x` (B, C, H, W), `offset` (B, 18, H, W) as (dy, dx) of the taps in row-major order, in pixels."""
        with torch.autocast(x.device.type, enabled=False):
            x, offset, weight, bias = x.float(), offset.float(), self.weight.float(), self.bias.float()
            if x.device.type == "cpu":
                return deform_conv_by_grid_sample(x, offset, weight, bias)
            return deform_conv2d(x, offset, weight, bias, padding=1)


def deform_conv_by_grid_sample(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same convolution as one bilinear sampling of all nine taps and one matrix product.

    Samples outside the map are zero, as in torchvision. Shapes as in `DeformConv3x3.forward`; float32 throughout.
    """
    batch, channels, height, width = x.shape
    row = torch.arange(height, device=x.device, dtype=x.dtype).view(1, 1, height, 1)
    col = torch.arange(width, device=x.device, dtype=x.dtype).view(1, 1, 1, width)
    tap = torch.arange(3, device=x.device, dtype=x.dtype) - 1
    tap_y, tap_x = tap.repeat_interleave(3).view(1, 9, 1, 1), tap.repeat(3).view(1, 9, 1, 1)
    y = offset[:, 0::2] + row + tap_y
    x_position = offset[:, 1::2] + col + tap_x
    # align_corners=False: the outer edges of the first and last pixel are -1 and 1 (a side of one pixel works too)
    grid = torch.stack([(2 * x_position + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    taps = F.grid_sample(x, grid.view(batch, 9 * height, width, 2), align_corners=False)
    columns = taps.view(batch, channels * 9, height * width)
    # `weight @ columns` would copy the columns wherever the weight has a gradient
    out = torch.baddbmm(bias.view(1, -1, 1), weight.flatten(1).expand(batch, -1, -1), columns)
    return out.view(batch, -1, height, width)
