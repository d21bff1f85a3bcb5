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
        self._objects: list[CutObject] | None = None  # of the whole image, read with the first window
        self._ignore: Tensor | None = None

    def cut(self, rows: slice, columns: slice) -> Cut:
        image = self.of.image(self.records[0])[:, rows, columns]
        if self._objects is None:
            self._objects, self._ignore = self._read()
        ignore = None if self._ignore is None else self._ignore[rows, columns]
        shown = (_shown(it, rows, columns) for it in self._objects)
        return Cut(image, tuple(it for it in shown if it is not None), ignore if ignore is not None and ignore.any() else None)

    def _read(self) -> tuple[list[CutObject], Tensor | None]:
        """Every object of the image, without ignored pixels; and these, (H, W) bool."""
        categories = {record.instance: record.category for record in self.records}
        found, ignore = self.of.read_id_map(self.records[0]), None
        if found is not None:
            ignore = found.ignore()[0]
            ids = torch.from_numpy(np.where(ignore.numpy(), 0, found.ids.numpy().astype(np.int32)))
            return [it for it in objects_of(ids, categories) if it.instance in categories], ignore
        objects = []
        for record in sorted(self.records, key=lambda record: record.instance):
            mask, ignored = (each[0] for each in self.of.read_mask(record))
            ignore = ignored if ignore is None else ignore
            whole = CutObject(record.instance, record.category, (0, 0, record.size[1], record.size[0]), mask & ~ignored)
            shown = _shown(whole, slice(0, record.size[0]), slice(0, record.size[1]))
            objects += [] if shown is None else [shown]
        return objects, ignore


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


def _shown(of: CutObject, rows: slice, columns: slice) -> CutObject | None:
    """What the window of these rows and columns shows of an object of the whole image."""
    x, y, width, height = of.bbox
    top, left = max(rows.start, y), max(columns.start, x)
    bottom, right = min(rows.stop, y + height), min(columns.stop, x + width)
    if bottom <= top or right <= left:
        return None
    mask = of.mask[top - y : bottom - y, left - x : right - x]
    pixels = mask.numpy()
    down, along = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(down):
        return None
    first, last = (int(down[0]), int(along[0])), (int(down[-1]) + 1, int(along[-1]) + 1)
    box = (left - columns.start + first[1], top - rows.start + first[0], last[1] - first[1], last[0] - first[0])
    return CutObject(of.instance, of.category, box, mask[first[0] : last[0], first[1] : last[1]].clone())
