"""`CocoInstances`: a folder of images and one COCO JSON of instances (polygons, RLE in both forms, crowds as ignore)."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from torch import Tensor

from vfm_isrefiner.data.coco_masks import check_shape, drawn, measured
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.pictures import MAX_PIXELS, Picture, read_gsd, read_picture
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
        self.unlabelled: list[str] = []
        try:
            records = self._index(content, None if categories is None else set(categories), split, gsd)
        except DataError:
            raise
        # What JSON of another form raises where it is used; OSError: a file_name that no file can have.
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
            raise DataError(
                f"{self.file} is no COCO instance file ({type(error).__name__}: {error}). It needs images with id, file_name, "
                "height and width, annotations with id, image_id, category_id and segmentation, categories with id and name."
            ) from error
        super().__init__(source, records)

    def _index(self, content: dict[str, Any], wanted: set[str] | None, split: str, gsd: float) -> list[InstanceRecord]:
        """Records in the file's order of images; keeps the annotations that the hooks draw later. Collects all faults."""
        names = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        records: list[InstanceRecord] = []
        faults: list[str] = []
        taken: set[str] = set()
        for image in content["images"]:
            name, size = str(image["file_name"]), (int(image["height"]), int(image["width"]))
            annotations = by_image.pop(image["id"], [])
            if not annotations:
                self.unlabelled.append(name)
            try:
                metres = self._checked(name, size, taken, bool(annotations), gsd)
            except DataError as error:
                faults += error.faults
                continue
            for annotation in annotations:
                if wanted is None or names.get(annotation["category_id"], "") in wanted:
                    try:
                        records += self._record(annotation, name, size, names, split, metres)
                    except DataError as error:
                        faults += error.faults
        for annotations in by_image.values():
            faults += [
                f"{self.file}: annotation {lost['id']} is of image {lost['image_id']}, which is not among its images. "
                "Write the file again."
                for lost in annotations
            ]
        if faults:
            raise DataError(*faults)
        return records

    def _checked(self, name: str, size: tuple[int, int], taken: set[str], used: bool, gsd: float) -> float:
        """The image's metres per pixel. Raises where the file lists it twice, it is not there, or its size is impossible."""
        if name in taken:
            raise DataError(f"{self.file} lists the image {name!r} twice. Every file_name must be there once.")
        taken.add(name)
        if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
            raise DataError(
                f"{self.file} gives {name!r} {size[0]}×{size[1]} pixels (height×width); 1 to {MAX_PIXELS:,} pixels were "
                "expected. Correct its height and width, or cut it into tiles."
            )
        if used and not (self.folder / name).is_file():
            raise DataError(f"{self.file} lists {name!r}, and there is no {self.folder / name}. Check the image folder.")
        return read_gsd(self.folder / name) if used and math.isnan(gsd) else gsd

    def _record(
        self, annotation: dict[str, Any], name: str, size: tuple[int, int], names: dict[int, str], split: str, gsd: float
    ) -> list[InstanceRecord]:
        check_shape(annotation, size, self.file)
        if annotation.get("iscrowd", 0):
            self.crowds[name].append(annotation)
            return []
        area, box = annotation.get("area"), annotation.get("bbox")
        if area is None or box is None:
            area, box = measured(annotation, size, self.file)
        number = int(annotation["id"])
        if number in self.annotation:
            raise DataError(f"{self.file}: the annotation id {number} is there twice. Number the annotations anew.")
        self.annotation[number] = annotation
        x, y, width, height = (int(value) for value in box)
        category = names.get(annotation["category_id"], "")
        box = (x, y, width, height)
        return [InstanceRecord(name, number, f"{name}/{number}", category, round(area), box, size, split, gsd)]

    def unlabelled_images(self) -> tuple[str, ...]:
        return tuple(self.unlabelled)

    def _picture(self, record: InstanceRecord) -> Picture:
        path = self.folder / record.image
        return self.cached(("picture", record.image), lambda: read_picture(path, self.bands, self.stretch))

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self._picture(record).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        picture = self._picture(record)
        # before anything of a size that only the JSON states is drawn
        self.check_sizes(record, picture.image.shape[1:], record.size)
        mask = drawn([self.annotation[record.instance]], record.size, self.file)
        ignore = self.cached(("crowd", record.image), lambda: drawn(self.crowds.get(record.image, []), record.size, self.file))
        return mask, ignore if picture.nodata is None else ignore | picture.nodata


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"There is no annotation file {path}. Check the path.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path} is no readable JSON ({error}). The file may be cut off: fetch it again.") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path} holds a {type(content).__name__}; an object with images, annotations and categories was expected. "
            "Give the instance annotations of the set."
        )
    return content
