"""Clicks drawn as disks: the two maps M_click that the network sees (Fig. 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vfm_isrefiner.clicks import NEGATIVE, POSITIVE, Clicks


def click_maps(clicks: Clicks, size: tuple[int, int], radius: float = 5.0) -> Tensor:
    """Disk maps of all clicks so far.

    Args:
        clicks: B objects' clicks in pixels of the map; sub-pixel and out-of-image positions are allowed, and a disk may
            reach into the map from outside. A click above *and* left of the map (both coordinates negative) is not drawn:
            the published networks were trained and evaluated without it.
        size: (H, W).
        radius: in pixels, at least 0.

    Returns:
        (B, 2, H, W) float32, 1.0 where min_k ||δ - c_k||² <= radius²: channel 0 positive, channel 1 negative clicks.

    Raises:
        ValueError: the size is empty or the radius negative.
    """
    height, width = size
    if height < 1 or width < 1 or not radius >= 0:
        raise ValueError(f"click_maps needs a size of at least (1, 1) and a radius of at least 0, got {size} and {radius}.")
    batch = clicks.label.shape[0]
    device = clicks.yx.device
    # Only the square around each click can be hit, so the work does not grow with the image.
    reach = math.ceil(radius)
    offset = torch.arange(-reach, reach + 1, device=device)
    corner = clicks.yx.nan_to_num(nan=-1e6).floor().clamp(-1e6, 1e6).long()
    rows, cols = (corner[..., axis, None] + offset for axis in (0, 1))  # (B, N, S)
    dy2, dx2 = ((axis - clicks.yx[..., i, None]).square() for i, axis in enumerate((rows, cols)))
    hit = dy2[..., :, None] + dx2[..., None, :] <= radius**2  # (B, N, S, S)
    hit &= ((rows >= 0) & (rows < height))[..., :, None] & ((cols >= 0) & (cols < width))[..., None, :]
    hit &= (clicks.used & (clicks.yx.amax(-1) >= 0))[..., None, None]

    channel = torch.where(clicks.label == POSITIVE, 1 - POSITIVE, 1 - NEGATIVE).long()  # positive first
    plane = torch.arange(batch, device=device)[:, None] * 2 + channel
    pixel = (plane[..., None, None] * height + rows[..., :, None]) * width + cols[..., None, :]
    bin_for_misses = batch * 2 * height * width
    maps = torch.zeros(bin_for_misses + 1, device=device)
    maps.scatter_(0, torch.where(hit, pixel, bin_for_misses).flatten(), 1.0)
    return maps[:-1].view(batch, 2, height, width)
