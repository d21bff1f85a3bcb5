"""Measures of a prediction and of a sequence of clicks: IoU, boundary IoU, NoC, NoF, mean IoU per click."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def iou(pred: Tensor, mask: Tensor, ignore: Tensor) -> Tensor:
    """Intersection over union over the pixels that count.

    Args:
        pred, mask, ignore: (B, 1, H, W) bool.

    Returns:
        (B,) float64 in [0, 1]. Where neither prediction nor object has a counted pixel (an object of area 0 or wholly
        ignored, and nothing predicted) it is 1.0: nothing was asked for and nothing given. Never NaN.

    Raises:
        ValueError: shapes or types differ.
    """
    _check(pred, mask, ignore)
    pred, mask, counted = (each.flatten(1) for each in (pred, mask, ~ignore))
    both, either = _number(pred & mask & counted), _number((pred | mask) & counted)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def boundary_iou(pred: Tensor, mask: Tensor, ignore: Tensor, dilation_ratio: float = 0.02) -> Tensor:
    """IoU of the inner boundary bands of prediction and object (Cheng et al., "Boundary IoU", CVPR 2021).

    The band is the mask less its erosion by a square of 2·d + 1 pixels, d = ratio · image diagonal, rounded, at least 1;
    outside of the image is background, so a mask that touches the border has its band there too. The prediction is taken
    as right on ignored pixels, which therefore make no boundary of their own and are left out of the count.

    Args:
        pred, mask, ignore: (B, 1, H, W) bool. H and W give the diagonal: pass images without padding.

    Returns:
        (B,) float64 in [0, 1]; 1.0 where both bands are empty. Never NaN.

    Raises:
        ValueError: shapes or types differ.
    """
    _check(pred, mask, ignore)
    width = max(1, round(dilation_ratio * math.hypot(*mask.shape[-2:])))
    settled = torch.where(ignore, mask, pred)
    return iou(settled & ~_eroded(settled, width), mask & ~_eroded(mask, width), ignore)


def noc(ious: Tensor, threshold: float, max_clicks: int = 20) -> Tensor:
    """Number of clicks until the IoU first reaches the threshold (>=).

    Args:
        ious: (n, K) IoU after each click; NaN after the stop of a sequence that ended early counts as not reached.

    Returns:
        (n,) int64 in 1…max_clicks; max_clicks where the threshold is not reached within it (there is no max_clicks + 1).
    """
    reached = ious[:, :max_clicks].double() >= threshold
    first = reached.int().argmax(1) + 1 if reached.shape[1] else reached.new_zeros(len(reached), dtype=torch.int64)
    return torch.where(reached.any(1), first, max_clicks)


def nof(ious: Tensor, threshold: float, max_clicks: int = 20) -> int:
    """Number of failures as published: objects whose NoC equals max_clicks, a success at the very last click included."""
    return int((noc(ious, threshold, max_clicks) == max_clicks).sum())


def mean_iou_per_click(ious: Tensor) -> Tensor:
    """Mean IoU over the objects after each click, (n, K) to (K,) float64.

    It is defined while every object still has an IoU: NaN from the click where the first sequence has stopped.

    Raises:
        ValueError: there is no object.
    """
    if not len(ious):
        raise ValueError("mean_iou_per_click got the IoUs of 0 objects; evaluate at least one.")
    return ious.double().mean(0)


def _number(mask: Tensor) -> Tensor:
    """How many pixels of each row (B, n) bool are set, (B,) float64."""
    return mask.view(torch.uint8).sum(1, dtype=torch.int32).double()  # as int64 it is five times as slow


def _eroded(mask: Tensor, width: int) -> Tensor:
    """Pixels whose square neighbourhood of 2·width + 1 lies in the mask, outside of the image being background."""
    for axis in (-1, -2):
        mask = torch.nn.functional.pad(mask, (width, width) if axis == -1 else (0, 0, width, width))
        reach = 1  # pixels in a line that all lie in it: their number doubles, and the last two lines overlap
        while reach < 2 * width + 1:
            step = min(reach, 2 * width + 1 - reach)
            rest = mask.shape[axis] - step
            mask = mask.narrow(axis, 0, rest) & mask.narrow(axis, step, rest)
            reach += step
    return mask


def _check(*masks: Tensor) -> None:
    shape = masks[0].shape
    if any(each.dtype != torch.bool or each.ndim != 4 or each.shape != shape or each.shape[1] != 1 for each in masks):
        got = ", ".join(f"{each.dtype} {tuple(each.shape)}" for each in masks)
        raise ValueError(f"Measures need bool masks (B, 1, H, W) of one shape, got {got}.")
