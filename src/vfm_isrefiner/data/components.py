"""From masks to instances: connected components, and the area and box of every id of an id map."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Region:
    """One id of an id map: its pixels, its (x, y, width, height), and what most of them hold in a second map, else 0."""

    id: int
    area: int
    bbox: tuple[int, int, int, int]
    majority: int = 0


def connected_components(mask: Tensor) -> Tensor:
    """Closed regions of `mask` (H, W) bool as ids 1, 2, … (H, W) int32, 0 outside; touching by a corner is enough."""
    _, labels = cv2.connectedComponents(mask.numpy().astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return torch.from_numpy(labels)


def regions(ids: Tensor, besides: Tensor | None = None) -> list[Region]:
    """Every id above 0 in `ids` (H, W), in ascending order.

    Args:
        ids: integers.
        besides: (H, W) integers from 0 to 255, such as classes: `Region.majority` is the most frequent one inside.
    """
    values = ids.numpy()
    rows, columns = np.nonzero(values > 0)
    if not len(rows):
        return []
    found, which, areas = np.unique(values[rows, columns], return_inverse=True, return_counts=True)
    order = np.argsort(which, kind="stable")
    starts = np.concatenate([[0], np.cumsum(areas)[:-1]])
    rows, columns = rows[order], columns[order]
    top, bottom = (each.reduceat(rows, starts) for each in (np.minimum, np.maximum))
    left, right = (each.reduceat(columns, starts) for each in (np.minimum, np.maximum))
    majority = np.zeros(len(found), int)
    if besides is not None:
        second = besides.numpy()[rows, columns].astype(np.int64)
        pairs, counts = np.unique(which[order].astype(np.int64) * 256 + second, return_counts=True)
        rank = np.lexsort((counts, pairs // 256))  # the last of each region is its most frequent value
        last = np.flatnonzero(np.diff(pairs[rank] // 256, append=-1))
        majority = pairs[rank][last] % 256
    boxes = np.stack([left, top, right - left + 1, bottom - top + 1], -1).tolist()
    listed = zip(found.tolist(), areas.tolist(), boxes, majority.tolist(), strict=True)
    return [Region(id, area, tuple(box), most) for id, area, box, most in listed]
