"""Masks to compressed COCO run lengths, from the pixels in the object's box alone: `coco_masks.drawn` reads them back."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle_codec
from torch import Tensor


def encoded(mask: Tensor, size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> bytes:
    """`mask` (h, w) bool, whose first pixel is at `corner` (x, y) of an image of `size` (height, width)."""
    x, y = corner
    columns, rows = np.nonzero(mask.numpy().T)
    places = (columns + x) * size[0] + rows + y  # COCO counts down the columns
    if not len(places):
        counts = [size[0] * size[1]]
    else:
        gaps = np.flatnonzero(np.diff(places) > 1)
        starts, stops = places[np.r_[0, gaps + 1]], places[np.r_[gaps, len(places) - 1]] + 1
        counts = np.diff(np.stack([starts, stops], 1).ravel(), prepend=0).tolist()
        rest = size[0] * size[1] - int(stops[-1])
        counts += [rest] if rest else []
    return rle_codec.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"]
