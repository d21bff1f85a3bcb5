"""Exact Euclidean distance to the nearest pixel outside a mask, as whole squared pixels, so that ties are real ties."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import cv2
import numpy as np
import torch
from torch import Tensor

HAS_TRITON = find_spec("triton") is not None
FAR = 1 << 29  # larger than any squared distance, and twice it still fits into 32 bits


def squared_distance(mask: Tensor) -> Tensor:
    """Squared distance to the nearest False pixel; everything outside the image counts as False.

    On a CPU by OpenCV, exact while no distance exceeds 2000 px (float32 inside); on a GPU by Triton, which comes with torch's
    builds for GPUs on Linux and needs a C compiler there; elsewhere, and without one, by `squared_distance_separable`.

    Args:
        mask: (B, H, W) bool.

    Returns:
        (B, H, W) int32, squared pixels, 0 where the mask is False.

    Raises:
        ValueError: the mask is not bool of three dimensions.
    """
    if mask.dtype != torch.bool or mask.ndim != 3:
        raise ValueError(f"squared_distance needs a bool mask (B, H, W), got {mask.dtype} {tuple(mask.shape)}.")
    if mask.device.type == "cpu":
        return squared_distance_opencv(mask)
    return _form_for(mask.device)(mask)


@cache
def _form_for(device: torch.device) -> Callable[[Tensor], Tensor]:
    """The fastest form that works on `device`."""
    if device.type != "cuda" or not HAS_TRITON:
        return squared_distance_separable
    try:
        from vfm_isrefiner.distance_triton import squared_distance_triton  # here: a CPU has no use for Triton

        # sides of a multiple of 16, as crops have: Triton builds kernels of their own for others, and again for sides of 1
        squared_distance_triton(torch.ones(1, 16, 16, dtype=torch.bool, device=device))
    except Exception as error:  # whatever hinders it, there is another form
        warnings.warn(
            f"Triton cannot build a kernel for {device} ({type(error).__name__}: {error}); simulated clicks take about 25 "
            "times as long there. Triton needs a C compiler and Python's headers (Debian: gcc, python3-dev).",
            stacklevel=3,
        )
        return squared_distance_separable
    return squared_distance_triton


def squared_distance_opencv(mask: Tensor) -> Tensor:
    """The form for the CPU; same arguments and result as `squared_distance`."""
    result = np.zeros(mask.shape, dtype=np.int32)
    for source, target in zip(mask.numpy(), result, strict=True):
        rows, cols = np.flatnonzero(source.any(1)), np.flatnonzero(source.any(0))
        if not rows.size:
            continue
        # All outside the mask's box is False, so the box with one pixel of border decides every distance in it.
        box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        distance = cv2.distanceTransform(np.pad(source[box].view(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        target[box] = np.rint(np.square(distance[1:-1, 1:-1], dtype=np.float64))
    return torch.from_numpy(result)


def squared_distance_separable(mask: Tensor) -> Tensor:
    """The form for other accelerators, and its oracle's twin on a CPU: exact, batched, without host synchronisation.

    First the distance along the column from running maxima, then the smallest of `(x - x')² + column(x')²` along the row.
    The border of the image bounds every distance by half the shorter side, and so the number of x' to look at.
    """
    _, height, width = mask.shape
    row = torch.arange(height, device=mask.device, dtype=torch.int32)[:, None]
    above = torch.where(mask, -1, row).cummax(1).values  # last False row at or above; -1 is the one outside
    below = torch.where(mask, height, row).flip(1).cummin(1).values.flip(1)
    column = torch.minimum(row - above, below - row).int().square_()

    reach = (min(height, width) + 1) // 2
    padded = torch.nn.functional.pad(column, (reach, reach), value=FAR)
    padded[..., reach - 1] = 0  # the first column outside, on either side
    padded[..., reach + width] = 0
    nearest = column.clone()
    for step in range(1, reach + 1):
        sides = torch.minimum(padded[..., reach - step :][..., :width], padded[..., reach + step :][..., :width])
        torch.minimum(nearest, sides.add_(step * step), out=nearest)
    return nearest
