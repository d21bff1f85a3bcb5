"""Image Feature Extractor of Fig. 4: one ResBlock, three deformable SE ResBlocks, a 1x1 convolution (Section III-C)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.models.deform_conv import DeformConv3x3
from vfm_isrefiner.models.resize import resized


class SqueezeExcitation(nn.Module):
    """Channel attention: global mean, two bias-free linear layers with a 16-fold squeeze, sigmoid."""

    def __init__(self, width: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, max(1, width // reduction), bias=False)
        self.excite = nn.Linear(max(1, width // reduction), width, bias=False)

    def gate(self, mean: Tensor) -> Tensor:
        """Global means (B, C) -> factors in (0, 1), (B, C)."""
        return self.excite(F.relu(self.squeeze(mean))).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class ResBlock(nn.Module):
    """Convolution, batch norm, ReLU, 2x2 max pooling; the shortcut is a 1x1 convolution at half the size."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, out_width, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_width)
        self.shortcut = nn.Conv2d(in_width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2, ceil_mode=True)
        return out + halved_shortcut(self.shortcut, x, out)


class DeformableResBlock(nn.Module):
    """The same with a deformable convolution, and SE attention before the pooling."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.offset = nn.Conv2d(in_width, 18, 3, padding=1)
        self.conv = DeformConv3x3(in_width, out_width)
        self.norm = nn.BatchNorm2d(out_width)
        self.attention = SqueezeExcitation(out_width)
        self.shortcut = nn.Conv2d(in_width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm(self.conv(x, self.offset(x))))
        out = F.max_pool2d(self.attention(out), 2, ceil_mode=True)
        return out + halved_shortcut(self.shortcut, x, out)


def halved_shortcut(shortcut: nn.Conv2d, x: Tensor, like: Tensor) -> Tensor:
    """`x` through the shortcut of a block, at the size of `like`."""
    # A 1x1 convolution commutes with bilinear resizing; resizing first makes it four times cheaper.
    return shortcut(resized(x, like.shape[2:]))


class ImageExtractor(nn.Module):
    """F_IFE from the image alone, at 1/16 of its size.

    Args:
        out_width: channels of F_IFE, the ViT's width (768 in the paper).
        widths: channels after each of the four blocks.
    """

    def __init__(self, out_width: int, widths: tuple[int, int, int, int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        stages: list[nn.Module] = [ResBlock(3, widths[0])]
        stages += [DeformableResBlock(before, after) for before, after in pairwise(widths)]
        self.blocks = nn.Sequential(*stages)
        self.project = nn.Conv2d(widths[-1], out_width, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W) -> F_IFE (B, out_width, H/16, W/16), rounded up."""
        return F.relu(self.project(self.blocks(image)))
