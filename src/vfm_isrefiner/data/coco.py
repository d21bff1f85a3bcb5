"""`CocoInstances`: a folder of images and one COCO JSON of instances (polygons, RLE in both forms, crowds as ignore)."""

from __future__ import annotations

import json
import math
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from pycocotools import mask as rle_codec
from torch import Tensor

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.pictures import Picture, read_gsd, read_picture
from vfm_isrefiner.geo.raster import Stretch


@final
class CocoInstances(InstanceSet):
    """Instances of a COCO annotation file. Masks are drawn when they are read; opening looks at the JSON only.

    A record's area is the annotation's `area` where it has one (for polygons about the drawn number of pixels), else that of
    the drawn mask.

    Args:
        images: folder that the `file_name` of the images starts from.
        annotations: the JSON file.
        source: name of the set.
        split: as published.
        categories: names to keep; None keeps all. The others are background.
        gsd: metres per pixel of all images; NaN takes each file's own.
        bands, stretch: for GeoTIFF, see `read_raster`.

    Raises:
        DataError: a folder or file is missing, the JSON is broken, or an annotation does not fit its image.
    """

    def __init__(
        self,
        images: str | Path,
        annotations: str | Path,
        source: str = "coco",
        split: str = "",
        categories: Sequence[str] | None = None,
        gsd: float = float("nan"),
        bands: Sequence[int] | None = None,
        stretch: Stretch = "auto",
    ) -> None:
        self.folder, self.file = Path(images), Path(annotations)
        self.bands, self.stretch = bands, stretch
        if not self.folder.is_dir():
            raise DataError(f"There is no folder {self.folder} with the images of {self.file}. Check the path.")
        content = _read_json(self.file)
        self.annotation: dict[int, dict[str, Any]] = {}
        self.crowds: dict[str, list[dict[str, Any]]] = defaultdict(list)
        try:
            records = self._index(content, None if categories is None else set(categories), split, gsd)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{self.file} is no COCO instance file ({type(error).__name__}: {error}). It needs images with id, "
                "file_name, "
                "height and width, annotations with id, image_id, category_id and segmentation, categories with id and name."
            ) from error
        super().__init__(source, records)

    def _index(self, content: dict[str, Any], wanted: set[str] | None, split: str, gsd: float) -> list[InstanceRecord]:
        """Records in the file's order of images; keeps the annotations that the hooks draw later."""
        names = {category["id"]: category["name"] for category in content.get("categories", [])}
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        records: list[InstanceRecord] = []
        taken: set[str] = set()
        for image in content["images"]:
            name, size = str(image["file_name"]), (int(image["height"]), int(image["width"]))
            annotations = by_image.pop(image["id"], [])
            if name in taken:
                raise DataError(f"{self.file} lists the image {name!r} twice. Every file_name must be there once.")
            taken.add(name)
            if annotations and not (self.folder / name).is_file():
                raise DataError(f"{self.file} lists {name!r}, and there is no {self.folder / name}. Check the image folder.")
            metres = read_gsd(self.folder / name) if annotations and math.isnan(gsd) else gsd
            for annotation in annotations:
                if wanted is None or names.get(annotation["category_id"], "") in wanted:
                    records += self._record(annotation, name, size, names, split, metres)
        if by_image:
            lost = next(iter(by_image.values()))[0]
            raise DataError(
                f"{self.file}: annotation {lost['id']} is of image {lost['image_id']}, which is not among its images. "
                "Write the file again."
            )
        return records

    def _record(
        self, annotation: dict[str, Any], name: str, size: tuple[int, int], names: dict[int, str], split: str, gsd: float
    ) -> list[InstanceRecord]:
        _check_shape(annotation, size, self.file)
        if annotation.get("iscrowd", 0):
            self.crowds[name].append(annotation)
            return []
        area, box = annotation.get("area"), annotation.get("bbox")
        if area is None or box is None:
            run_lengths = _run_lengths(annotation, size, self.file)
            area, box = float(rle_codec.area(run_lengths)), rle_codec.toBbox(run_lengths).tolist()
        number = int(annotation["id"])
        self.annotation[number] = annotation
        x, y, width, height = (int(value) for value in box)
        category = names.get(annotation["category_id"], "")
        box = (x, y, width, height)
        return [InstanceRecord(name, number, f"{name}/{number}", category, round(area), box, size, split, gsd)]

    def _picture(self, record: InstanceRecord) -> Picture:
        path = self.folder / record.image
        return self.cached(("picture", record.image), lambda: read_picture(path, self.bands, self.stretch))

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self._picture(record).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        mask = _drawn([self.annotation[record.instance]], record.size, self.file)
        ignore = self.cached(("crowd", record.image), lambda: _drawn(self.crowds.get(record.image, []), record.size, self.file))
        nodata = self._picture(record).nodata
        return mask, ignore if nodata is None or nodata.shape != ignore.shape else ignore | nodata


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"There is no annotation file {path}. Check the path.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is no readable JSON ({error}). The file may be cut off: fetch it again.") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path} holds a {type(content).__name__}; an object with images, annotations and categories was expected. "
            "Give the instance annotations of the set."
        )
    return content


def _check_shape(annotation: dict[str, Any], size: tuple[int, int], file: Path) -> None:
    """Raise where the segmentation is of another size than its image or is no area at all."""
    shape = annotation["segmentation"]
    where = f"{file}: annotation {annotation['id']}"
    if isinstance(shape, dict):
        if tuple(shape["size"]) != size:
            raise DataError(
                f"{where} has a mask of {shape['size']} (height, width) for an image of {list(size)}. "
                "Export it again from this image."
            )
        if isinstance(shape["counts"], list) and sum(shape["counts"]) != size[0] * size[1]:
            total, pixels = sum(shape["counts"]), size[0] * size[1]
            raise DataError(
                f"{where} has run lengths of {total} pixels for an image of {pixels}. Export it again from this image."
            )
    elif not any(len(polygon) >= 6 for polygon in shape) or any(len(polygon) % 2 for polygon in shape):
        raise DataError(f"{where} has no polygon of three points or more, written x, y, x, y, … Correct or remove it.")


def _run_lengths(annotation: dict[str, Any], size: tuple[int, int], file: Path) -> dict[str, Any]:
    """pycocotools' compressed form of any segmentation; polygon parts of fewer than three points cover nothing: left out."""
    shape = annotation["segmentation"]
    try:
        if isinstance(shape, dict):
            return rle_codec.frPyObjects(shape, *size) if isinstance(shape["counts"], list) else shape
        return rle_codec.merge(rle_codec.frPyObjects([polygon for polygon in shape if len(polygon) >= 6], *size))
    except Exception as error:  # pycocotools raises bare exceptions of many kinds
        raise DataError(f"{file}: annotation {annotation['id']} cannot be drawn ({error}). Correct or remove it.") from error


def _drawn(annotations: list[dict[str, Any]], size: tuple[int, int], file: Path) -> Tensor:
    """The union of `annotations`, (1, H, W) bool."""
    mask = torch.zeros(1, *size, dtype=torch.bool)
    for annotation in annotations:
        run_lengths = _run_lengths(annotation, size, file)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' arrays and numpy 2
                pixels = rle_codec.decode(run_lengths)
        except Exception as error:  # as above: also for run lengths that do not fill the image
            message = f"{file}: annotation {annotation['id']} cannot be drawn ({error}). Correct or remove it."
            raise DataError(message) from error
        mask |= torch.from_numpy(pixels).bool()[None]
    return mask
