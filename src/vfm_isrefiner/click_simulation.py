"""Simulated clicks: the deterministic clicker of the evaluation and the random ones of the training.

All of them look at the distance to the border of the error region (false negatives or false positives, ignored pixels
counting as neither), in exact squared pixels. Protocol section 1.2 (evaluation), 3.2 and 3.4 (training).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vfm_isrefiner.clicks import NEGATIVE, POSITIVE, UNUSED, Clicks
from vfm_isrefiner.distance import FAR, squared_distance

# A pixel may be drawn where d > max(d) / s, that is d² > max(d²) * numerator / denominator; kept whole, so that ties are real.
NEXT_CORE = (1, 4)  # s = 2
FIRST_CORE = (100, 289)  # s = 1.7


def next_click(pred: Tensor, mask: Tensor, ignore: Tensor, clicks: Clicks) -> tuple[Tensor, Tensor]:
    """The evaluation's clicker: the pixel deepest inside the larger error region.

    Positive if the deepest false negative is strictly deeper than the deepest false positive; of equally deep pixels the
    first in row-major order. Pixels clicked before do not count. Where no error is left it is a negative click at (0, 0),
    as in the reference (reachable only in a protocol that always makes all clicks).

    Args:
        pred, mask, ignore: (B, 1, H, W) bool: predicted, true, and uncounted pixels (padding included).
        clicks: all clicks so far, in the same pixels.

    Returns:
        yx (B, 2) float32 whole pixels, and label (B,) int8.

    Raises:
        ValueError: shapes or types differ.
    """
    missed, extra = _error_depth(pred, mask, ignore, clicks)
    # argmax names the first of equal values on every device.
    inside_missed, inside_extra = missed.argmax(1, keepdim=True), extra.argmax(1, keepdim=True)
    positive = missed.gather(1, inside_missed) > extra.gather(1, inside_extra)
    pixel, label = torch.where(positive, inside_missed, inside_extra), torch.where(positive, POSITIVE, NEGATIVE)
    return _position(pixel[:, 0], mask), label[:, 0].to(torch.int8)


def sample_next_click(
    pred: Tensor, mask: Tensor, ignore: Tensor, clicks: Clicks, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The training's clicker: uniform over the core of the larger error region, where the distance exceeds half its maximum.

    Arguments, label rule and results as `next_click`, but label -1 where no unclicked error pixel is left. One number is
    drawn per object, whatever the image size; a generator of the CPU gives the same clicks on every device.
    """
    missed, extra = _error_depth(pred, mask, ignore, clicks)
    positive = missed.amax(1) > extra.amax(1)
    pixel, found = _draw_from_core(torch.where(positive[:, None], missed, extra), NEXT_CORE, generator)
    label = torch.where(found, torch.where(positive, POSITIVE, NEGATIVE), UNUSED)
    return _position(pixel, mask), label.to(torch.int8)


def sample_first_click(mask: Tensor, ignore: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A positive click uniform over the core of the object, where the distance exceeds its maximum / 1.7.

    Args:
        mask, ignore: (B, 1, H, W) bool.

    Returns:
        yx (B, 2) float32 whole pixels, and label (B,) int8: 1, or -1 where the object has no counted pixel.
    """
    _check(mask, ignore)
    pixel, found = _draw_from_core(squared_distance((mask & ~ignore)[:, 0]).flatten(1), FIRST_CORE, generator)
    return _position(pixel, mask), torch.where(found, POSITIVE, UNUSED).to(torch.int8)


def _error_depth(pred: Tensor, mask: Tensor, ignore: Tensor, clicks: Clicks) -> tuple[Tensor, Tensor]:
    """Squared distances inside the false negatives and the false positives, 0 at clicked pixels; each (B, H*W) int32."""
    _check(pred, mask, ignore)
    wrong = (pred ^ mask) & ~ignore
    depth = squared_distance(torch.cat([wrong & mask, wrong & ~mask])[:, 0]).flatten(1)
    pixel, clicked = _clicked(clicks, mask)
    # the smaller of depth and `most`: several clicks on one pixel may come in any order
    most = torch.where(clicked, 0, FAR).to(depth.dtype)
    missed, extra = depth.scatter_reduce_(1, pixel.repeat(2, 1), most.repeat(2, 1), "amin").chunk(2)
    return missed, extra


def _clicked(clicks: Clicks, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel numbers (B, N) int64 of all clicks, positions rounded; and (B, N) bool: False (and pixel 0) for others."""
    height, width = mask.shape[-2:]
    row, col = clicks.yx.round().unbind(-1)
    inside = clicks.used & (row >= 0) & (row < height) & (col >= 0) & (col < width)
    pixel = torch.where(inside, row * width + col, 0).long()
    return pixel.to(mask.device), inside.to(mask.device)


def _draw_from_core(depth: Tensor, core: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One pixel of each row (B, H*W), uniform where depth > max * core; and whether there is one. (B,) int64, (B,) bool."""
    numerator, denominator = core
    least = depth.amax(1, keepdim=True).long() * numerator // denominator
    rank = (depth > least).cumsum(1)
    count = rank[:, -1]
    uniform = torch.rand(len(depth), generator=generator, dtype=torch.float64, device=generator.device)
    uniform = uniform.to(depth.device, non_blocking=True)
    chosen = torch.minimum((uniform * count).long(), count - 1)
    pixel = torch.searchsorted(rank, chosen[:, None], right=True)[:, 0]  # the first pixel whose rank exceeds `chosen`
    return torch.where(count > 0, pixel, 0), count > 0


def _position(pixel: Tensor, mask: Tensor) -> Tensor:
    """Row and column (B, 2) float32 of a row-major pixel number (B,)."""
    width = mask.shape[-1]
    return torch.stack([pixel // width, pixel % width], 1).float()


def _check(*masks: Tensor) -> None:
    shape = masks[0].shape
    if any(each.dtype != torch.bool or each.ndim != 4 or each.shape != shape or each.shape[1] != 1 for each in masks):
        got = ", ".join(f"{each.dtype} {tuple(each.shape)}" for each in masks)
        raise ValueError(f"Simulated clicks need bool masks (B, 1, H, W) of one shape, got {got}.")
