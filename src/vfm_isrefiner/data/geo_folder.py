"""`GeoInstances` and `geo_scenes`: rasters with a place on the ground, and the polygons of vector files on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.geo_images import GeoImage, find_rasters, place_images, told
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.pictures import Picture
from vfm_isrefiner.data.scenes import Cut, CutObject, Scene
from vfm_isrefiner.geo.placing import Placed
from vfm_isrefiner.geo.rasterise import draw
from vfm_isrefiner.geo.stretch import Stretch
from vfm_isrefiner.geo.windows import Raster, RasterWindows


@dataclass(frozen=True)
class Reading:
    """How pixels are read and polygons drawn; see `GeoInstances`."""

    bands: tuple[int, ...] | None = None
    stretch: Stretch = "auto"
    percentiles: tuple[float, float] = (2.0, 98.0)
    stretch_folder: str | None = None
    all_touched: bool = False

    def open(self, path: Path) -> RasterWindows:
        return told(lambda: RasterWindows(path, self.bands, self.stretch, self.percentiles, self.stretch_folder))


@final
class GeoInstances(InstanceSet):
    """Every polygon is one instance of each image in which it covers the centre of a pixel; they may overlap.

    Polygons are projected to the raster's reference system and drawn when they are asked for. Opening reads headers and vector
    files and draws each polygon once, for its area; no image is decoded. Where an image or the vector file has no reference
    system, the polygons' coordinates are taken as the image's own: with neither transform nor world file, (column, row) of its
    pixels. Pixels without data are ignored. `taken` says what became of the features.

    Args:
        images: a raster, or a folder of them: GeoTIFF, or PNG, JPEG and the like with a world file beside it.
        vectors: a GeoPackage, GeoJSON or Shapefile for all images, or a folder with one for each, of the image's name. None:
            the latter, beside the images.
        source: name of the set.
        layer: of the vector files, where they have several.
        category_field: field of the class names; without it all instances are of `category`.
        category: see there.
        all_touched: take every pixel that a polygon touches.
        split, gsd: of all images; gsd NaN takes each file's own.
        bands, stretch, percentiles, stretch_folder: see `read_raster`.

    Raises:
        DataError: a file is missing or broken, an image has no vector file or a vector file no image, or no polygon has a
            pixel.
    """

    def __init__(
        self,
        images: str | Path,
        vectors: str | Path | None = None,
        source: str = "geo",
        layer: str | None = None,
        category_field: str | None = None,
        category: str = "",
        all_touched: bool = False,
        split: str = "",
        gsd: float = float("nan"),
        bands: Sequence[int] | None = None,
        stretch: Stretch = "auto",
        percentiles: Sequence[float] = (2.0, 98.0),
        stretch_folder: str | Path | None = None,
    ) -> None:
        low, high = percentiles
        folder = None if stretch_folder is None else str(stretch_folder)
        self.reading = Reading(None if bands is None else tuple(bands), stretch, (low, high), folder, all_touched)
        self.split, self.gsd, self.category = split, gsd, category
        rasters, beside = find_rasters(Path(images)), Path(images) if Path(images).is_dir() else Path(images).parent
        file = beside if vectors is None else Path(vectors)
        self.images, self.taken = place_images(rasters, file, layer, category_field, all_touched)
        self.placed = {(image.name, it.number): it for image in self.images.values() for it in image.objects}
        records = [self._record(image, it) for image in self.images.values() for it in image.objects]
        if not records:
            raise DataError(
                f"None of the {self.taken.features} polygons has a pixel in any of the {len(self.images)} images of {images}. "
                "Check that both are of one place and say their reference systems (gdalinfo, ogrinfo)."
            )
        super().__init__(source, records)

    def _record(self, image: GeoImage, it: Placed) -> InstanceRecord:
        id, category = f"{image.name}/{it.number}", it.category or self.category
        return InstanceRecord(
            image.name, it.number, id, category, it.area, it.bbox, image.grid.size, self.split, self.metres(image)
        )

    def metres(self, image: GeoImage) -> float:
        """Ground sampling distance of `image`."""
        return image.grid.gsd if math.isnan(self.gsd) else self.gsd

    def _picture(self, record: InstanceRecord) -> Picture:
        def load() -> Picture:
            with self.reading.open(self.images[record.image].path) as windows:
                return _picture(told(windows.read))

        return self.cached(("picture", record.image), load)

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self._picture(record).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        height, width = record.size
        it, mask = self.placed[record.image, record.instance], torch.zeros(1, height, width, dtype=torch.bool)
        drawn = draw(it.shape, (slice(0, height), slice(0, width)), self.reading.all_touched)
        if drawn is not None:
            x, y, w, h = drawn.bbox
            mask[0, y : y + h, x : x + w] = torch.from_numpy(drawn.mask)
        nodata = self._picture(record).nodata
        return mask, torch.zeros_like(mask) if nodata is None else nodata

    def unlabelled_images(self) -> tuple[str, ...]:
        return tuple(name for name, image in self.images.items() if not image.objects)


@final
class GeoScene(Scene):
    """A raster of `GeoInstances`, read window by window: memory is that of a window. The last window closes the file."""

    def __init__(self, image: GeoImage, split: str, gsd: float, category: str, reading: Reading) -> None:
        self.name, self.size, self.split, self.gsd = image.name, image.grid.size, split, gsd
        self.image, self.category, self.reading = image, category, reading
        self._windows: RasterWindows | None = None

    def cut(self, rows: slice, columns: slice) -> Cut:
        if self._windows is None:
            self._windows = self.reading.open(self.image.path)
        windows = self._windows
        picture = _picture(told(lambda: windows.read(rows, columns)))
        if (rows.stop, columns.stop) == self.size:
            windows.close()
            self._windows = None
        ignore = None if picture.nodata is None else picture.nodata[0]
        shown = (self._shown(it, rows, columns, ignore) for it in self.image.objects)
        return Cut(picture.image, tuple(it for it in shown if it is not None), ignore)

    def _shown(self, it: Placed, rows: slice, columns: slice, ignore: Tensor | None) -> CutObject | None:
        x, y, width, height = it.bbox
        top, bottom = max(y, rows.start), min(y + height, rows.stop)
        left, right = max(x, columns.start), min(x + width, columns.stop)
        if top >= bottom or left >= right:
            return None
        drawn = draw(it.shape, (slice(top, bottom), slice(left, right)), self.reading.all_touched)
        if drawn is None:
            return None
        x, y, width, height = drawn.bbox
        x, y, mask = x - columns.start, y - rows.start, torch.from_numpy(drawn.mask)
        if ignore is not None:
            mask = mask & ~ignore[y : y + height, x : x + width]
        rest, across = mask.any(1).nonzero().flatten().tolist(), mask.any(0).nonzero().flatten().tolist()
        if not rest:
            return None
        mask = mask[rest[0] : rest[-1] + 1, across[0] : across[-1] + 1].clone()
        bbox = (x + across[0], y + rest[0], mask.shape[1], mask.shape[0])
        return CutObject(it.number, it.category or self.category, bbox, mask)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_windows": None}


def geo_scenes(of: GeoInstances) -> list[Scene]:
    """One scene for each image of `of`, those without an instance too, in the order of their names."""
    return [GeoScene(image, of.split, of.metres(image), of.category, of.reading) for image in of.images.values()]


def _picture(raster: Raster) -> Picture:
    nodata = torch.from_numpy(raster.nodata)[None] if raster.nodata.any() else None
    return Picture(torch.from_numpy(raster.image), nodata, raster.gsd)
