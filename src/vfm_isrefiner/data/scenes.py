"""`Scene`: one image of a set as its publisher gives it, with its objects, read window by window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from vfm_isrefiner.data.components import regions
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet


@dataclass(frozen=True)
class CutObject:
    """What a window shows of one object.

    Attributes:
        instance: the number that marks it in its scene, as in `InstanceRecord.instance`.
        category: class name, or "".
        bbox: (x, y, width, height) in pixels of the window, tight around what it shows.
        mask: (height, width) bool, the pixels of that box that are its own.
    """

    instance: int
    category: str
    bbox: tuple[int, int, int, int]
    mask: Tensor

    @property
    def area(self) -> int:
        return int(self.mask.sum())


@dataclass(frozen=True)
class Cut:
    """A window of a scene.

    Attributes:
        image: (3, H, W) uint8 RGB.
        objects: those that it shows, in the order of their numbers; they may overlap.
        ignore: (H, W) bool, or None where every pixel counts.
    """

    image: Tensor
    objects: tuple[CutObject, ...]
    ignore: Tensor | None = None


class Scene(ABC):
    """One image. Can be pickled into another process; opening one reads headers at most.

    Attributes:
        name: unique in its set; may hold "/" where the set has folders.
        size: (height, width).
        split: as published, or "".
        gsd: metres per pixel, NaN where unknown.
    """

    name: str
    size: tuple[int, int]
    split: str
    gsd: float

    @abstractmethod
    def cut(self, rows: slice, columns: slice) -> Cut:
        """The window of these rows and columns, which lie inside of the image. Raises `DataError` naming the file.

        Windows are asked for in row-major order, so a scene may keep the rows it has decoded.
        """


@final
class SetScene(Scene):
    """An image of any `InstanceSet`: decoded whole, then cut. For sets whose images fit into memory."""

    def __init__(self, of: InstanceSet, records: Sequence[InstanceRecord]) -> None:
        first = records[0]
        self.name, self.size, self.split, self.gsd = first.image, first.size, first.split, first.gsd
        self.of, self.records = of, tuple(records)

    def cut(self, rows: slice, columns: slice) -> Cut:
        image = self.of.cached(("image", self.name), lambda: self.of.read_image(self.records[0]))[:, rows, columns]
        objects, ignore = [], None
        for record in self.records:
            mask, ignored = self.of.read_mask(record)
            shown = _shown(record, (mask & ~ignored)[0, rows, columns])
            objects += [] if shown is None else [shown]
            ignore = ignored[0, rows, columns] if ignore is None else ignore
        return Cut(image, tuple(objects), ignore if ignore is not None and ignore.any() else None)


def scenes_of(of: InstanceSet) -> list[Scene]:
    """One scene for each image of `of`, in its order."""
    by_image: dict[str, list[InstanceRecord]] = defaultdict(list)
    for record in of.records:
        by_image[record.image].append(record)
    return [SetScene(of, records) for records in by_image.values()]


def objects_of(
    ids: Tensor, categories: Mapping[int, str] | Sequence[str], classes: Tensor | None = None
) -> tuple[CutObject, ...]:
    """The objects of an id map (H, W), 0 being background.

    Args:
        ids: integers; values above 0 are instances.
        categories: names by instance; or, with `classes`, by class.
        classes: (H, W) integers 0 to 255: an object's category is that of most of its pixels.
    """
    values = ids.numpy()
    found = []
    for it in regions(ids, classes):
        x, y, width, height = it.bbox
        mask = torch.from_numpy(values[y : y + height, x : x + width] == it.id)
        key = it.majority if classes is not None else it.id
        name = categories.get(key, "") if isinstance(categories, Mapping) else categories[key]
        found.append(CutObject(it.id, name, it.bbox, mask))
    return tuple(found)


def _shown(record: InstanceRecord, mask: Tensor) -> CutObject | None:
    pixels = mask.numpy()
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(rows):
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return CutObject(
        record.instance, record.category, (left, top, right - left, bottom - top), mask[top:bottom, left:right].clone()
    )
