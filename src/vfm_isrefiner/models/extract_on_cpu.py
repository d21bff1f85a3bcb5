"""F_IFE on a CPU without gradient: what `ImageExtractor.forward` gives, to rounding, with a fraction of the memory traffic.

The plain form writes maps of tens of megabytes and reads them again after each of convolution, normalisation, ReLU, attention
and pooling. Here a strip of rows goes through all of them while it is in the cache; pixels lie side by side with all of their
channels, so that a bilinear sample is a weighted sum of four rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.models.forms import fast
from vfm_isrefiner.models.image_extractor import DeformableResBlock, ImageExtractor, ResBlock, halved_shortcut

STEM_ROWS = 32  # of a strip of the first block; the fastest of 8 to 112 at 448 px
COLUMN_BYTES = 4 << 20  # of a strip's sampled taps in the other blocks; half to twice as much is as fast


def extract(extractor: ImageExtractor, image: Tensor) -> Tensor:
    """F_IFE in the form that suits: `extract_on_cpu` where it can, else the extractor itself (training, a GPU, a compiler)."""
    plain = extractor.training or torch.is_grad_enabled() or torch.compiler.is_compiling()
    if plain or not fast() or image.device.type != "cpu" or image.dtype != torch.float32:
        return extractor(image)
    with torch.autocast("cpu", enabled=False):  # as the deformable convolution always is
        return extract_on_cpu(extractor, image)


@torch.no_grad()
def extract_on_cpu(extractor: ImageExtractor, image: Tensor) -> Tensor:
    """Normalised image (B, 3, H, W) float32 -> F_IFE (B, out_width, H/16, W/16), rounded up.

    Raises:
        ValueError: the extractor is in training mode, whose batch norm needs whole maps.
    """
    if extractor.training:
        raise ValueError("extract_on_cpu needs an extractor in eval mode; call .eval(), or the extractor itself.")
    x = image.contiguous(memory_format=torch.channels_last)
    for block in cast(Iterable[ResBlock | DeformableResBlock], extractor.blocks):
        x = _stem(block, x) if isinstance(block, ResBlock) else _deformable(block, x)
    return F.relu(extractor.project(x))


def _stem(block: ResBlock, x: Tensor) -> Tensor:
    weight, bias = _with_norm(block.conv.weight, block.conv.bias, block.norm)
    weight = weight.contiguous(memory_format=torch.channels_last)
    padded = F.pad(x, (1, 1, 1, 1))
    strips = [
        _pooled(F.conv2d(padded[:, :, top : top + STEM_ROWS + 2], weight, bias)) for top in range(0, x.shape[2], STEM_ROWS)
    ]
    out = F.relu_(torch.cat(strips, 2))  # of a maximum: the same as the maximum of what ReLU leaves, on a quarter of the pixels
    return out + halved_shortcut(block.shortcut, x, out)


def _deformable(block: DeformableResBlock, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    weight, bias = _with_norm(block.conv.weight, block.conv.bias, block.norm)
    weight = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (9C, O), as the taps of one pixel lie
    offset = block.offset(x).permute(0, 2, 3, 1).unflatten(3, (9, 2))
    table = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).reshape(-1, channels)  # a ring of zeros is what lies outside
    rows = 2 * max(1, COLUMN_BYTES // (2 * 9 * channels * width * x.element_size()))  # even, as the pooling takes two
    pooled, sums = [], torch.zeros(batch, len(bias))
    for number in range(batch):
        strips = []
        for top in range(0, height, rows):
            index, share = _corners(offset[number, top : top + rows], top, (height, width), number)
            taps = F.embedding_bag(index.flatten(0, 2), table, per_sample_weights=share.flatten(0, 2), mode="sum")
            out = F.relu_(torch.addmm(bias, taps.view(-1, len(weight)), weight))
            sums[number] += out.sum(0)
            strips.append(_pooled(out.view(1, -1, width, len(bias)).permute(0, 3, 1, 2)))
        pooled.append(torch.cat(strips, 2))
    # the gate is positive, so it may follow the pooling
    gate = block.attention.gate(sums / (height * width))
    out = torch.cat(pooled) * gate[:, :, None, None]
    return out + halved_shortcut(block.shortcut, x, out)


def _corners(offset: Tensor, top: int, size: tuple[int, int], image: int) -> tuple[Tensor, Tensor]:
    """The four table rows that each tap reads, and their shares.

    Args:
        offset: (r, W, 9, 2) as (dy, dx), of r rows of the map from `top` on.
        size: (H, W) of the map; the table holds (H + 2)(W + 2) rows for each image. image: its number in the batch.

    Returns:
        Both (r, W, 9, 4), int32 and float32. Of an offset that is no number the shares are none either.
    """
    height, width = size
    rows, columns = torch.arange(top, top + len(offset)), torch.arange(width)
    taps = torch.arange(3)  # from the row above on, which is that row's own number in the table
    y = offset[..., 0] + rows[:, None, None] + taps.repeat_interleave(3)
    x = offset[..., 1] + columns[:, None] + taps.repeat(3)
    y, x = y.clamp_(0, height + 1), x.clamp_(0, width + 1)
    first_row, first_column = y.floor().clamp_(max=height), x.floor().clamp_(max=width)
    down, right = y - first_row, x - first_column
    at = (first_row.nan_to_num(0.0) * (width + 2) + first_column.nan_to_num(0.0)).int() + image * (height + 2) * (width + 2)
    index = torch.stack([at, at + 1, at + width + 2, at + width + 3], -1)
    up, left = 1 - down, 1 - right
    return index, torch.stack([up * left, up * right, down * left, down * right], -1)


def _pooled(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, ceil_mode=True)


def _with_norm(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A convolution's weight (O, ...) and bias with the batch norm behind it, as it is in eval mode."""
    assert norm.running_mean is not None, "batch norms here track statistics"
    assert norm.running_var is not None, "batch norms here track statistics"
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias - norm.running_mean * scale
    return weight * scale.view(-1, 1, 1, 1), shift if bias is None else shift + bias * scale
