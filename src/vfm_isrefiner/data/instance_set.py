"""`InstanceSet`: the one skeleton of every data set: records that are known without decoding, and two hooks that decode."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, final

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from vfm_isrefiner.data.cache import DecodedCache
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.instance import Instance

CACHE_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """What is known of one instance before its pixels are read.

    Attributes:
        image: name of its image, unique in the source; instances of one image share it.
        instance: the value that marks it in its image's mask, or its annotation's number.
        id: unique in the source and the same whenever the set is opened.
        category: class name, or "".
        area: pixels of the mask.
        bbox: (x, y, width, height) in pixels.
        size: (height, width) of the image.
        split: as published, or "".
        gsd: ground sampling distance in metres per pixel, NaN where unknown.
    """

    image: str
    instance: int
    id: str
    category: str
    area: int
    bbox: tuple[int, int, int, int]
    size: tuple[int, int]
    split: str = ""
    gsd: float = float("nan")


class InstanceSet(Dataset[Instance], ABC):
    """Instances of one source in a fixed order, those of one image one after another.

    A data set is one subclass in one file: its `__init__` finds the records (without decoding pixels where the format allows
    it) and hands them to this one; `read_image` and `read_mask` decode. Regions that are no instances (crowds, no-data) have no
    record; `read_mask` gives them as ignore.

    Args:
        source: short name of the set; goes into every result.
        records: the instances.
        cache: decoded images and id maps, shared with the views of this set; None makes one of `CACHE_BYTES`.

    Raises:
        DataError: there is no record, or two share an id.
    """

    def __init__(self, source: str, records: Iterable[InstanceRecord], cache: DecodedCache | None = None) -> None:
        self.source = source
        self.records = tuple(records)
        self.cache = DecodedCache(CACHE_BYTES) if cache is None else cache
        if not self.records:
            raise DataError(
                f"The set {source!r} has no instance. Check its folder, its split and the filters (area, category) on it."
            )
        if len({record.id for record in self.records}) < len(self.records):
            twice, _ = Counter(record.id for record in self.records).most_common(1)[0]
            raise DataError(f"The set {source!r} has two instances of id {twice!r}; ids must be unique. Remove the duplicate.")

    @abstractmethod
    def read_image(self, record: InstanceRecord) -> Tensor:
        """The record's image, (3, H, W) uint8 RGB. Raises `DataError` naming the file."""

    @abstractmethod
    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        """The record's mask and the pixels to ignore, both (1, H, W) bool. Raises `DataError` naming the file."""

    def read_id_map(self, record: InstanceRecord) -> IdMap | None:
        """All objects of the record's image at once, such that `read_mask` says the same; None where masks are drawn one by
        one. A set that has id maps gives them here, so that a window of a large image costs the window alone.
        """
        return None

    def scene(self, record: InstanceRecord) -> str:
        """The published image that the record's image is cut from; what shares one may share pixels. By itself its image."""
        return record.image

    def unlabelled_images(self) -> tuple[str, ...]:
        """Images that the source has and no record is of, where the format tells."""
        return ()

    def image(self, record: InstanceRecord) -> Tensor:
        """The record's image, (3, H, W) uint8 RGB, from the cache."""
        return self.cached(("image", record.image), lambda: self.read_image(record))

    def cached(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """What `load` gave for `key` (an object with `nbytes`), from this process's cache. For the hooks: id maps, rasters."""
        return self.cache.get((self.source, key), load)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Instance:
        """Instance `index`, checked.

        Raises:
            DataError: a file cannot be read, or its size is not that of the record or of its image.
        """
        record = self.records[index]
        image = self.image(record)
        mask, ignore = self.read_mask(record)
        self.check_sizes(record, image.shape[1:], mask.shape[1:])
        # An ignored pixel belongs to nobody: it is neither object nor background.
        return Instance(image, mask & ~ignore, ignore, record.id, self.source, record.category, record.gsd)

    def check_sizes(self, record: InstanceRecord, image: Sequence[int], mask: Sequence[int]) -> None:
        """Raise `DataError` where the image, the mask (each height, width) and the record differ in size."""
        sizes = {"its image": tuple(image), "its mask": tuple(mask), "its index": tuple(record.size)}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{name} {height}×{width}" for name, (height, width) in sizes.items())
            raise DataError(
                f"{self.source}, image {record.image!r}, instance {record.instance}: sizes differ ({found}; height×width). "
                "Image, mask and index must be of one size: export the mask again from this image."
            )

    def subset(self, indices: Sequence[int]) -> InstanceSet:
        """The instances of `indices`, in that order, as a set of its own."""
        return InstanceView(self, indices)

    def where(
        self,
        min_area: int = 0,
        max_area: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        categories: Sequence[str] | None = None,
    ) -> InstanceSet:
        """The instances of `min_area` to `max_area` pixels in `categories`; of these a random `limit` drawn by `seed`, in the
        set's order.

        Raises:
            DataError: none is left.
        """
        wanted = None if categories is None else set(categories)
        kept = [
            index
            for index, record in enumerate(self.records)
            if record.area >= min_area
            and (max_area is None or record.area <= max_area)
            and (wanted is None or record.category in wanted)
        ]
        if limit is not None and limit < len(kept):
            drawn = np.random.default_rng(seed).choice(len(kept), limit, replace=False)
            kept = [kept[index] for index in sorted(drawn)]
        return self.subset(kept)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when any record, their order or the source's name changes."""
        digest = hashlib.sha256(self.source.encode())
        for record in self.records:
            digest.update(repr(astuple(record)).encode())
        return digest.hexdigest()[:16]


@final
class InstanceView(InstanceSet):
    """Some instances of another set; it reads through that set and shares its cache."""

    def __init__(self, of: InstanceSet, indices: Sequence[int]) -> None:
        super().__init__(of.source, (of.records[index] for index in indices), of.cache)
        self.of = of

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self.of.read_image(record)

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        return self.of.read_mask(record)

    def read_id_map(self, record: InstanceRecord) -> IdMap | None:
        return self.of.read_id_map(record)

    def scene(self, record: InstanceRecord) -> str:
        return self.of.scene(record)
