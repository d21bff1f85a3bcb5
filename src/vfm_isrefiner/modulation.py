"""Probability map modulation around the newest click: eq. 8-10 of the paper, MFP's original, and none.

The paper gives the radius (eq. 8), the filtered window (eq. 9) and the distance form of the exponent (eq. 10). What it
leaves open follows the published code: the smallest radius and the cut-out around near opposite clicks, the extremes of
p_u, the clicked pixel set to 1 or 0. MFP (protocol section 3.4) modulates the whole disk and, for the first clicks, takes
the exponent from the difference to p_u instead of the distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vfm_isrefiner.clicks import NEGATIVE, POSITIVE, UNUSED, Clicks

Modulation = Callable[[Tensor, Clicks], Tensor]
"""prob (B, 1, H, W) in [0, 1] and all clicks so far, the newest last, in pixels of prob -> mod_prob (B, 1, H, W)."""


def modulate_isrefiner(prob: Tensor, clicks: Clicks, r_max: float = 100.0, r_min: float = 10.0) -> Tensor:
    """The paper's modulation (eq. 8-10).

    Args:
        prob: (B, 1, H, W) float in [0, 1], the previous probability.
        clicks: all clicks so far, in pixels of `prob`; the newest is u.
        r_max: radius in pixels where there is no opposite click.
        r_min: smallest radius in pixels.

    Returns:
        (B, 1, H, W) float32, without gradient. Rows without a click, or whose newest click lies outside of the map, are
        unchanged.

    Raises:
        ValueError: prob has another shape than its clicks, or the radii are not 0 < r_min <= r_max.
    """
    return _modulate(prob, clicks, r_max, r_min, window_clicks=0, filtered=True)


def modulate_mfp(prob: Tensor, clicks: Clicks, window_clicks: int = 7, r_max: float = 100.0, r_min: float = 10.0) -> Tensor:
    """MFP's original modulation: the whole disk, and the difference form of the exponent for the first `window_clicks` clicks.

    Arguments and result otherwise as `modulate_isrefiner`.
    """
    return _modulate(prob, clicks, r_max, r_min, window_clicks=window_clicks, filtered=False)


def modulate_none(prob: Tensor, clicks: Clicks) -> Tensor:
    """No modulation: M_mod is M_prev."""
    return prob


@dataclass(frozen=True)
class _Window:
    """The patch around the newest click of each of B objects, P pixels each.

    pixel (B, P) row-major pixel numbers; prob (B, P) float32; distance (B, P) float64 to the click; inside (B, P) bool;
    radius, p_u (B, 1) float64; positive (B, 1) bool.
    """

    pixel: Tensor
    prob: Tensor
    distance: Tensor
    inside: Tensor
    radius: Tensor
    p_u: Tensor
    positive: Tensor

    def filtered(self) -> _Window:
        """Eq. 9: of the disk, only the pixels on the click's side of the lowest (highest) of p_u, mean and (lower) median."""
        values = torch.where(self.inside, self.prob, torch.nan)
        mean, median = values.double().nanmean(1, keepdim=True).float(), values.nanmedian(1, keepdim=True).values
        marks = torch.stack([self.p_u.float(), mean, median])
        # two bounds, one of them out of the way: a choice by row is several times as slow as a comparison
        least = torch.where(self.positive, marks.amin(0), -torch.inf)
        most = torch.where(self.positive, torch.inf, marks.amax(0))
        return replace(self, inside=self.inside & (self.prob >= least) & (self.prob <= most))


@torch.no_grad()
def _modulate(prob: Tensor, clicks: Clicks, r_max: float, r_min: float, window_clicks: int, filtered: bool) -> Tensor:
    batch, _, height, width = prob.shape
    if prob.shape[1] != 1 or len(clicks.label) != batch:
        raise ValueError(
            f"Modulation needs prob (B, 1, H, W) with clicks of B objects, got {tuple(prob.shape)} and {len(clicks.label)}."
        )
    if not 0 < r_min <= r_max:
        raise ValueError(f"Modulation needs 0 < r_min <= r_max, got r_min={r_min} and r_max={r_max}.")
    flat = prob.float().flatten(1)

    u, label, _ = clicks.latest()
    u = u.double()
    # Truncated towards zero, so a mirrored sub-pixel click in (-1, 0) still belongs to pixel 0.
    active = (label != UNUSED) & (u > -1).all(1) & (u[:, 0] < height) & (u[:, 1] < width)
    active = active[:, None]
    u = torch.where(active, u, 0.0)
    window = _disk(flat, clicks, u, label, (height, width), r_max, r_min)
    if filtered:
        window = window.filtered()

    exponent = _exponent(window, clicks.count[:, None] <= window_clicks if window_clicks else None)
    at_extreme = torch.where(window.positive, window.p_u == 0, window.p_u == 1)
    changed = _powered(window, exponent)
    if flat.device.type != "cpu" or at_extreme.any():  # elsewhere looking would make the host wait
        changed = torch.where(at_extreme, _ramp(window), changed)
    # Where prob is no number or out of [0, 1], so may be its power: such pixels keep what they hold.
    sound = (changed >= 0) & (changed <= 1)
    changed = torch.where(window.inside & active & sound, changed.float(), window.prob)
    result = flat.clone().scatter_(1, window.pixel, changed)

    clicked = _pixel_number(u.round(), (height, width))
    stamp = torch.where(window.positive, 1.0, 0.0)
    stamp = torch.where(active & ~at_extreme, stamp, result.gather(1, clicked))
    return result.scatter_(1, clicked, stamp).view(batch, 1, height, width)


def _disk(flat: Tensor, clicks: Clicks, u: Tensor, label: Tensor, size: tuple[int, int], r_max: float, r_min: float) -> _Window:
    """Eq. 8: the disk W around the newest click u (B, 2), half as wide as the way to the nearest opposite click."""
    positive = (label == POSITIVE)[:, None]
    opposite = clicks.label == torch.where(positive, NEGATIVE, POSITIVE)
    # Distances between clicks are rounded to float32 and those of pixels are not, as published: it decides the pixels that
    # lie exactly on the rim.
    away = (clicks.yx.double() - u[:, None]).square().sum(-1).sqrt().float().double()
    away = torch.where(opposite, away, torch.inf).nan_to_num(nan=torch.inf, posinf=torch.inf)
    nearest = away.amin(1, keepdim=True) if away.shape[1] else away.new_full((len(away), 1), torch.inf)
    radius = torch.where(nearest.isinf(), r_max, nearest / 2).clamp(min=r_min)

    reach = max(size)
    if flat.device.type == "cpu" and len(radius):  # elsewhere reading the radius would make the host wait
        reach = min(reach, math.ceil(radius.amax().item()))
    pixel, rows, cols = _patch(u, reach, size)
    distance = _distance(rows - u[:, :1], cols - u[:, 1:])
    inside = distance <= radius
    near = away < r_min
    if near.shape[1]:
        # A cut reaches no pixel of the window farther than r_min: the window itself is no wider where there is one.
        small, rows, cols = _patch(u, math.ceil(r_min), size)
        to_each = _distance(rows[:, None] - clicks.yx[..., :1], cols[:, None] - clicks.yx[..., 1:])
        cut = ((to_each <= away[..., None]) & near[..., None]).any(1)
        kept = torch.ones_like(flat, dtype=torch.bool).scatter_(1, small, ~cut)
        inside &= kept.gather(1, pixel)
    p_u = flat.gather(1, _pixel_number(u.trunc(), size)).double()
    return _Window(pixel, flat.gather(1, pixel), distance, inside, radius, p_u, positive)


def _exponent(window: _Window, early: Tensor | None) -> Tensor:
    """γ of each pixel, (B, P) float64: the distance form of eq. 10, or MFP's difference form where `early` (B, 1)."""
    log_p = window.p_u.log()
    raising = torch.where(window.p_u < 0.99, 1 / (math.log(0.99) / log_p + 1e-8), 1.0)
    lowering = torch.where(window.p_u > 0.01, math.log(0.01) / log_p, 1.0)
    gamma_max = torch.where(window.positive, raising, lowering)
    share = window.distance / window.radius
    by_distance = gamma_max * (1 - share) + share
    if early is None:
        return by_distance
    difference = (window.prob.double() - window.p_u).square()
    theta = torch.where(window.inside, difference, torch.nan).nanmedian(1, keepdim=True).values
    # θ = 0: over half of the window is as p_u; the limit of the formula is γ_max there and 1 elsewhere.
    ratio = torch.where(theta > 0, difference / theta, torch.where(difference > 0, 1.0, 0.0))
    by_difference = (1 - (gamma_max - 1) * (ratio - 1) ** 3).clamp(min=1)
    return torch.where(early, by_difference, by_distance)


def _powered(window: _Window, exponent: Tensor) -> Tensor:
    """Eq. 10's last lines: probabilities raised (positive click) or lowered (negative), (B, P) float64."""
    positive = window.positive.expand_as(exponent).contiguous()  # a choice by pixel is faster than one by row
    return window.prob.double() ** torch.where(positive, 1 / exponent, exponent)


def _ramp(window: _Window) -> Tensor:
    """Where no power can move p_u (0 under a positive click, 1 under a negative): linear in the distance, (B, P) float64."""
    farthest = torch.where(window.inside, window.distance, 0.0).amax(1, keepdim=True)
    share = torch.where(farthest > 0, window.distance / farthest, 0.0)  # a window of the click's pixel alone has no slope
    return torch.where(window.positive, 1 - share, share)


def _patch(u: Tensor, reach: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels around u (B, 2), all within the image and holding every pixel nearer than `reach`.

    Returns row-major numbers (B, P) int64, rows (B, h) and columns (B, w) float64, with h * w = P.
    """
    first, lengths = [], [min(2 * reach + 1, length) for length in size]
    for axis in (0, 1):
        first.append((u[:, axis].floor().long() - reach).clamp(min=0, max=size[axis] - lengths[axis]))
    rows, cols = (
        (start[:, None] + torch.arange(length, device=u.device)) for start, length in zip(first, lengths, strict=True)
    )
    pixel = (rows * size[1])[:, :, None] + cols[:, None, :]
    return pixel.flatten(1), rows.double(), cols.double()


def _pixel_number(yx: Tensor, size: tuple[int, int]) -> Tensor:
    """Row-major number (B, 1) of whole positions (B, 2), those that rounding put outside moved to the border."""
    row, col = (yx[:, axis].long().clamp(0, size[axis] - 1) for axis in (0, 1))
    return (row * size[1] + col)[:, None]


def _distance(dy: Tensor, dx: Tensor) -> Tensor:
    """Of the grid of rows `dy` (..., h) and columns `dx` (..., w) from its origin: (..., h * w)."""
    return (dy.square()[..., :, None] + dx.square()[..., None, :]).sqrt_().flatten(-2)
