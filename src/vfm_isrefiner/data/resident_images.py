"""`Images`: images and their objects as `ResidentSamples` puts them onto a device; processes can read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from torch.utils.data import Dataset

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.data.layers import Layers, object_pixels

NOBODY, IGNORED = 254, 255  # values of a layer: objects are 1 to 253, 0 is background


@dataclass(frozen=True)
class Read:
    """An image as it goes onto the device. Arrays, for a process that reads shall not need the memory that tensors travel in.

    Attributes:
        packed: (H*W,) int32, colours and first layer.
        objects: of each object its layer, its number there, and `Place.pixels`.
        further: (H*W,) uint8, the other layers.
    """

    packed: np.ndarray
    objects: dict[int, tuple[int, int, np.ndarray | None]]
    further: Sequence[np.ndarray]


@final
class Images(Dataset[Read | DataError]):
    """What `ResidentSamples` holds, one image an item: each of `groups` is a set and the positions there of an image's objects.

    A fault is an item too: a process that raises it would wrap it into its own traceback.
    """

    def __init__(self, groups: Sequence[tuple[InstanceSet, np.ndarray]], source_size: int) -> None:
        self.groups, self.source_size = groups, source_size

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Read | DataError:
        try:
            return self._read(*self.groups[number])
        except DataError as error:
            return error

    def _read(self, of: InstanceSet, indices: np.ndarray) -> Read:
        record = of.records[indices[0]]
        image, (height, width) = of.read_image(record), record.size
        of.check_sizes(record, image.shape[1:], record.size)
        layers, objects = Layers(height * width, NOBODY - 1), {}
        ignore: np.ndarray | None = None
        for index in indices.tolist():
            pixels, ignored = object_pixels(of, index)
            if ignore is not None and not np.array_equal(ignore, ignored):
                raise DataError(
                    f"{of.source}, image {record.image!r}: {of.records[index].id!r} ignores other pixels than "
                    f"{record.id!r}. Resident sets need one ignore map an image: take data.resident=false."
                )
            ignore = ignored
            kept = None if max(height, width) <= self.source_size else pixels.astype(np.int32)
            objects[index] = (*layers.add(pixels), kept)
        first, *further = layers.maps
        assert ignore is not None  # an image has an object
        first[ignore] = IGNORED
        packed = np.concatenate([image.numpy().reshape(3, -1), first[None]]).T.copy().view(np.int32)[:, 0]
        return Read(packed, objects, further)
