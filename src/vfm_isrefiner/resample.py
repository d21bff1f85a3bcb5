"""Crops of a batch, each from a region of its own, and their way back: bilinear with aligned corners, without a loop."""

from __future__ import annotations

from types import EllipsisType

import torch
from torch import Tensor


def crop(image: Tensor, roi: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut each image's region out and resize it, as `F.interpolate(..., mode="bilinear", align_corners=True)` of the cut would.

    Args:
        image: (B, C, H, W), float, or uint8 which becomes float in [0, 1].
        roi: (B, 4) int64, first row, last row, first column, last column, inclusive, inside the image.
        size: height and width of the result.

    Returns:
        (B, C, *size) float32.
    """
    part, roi = _covered(roi)
    result = image[part]
    for dim, axis in ((3, 1), (2, 0)):  # columns first, then rows: the order of F.interpolate
        first, length = roi[:, 2 * axis, None], (roi[:, 2 * axis + 1] - roi[:, 2 * axis] + 1)[:, None]
        index = torch.arange(size[axis], device=image.device)[None]
        low, high, weight = _taps(index, length, torch.full_like(length, size[axis]))
        result = _blend(result, low + first, high + first, weight, dim)
    return result / 255 if image.dtype == torch.uint8 else result


def paste(patch: Tensor, roi: Tensor, onto: Tensor) -> Tensor:
    """Resize each patch to its region and put it there.

    Args:
        patch: (B, C, h, w) float. roi: (B, 4) int64 as for `crop`. onto: (B, C, H, W), what is outside the regions.

    Returns:
        (B, C, H, W), a new tensor.
    """
    part, roi = _covered(roi)
    result = onto.clone()
    result[part] = _pasted(patch, roi, onto[part])
    return result


def _covered(roi: Tensor) -> tuple[tuple[EllipsisType | slice, ...], Tensor]:
    """The part of the images that some region covers, as an index, and the regions within it.

    Only on a CPU, where looking at `roi` does not stall anything; all of the images elsewhere.
    """
    if roi.device.type != "cpu":
        return (...,), roi
    top, left = roi[:, 0].min(), roi[:, 2].min()
    rows, columns = slice(int(top), int(roi[:, 1].max()) + 1), slice(int(left), int(roi[:, 3].max()) + 1)
    return (..., rows, columns), roi - torch.stack([top, top, left, left])


def _pasted(patch: Tensor, roi: Tensor, onto: Tensor) -> Tensor:
    result, inside = patch, []
    for dim, axis in ((3, 1), (2, 0)):
        first, length = roi[:, 2 * axis, None], (roi[:, 2 * axis + 1] - roi[:, 2 * axis] + 1)[:, None]
        index = torch.arange(onto.shape[dim], device=patch.device)[None] - first
        inside.append((index >= 0) & (index < length))
        low, high, weight = _taps(index.clamp(min=0).minimum(length - 1), torch.full_like(length, patch.shape[dim]), length)
        result = _blend(result, low, high, weight, dim)
    return torch.where(inside[1][:, None, :, None] & inside[0][:, None, None, :], result, onto)


def _taps(index: Tensor, length_in: Tensor, length_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where output pixels `index` lie on the input grid, in float32 as F.interpolate computes it: lower and upper neighbour
    (B, n) int64, and the weight of the upper one. Lengths are (B, 1)."""
    scale = torch.where(length_out > 1, (length_in - 1).float() / (length_out - 1).clamp(min=1).float(), 0.0)
    position = scale * index.float()
    low = position.long().minimum(length_in - 1)
    return low, (low + 1).minimum(length_in - 1), (position - low).clamp(0, 1)


def _blend(x: Tensor, low: Tensor, high: Tensor, weight: Tensor, dim: int) -> Tensor:
    """Linear interpolation along `dim` (2 or 3) between the lines `low` and `high` (B, n) of each image."""
    upper = weight[:, None, :, None] if dim == 2 else weight[:, None, None, :]
    a, b = (_lines(x, index, dim).float() for index in (low, high))
    return a * (1 - upper) + b * upper


def _lines(x: Tensor, index: Tensor, dim: int) -> Tensor:
    if dim == 3:
        return x.gather(3, index[:, None, None].expand(*x.shape[:3], -1))
    row = torch.arange(len(x), device=x.device)[:, None]
    return x.transpose(1, 2)[row, index].transpose(1, 2)  # copies whole lines, twice as fast as gather
