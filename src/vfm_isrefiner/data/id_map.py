"""`IdMap`: the objects of one image as one number a pixel; a mask is made when an object and a window are chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WHOLE = (slice(None), slice(None))


@dataclass(frozen=True)
class IdMap:
    """Objects that do not overlap, and the pixels to ignore.

    Attributes:
        ids: (H, W) uint8, uint16 or int32; an object's pixels hold its `InstanceRecord.instance`.
        ignored: the value of pixels to ignore, None where every value counts.
        nodata: (1, H, W) bool, further pixels to ignore, or None.
    """

    ids: Tensor
    ignored: int | None = None
    nodata: Tensor | None = None

    def mask(self, instance: int, rows: slice = WHOLE[0], columns: slice = WHOLE[1]) -> Tensor:
        """(1, h, w) bool: the object in that window, without ignored pixels."""
        found = self._equal(instance, rows, columns)
        return found if self.nodata is None else found & ~self.nodata[:, rows, columns]

    def ignore(self, rows: slice = WHOLE[0], columns: slice = WHOLE[1]) -> Tensor:
        """(1, h, w) bool: the ignored pixels of that window."""
        if self.ignored is not None:
            found = self._equal(self.ignored, rows, columns)
            return found if self.nodata is None else found | self.nodata[:, rows, columns]
        if self.nodata is not None:
            return self.nodata[:, rows, columns].clone()
        return torch.zeros_like(self.ids[None, rows, columns], dtype=torch.bool)

    def pixels(self, instance: int, box: tuple[int, int, int, int], area: int) -> np.ndarray:
        """Positions row * W + column of the object's pixels, ascending, int64.

        Args:
            instance: the object.
            box: (x, y, width, height) where to look first.
            area: its pixels; where the box does not hold so many, the whole map is searched.
        """
        x, y = max(box[0], 0), max(box[1], 0)
        inside = self._equal(instance, slice(y, box[1] + box[3]), slice(x, box[0] + box[2]))[0].numpy()
        if np.count_nonzero(inside) != area:
            return np.flatnonzero(self.mask(instance).numpy())
        rows, columns = np.divmod(np.flatnonzero(inside), max(inside.shape[1], 1))
        places = (rows + y) * self.ids.shape[1] + columns + x
        return places if self.nodata is None else places[~self.nodata.numpy().ravel()[places]]

    def _equal(self, value: int, rows: slice, columns: slice) -> Tensor:
        # numpy compares bytes several times as fast as torch, and knows every unsigned type
        return torch.from_numpy(self.ids.numpy()[rows, columns] == value)[None]


def narrowest(ids: Tensor) -> Tensor:
    """Integers of 0 or more in the smallest of uint8, uint16 and int32 that holds them."""
    largest = int(ids.max()) if ids.numel() else 0
    if largest < 2**8:
        return ids.to(torch.uint8)
    return ids.to(torch.uint16) if largest < 2**16 else ids.to(torch.int32)
