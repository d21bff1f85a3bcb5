"""`Layers`: id maps of one byte a pixel that together hold the objects of an image, also where these overlap."""

from __future__ import annotations

from typing import final

import numpy as np

from vfm_isrefiner.data.instance_set import InstanceSet


@final
class Layers:
    """Each object goes into the first layer that has a number left and none of its pixels taken.

    Args:
        size: pixels of the image.
        numbers: objects that a layer can hold, 255 at most.
    """

    def __init__(self, size: int, numbers: int) -> None:
        self.size, self.numbers = size, numbers
        self.maps = [np.zeros(size, np.uint8)]
        self._taken = [0]

    def add(self, pixels: np.ndarray) -> tuple[int, int]:
        """The layer and the number there, from 1, of an object of these positions."""
        for layer, values in enumerate(self.maps):
            if self._taken[layer] < self.numbers and not values[pixels].any():
                break
        else:
            self.maps.append(np.zeros(self.size, np.uint8))
            self._taken.append(0)
            layer = len(self.maps) - 1
        self._taken[layer] += 1
        self.maps[layer][pixels] = self._taken[layer]
        return layer, self._taken[layer]


def object_pixels(of: InstanceSet, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions row * width + column, ascending, of an object's pixels and of those that are ignored.

    Raises:
        DataError: a file cannot be read, or sizes differ.
    """
    record = of.records[index]
    ids = of.read_id_map(record)
    if ids is not None:
        of.check_sizes(record, record.size, ids.ids.shape)
        return ids.pixels(record.instance, record.bbox, record.area), np.flatnonzero(ids.ignore().numpy())
    mask, ignore = of.read_mask(record)
    of.check_sizes(record, record.size, mask.shape[1:])
    return np.flatnonzero((mask & ~ignore).numpy()), np.flatnonzero(ignore.numpy())
