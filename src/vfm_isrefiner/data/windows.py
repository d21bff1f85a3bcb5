"""Windows of images around objects: where they lie, and how they are read without touching the rest of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.instance import Instance

FEWEST_PIXELS = 16  # a window that shows less of its object is moved onto it


def placed(pixels: np.ndarray, image: tuple[int, int], size: int, places: np.ndarray) -> tuple[int, int]:
    """First row and column of a window of `size` × `size`, cut at random, of an image (height, width) that is larger.

    A random pixel of the object lies in the window's middle half (border permitting).

    Args:
        pixels: positions row * width + column of the object, ascending.
        image: its height and width.
        size: side of the window.
        places: three numbers in [0, 1): of the pixel, and of the rows and columns that are possible then.
    """
    width = image[1]
    anchor = divmod(int(pixels[int(places[0] * len(pixels))]), width) if len(pixels) else (image[0] // 2, width // 2)
    top, left = (_corner(anchor[axis], image[axis], size, float(places[1 + axis])) for axis in (0, 1))
    first, last = np.searchsorted(pixels, (top * width, (top + size) * width))
    columns = pixels[first:last] % width
    if np.count_nonzero((columns >= left) & (columns < left + size)) < FEWEST_PIXELS:
        top, left = (_corner(anchor[axis], image[axis], size, 0.5) for axis in (0, 1))
    return top, left


def _corner(anchor: int, side: int, size: int, place: float) -> int:
    """First row or column of a window that has `anchor` in its middle half, at `place` in [0, 1) of what is possible."""
    low, high = anchor - (3 * size) // 4, anchor - size // 4
    return min(max(round(low + place * (high - low)), 0), max(side - size, 0))


def window(instance: Instance, size: int, places: np.ndarray) -> Instance:
    """At most `size` × `size` pixels of the image with part of the object; `places`: see `placed`."""
    height, width = instance.image.shape[1:]
    if height <= size and width <= size:
        return instance
    top, left = placed(np.flatnonzero(instance.mask.numpy()), (height, width), size, places)
    rows, columns = slice(top, top + size), slice(left, left + size)
    return replace(
        instance,
        image=instance.image[:, rows, columns],
        mask=instance.mask[:, rows, columns],
        ignore=instance.ignore[:, rows, columns],
    )


def merged(first: Instance, second: Instance) -> Instance:
    """Two objects of one image as one."""
    mask = first.mask | second.mask
    return replace(first, mask=mask, ignore=(first.ignore | second.ignore) & ~mask, id=f"{first.id}+{second.id}")


def read_window(of: InstanceSet, indices: Sequence[int], size: int, places: np.ndarray) -> Instance:
    """The window of one object, or of two of one image as one; the same as `window` of the whole instance.

    Raises:
        DataError: as `InstanceSet.__getitem__`.
    """
    records = [of.records[index] for index in indices]
    ids = of.read_id_map(records[0])
    if ids is None:
        instance = of[indices[0]]
        for index in indices[1:]:
            instance = merged(instance, of[index])
        return window(instance, size, places)
    image, (height, width) = of.image(records[0]), ids.ids.shape
    for record in records:
        of.check_sizes(record, image.shape[1:], (height, width))
    top, left = 0, 0
    if height > size or width > size:
        top, left = placed(_pixels(ids, records), (height, width), size, places)
    rows, columns = slice(top, top + size), slice(left, left + size)
    mask = ids.mask(records[0].instance, rows, columns)
    for record in records[1:]:
        mask |= ids.mask(record.instance, rows, columns)
    first, name = records[0], "+".join(record.id for record in records)
    return Instance(image[:, rows, columns], mask, ids.ignore(rows, columns), name, of.source, first.category, first.gsd)


def _pixels(ids: IdMap, records: Sequence[InstanceRecord]) -> np.ndarray:
    """Pixels of all `records`, see `IdMap.pixels`."""
    return united([ids.pixels(record.instance, record.bbox, record.area) for record in records])


def united(positions: Sequence[np.ndarray]) -> np.ndarray:
    """The union of ascending lists, ascending."""
    if len(positions) == 1:
        return positions[0]
    both = np.sort(np.concatenate(positions), kind="stable")  # merges what is in order already
    return both[np.diff(both, prepend=-1) > 0]
