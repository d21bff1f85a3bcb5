"""From masks to instances: connected components, and the area and box of every id of an id map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IGNORE, UNKNOWN = 255, 254  # in maps of classes: pixels to ignore, and values that mean no class (ignored too)


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


def class_components(classes: NDArray[np.uint8], wanted: Sequence[int]) -> tuple[Tensor, list[Region]]:
    """Closed regions of each of `wanted` in turn, numbered 1, 2, … through all of them.

    Takes about 10 bytes a pixel: maps of 6000 × 6000 are decoded in training workers.

    Args:
        classes: (H, W), with `IGNORE` and `UNKNOWN`.

    Returns:
        Ids (H, W) in the smallest of uint8, uint16 and int32 that holds them and, where ignored, the largest value of that
        type; and the regions, `majority` being the class.
    """
    ids: NDArray = np.zeros(classes.shape, np.uint8)
    found: list[Region] = []
    for value in wanted:
        mask = classes == value
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
        before = len(found)
        for number, (x, y, width, height, area) in enumerate(stats[1:count].tolist(), before + 1):
            found.append(Region(number, area, (x, y, width, height), value))
        ids = ids.astype(next(kind for kind in (np.uint8, np.uint16, np.int32) if len(found) < np.iinfo(kind).max), copy=False)
        np.add(labels, before, out=ids, where=mask, casting="unsafe")  # it fits
        del labels  # the largest part
    ids[classes >= UNKNOWN] = np.iinfo(ids.dtype).max
    return torch.from_numpy(ids), found


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
