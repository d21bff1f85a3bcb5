"""`FolderInstances`: a folder of images and a folder of masks of the same names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, final, get_args

import torch
from torch import Tensor

from vfm_isrefiner.data.components import Region, connected_components, regions
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap, narrowest
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.parallel import in_threads
from vfm_isrefiner.data.pictures import SUFFIXES, Picture, read_gsd, read_ids, read_picture, read_size
from vfm_isrefiner.geo.raster import Stretch

Kind = Literal["ids", "binary", "components"]
WHITE = 255  # what a binary mask of 8 bit marks its object with
MASK_SUFFIXES = tuple(each for each in SUFFIXES if each not in (".jpg", ".jpeg"))  # whose losses would invent ids


@final
class FolderInstances(InstanceSet):
    """Images and masks paired by the file name without its ending. Opening decodes every mask once.

    Args:
        images: folder of PNG, JPEG, BMP or GeoTIFF.
        masks: folder of PNG or GeoTIFF masks.
        source: name of the set.
        kind: what mask values mean. "ids": every value above 0 is an instance (8, 16 or 32 bit, a palette, or RGB as 24 bit);
            "binary": everything above 0 is one instance; "components": every closed region above 0 is one.
        mask_suffix: what mask names have more than image names, such as "_mask".
        ignore_value: mask value of pixels to ignore.
        category: of all instances.
        split, gsd: of all images; gsd NaN takes each file's own.
        bands, stretch: for GeoTIFF, see `read_raster`.

    Raises:
        DataError: a folder is missing, an image has no mask or a mask no image, sizes differ, or a mask cannot be read.
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path,
        source: str = "folder",
        kind: Kind = "ids",
        mask_suffix: str = "",
        ignore_value: int | None = None,
        category: str = "",
        split: str = "",
        gsd: float = float("nan"),
        bands: Sequence[int] | None = None,
        stretch: Stretch = "auto",
    ) -> None:
        if kind not in get_args(Kind):
            raise DataError(f"Unknown kind of mask {kind!r}. Choose one of {', '.join(get_args(Kind))}.")
        self.kind, self.ignore_value, self.bands, self.stretch = kind, ignore_value, bands, stretch
        self.images, self.masks = paired(Path(images), Path(masks), mask_suffix)
        records: list[InstanceRecord] = []
        for name, (size, found) in zip(self.images, in_threads(self._scan, self.images), strict=True):
            metres = read_gsd(self.images[name]) if math.isnan(gsd) else gsd
            records += [
                InstanceRecord(name, it.id, f"{name}/{it.id}", category, it.area, it.bbox, size, split, metres) for it in found
            ]
        if kind == "ids" and records and {record.instance for record in records} == {WHITE}:
            raise DataError(
                f"Every mask of {masks} holds 0 and {WHITE} alone, which looks binary and not like ids. Give kind=components "
                "where each closed region is an object, or kind=binary where a mask holds one."
            )
        super().__init__(source, records)

    def _scan(self, name: str) -> tuple[tuple[int, int], list[Region]]:
        """Size of the image and what its mask holds."""
        ids, size = self._ids(name), read_size(self.images[name])
        if tuple(ids.shape) != size:
            raise DataError(
                f"The mask {self.masks[name]} is {ids.shape[0]}×{ids.shape[1]} and its image {self.images[name]} is "
                f"{size[0]}×{size[1]} (height×width). They must be of one size: export the mask again."
            )
        return size, regions(ids.where(ids != self._ignored, 0))

    @property
    def _ignored(self) -> int:
        return -1 if self.ignore_value is None else self.ignore_value

    def _ids(self, name: str) -> Tensor:
        """(H, W) ids after `kind`, int32, `ignore_value` kept."""
        values = read_ids(self.masks[name]).int()
        if self.kind == "ids":
            return values
        inside = (values > 0) & (values != self._ignored)
        labels = connected_components(inside) if self.kind == "components" else inside.int()
        if self.ignore_value is None:
            return labels
        if self.ignore_value <= int(labels.max()):  # ids count past the ignore value: it moves out of their way
            labels = torch.where(labels >= self.ignore_value, labels + 1, labels)
        return torch.where(values == self.ignore_value, self.ignore_value, labels)

    def _picture(self, record: InstanceRecord) -> Picture:
        return self.cached(("picture", record.image), lambda: read_picture(self.images[record.image], self.bands, self.stretch))

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self._picture(record).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self.read_id_map(record)
        return ids.mask(record.instance), ids.ignore()

    def unlabelled_images(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.images) - {record.image for record in self.records}))

    def read_id_map(self, record: InstanceRecord) -> IdMap:
        ids = self.cached(("ids", record.image), lambda: narrowest(self._ids(record.image)))
        nodata = self._picture(record).nodata
        return IdMap(ids, self.ignore_value, nodata if nodata is not None and nodata.shape[1:] == ids.shape else None)


def paired(images: Path, masks: Path, suffix: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """Image and mask files by name, in the order of names; mask names have `suffix` more.

    Raises:
        DataError: a folder is missing or empty, or a file is without its partner.
    """
    found = _by_stem(images, "", SUFFIXES), _by_stem(masks, suffix, MASK_SUFFIXES)
    for have, lack, folder, kind in ((found[0], found[1], masks, "mask"), (found[1], found[0], images, "image")):
        alone = sorted(set(have) - set(lack))
        if alone:
            raise DataError(
                f"{have[alone[0]]} has no {kind} {alone[0]}{suffix if kind == 'mask' else ''}.* in {folder} "
                f"({len(alone)} such files). Every image needs a mask of the same name, and every mask an image."
            )
    return found


def _by_stem(folder: Path, suffix: str, endings: Sequence[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Check the path.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in endings and path.stem.endswith(suffix):
            name = path.stem.removesuffix(suffix)
            if name in found:
                raise DataError(f"{found[name]} and {path} have the same name but for the ending. Keep one of them.")
            found[name] = path
    if not found:
        raise DataError(f"{folder} has no file *{suffix} ending in {', '.join(endings)}. Check the path.")
    return found
