"""`ComponentSet`: images with maps of classes, of which every closed region is an instance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.data.cache import DecodedCache
from vfm_isrefiner.data.components import UNKNOWN, Region, class_components
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.instance_set import CACHE_BYTES, InstanceRecord, InstanceSet
from vfm_isrefiner.data.parallel import in_threads
from vfm_isrefiner.data.pictures import Picture, read_picture, read_size

MAX_UNKNOWN = 1e-3  # of the pixels of a map may be of no known class
AT_ONCE = 4  # maps decoded together while a set is opened: of Potsdam's, each takes about 0.4 GB


@dataclass(frozen=True)
class Tile:
    """An image file, its map of classes, and the split that both are published in."""

    image: Path
    label: Path
    split: str


class ComponentSet(InstanceSet, ABC):
    """Every closed region of a wanted class is one instance; touching by a corner is enough. Opening decodes every map once.

    Args:
        source: name of the set.
        tiles: by the name of the image.
        categories: names of the wanted classes by their values in the maps, in the order in which they are numbered.
        gsd: of all images.
        bands: for GeoTIFF, see `read_raster`.

    Attributes:
        unknown: how many pixels of no known class each map has, where it has any; they are ignored.

    Raises:
        DataError: sizes differ, a map holds too many pixels of no known class, or a file cannot be read.
    """

    def __init__(
        self,
        source: str,
        tiles: Mapping[str, Tile],
        categories: Mapping[int, str],
        gsd: float,
        bands: tuple[int, int, int] | None = None,
    ) -> None:
        self.tiles, self.categories, self.bands = dict(tiles), dict(categories), bands
        self.unknown: dict[str, int] = {}
        records: list[InstanceRecord] = []
        faults: list[str] = []
        largest = 0
        for name, scanned in zip(self.tiles, in_threads(self._scan_in_turn(), self.tiles), strict=True):
            if isinstance(scanned, DataError):
                faults += scanned.faults
                continue
            size, found, unknown = scanned
            split = self.tiles[name].split
            largest = max(largest, size[0] * size[1])
            if unknown:
                self.unknown[name] = unknown
            records += [
                InstanceRecord(name, it.id, f"{name}/{it.id}", self.categories[it.majority], it.area, it.bbox, size, split, gsd)
                for it in found
            ]
        if faults:
            raise DataError(*faults)
        # Image (3 bytes a pixel), ids (1 to 4) and no-data of one tile together, or each would push the other out.
        super().__init__(source, records, DecodedCache(max(CACHE_BYTES, 8 * largest)))

    @abstractmethod
    def read_classes(self, path: Path) -> NDArray[np.uint8]:
        """The map of `path`, (H, W): classes, `IGNORE`, or `UNKNOWN` as `settled` allows. Raises `DataError`."""

    def _scan_in_turn(self) -> Callable[[str], tuple[tuple[int, int], list[Region], int] | DataError]:
        """`_scan`, `AT_ONCE` of them at a time; its error is given back, so that every faulty file is told."""
        turns = BoundedSemaphore(AT_ONCE)

        def scan(name: str) -> tuple[tuple[int, int], list[Region], int] | DataError:
            with turns:
                try:
                    return self._scan(name)
                except DataError as error:
                    return error

        return scan

    def _scan(self, name: str) -> tuple[tuple[int, int], list[Region], int]:
        tile = self.tiles[name]
        size = same_size(tile.image, tile.label)
        classes = self.read_classes(tile.label)
        return size, class_components(classes, tuple(self.categories))[1], int((classes == UNKNOWN).sum())

    def _picture(self, name: str) -> Picture:
        return self.cached(("picture", name), lambda: read_picture(self.tiles[name].image, self.bands))

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self._picture(record.image).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self.read_id_map(record)
        return ids.mask(record.instance), ids.ignore()

    def read_id_map(self, record: InstanceRecord) -> IdMap:
        def load() -> Tensor:
            return class_components(self.read_classes(self.tiles[record.image].label), tuple(self.categories))[0]

        ids = self.cached(("ids", record.image), load)
        return IdMap(ids, torch.iinfo(ids.dtype).max, self._picture(record.image).nodata)

    def unlabelled_images(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.tiles) - {record.image for record in self.records}))


def same_size(image: Path, label: Path) -> tuple[int, int]:
    """(height, width) of both files, from their headers. Raises `DataError`."""
    size, other = read_size(image), read_size(label)
    if size != other:
        raise DataError(
            f"The label {label} is {other[0]}×{other[1]} and its image {image} is {size[0]}×{size[1]} (height×width). "
            "They must be of one size: fetch both again."
        )
    return size


def settled(path: Path, classes: NDArray[np.uint8], value_at: Callable[[int, int], object], expected: str) -> NDArray[np.uint8]:
    """`classes` (H, W) again, if no more than `MAX_UNKNOWN` of its pixels are `UNKNOWN`.

    Args:
        path: of the map, for the message.
        value_at: what the file holds in a row and column.
        expected: the values that would be known.

    Raises:
        DataError: there are more. Names the first one.
    """
    unknown = classes == UNKNOWN
    count = int(unknown.sum())
    if count > MAX_UNKNOWN * unknown.size:
        row, column = divmod(int(unknown.argmax()), unknown.shape[1])
        raise DataError(
            f"{path} holds {value_at(row, column)} at row {row}, column {column}, which is no class of this set; "
            f"{100 * count / unknown.size:.2g} % of its pixels are such, at most {100 * MAX_UNKNOWN:g} % are passed over. "
            f"Expected {expected}. Fetch the label as its publisher gives it."
        )
    return classes
