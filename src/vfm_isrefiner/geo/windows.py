"""`RasterWindows`: a raster opened once and read window by window, at its own or a coarser scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import final, get_args

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window

from vfm_isrefiner.geo.ground import ground_sampling_distance
from vfm_isrefiner.geo.opening import RasterError, check_bytes, faults_of, open_raster
from vfm_isrefiner.geo.stretch import Limits, Stretch, nodata_of, stored_limits, stretched

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
ALL = slice(None)


@dataclass(frozen=True)
class Raster:
    """A raster, or a window of one, as a picture.

    Attributes:
        image: (3, H, W) uint8 RGB.
        nodata: (H, W) bool, pixels that hold no measurement (no-data value, mask band, alpha 0, NaN).
        gsd: ground sampling distance in metres per pixel, NaN where the file has no position on the ground.
    """

    image: NDArray[np.uint8]
    nodata: NDArray[np.bool_]
    gsd: float


@final
class RasterWindows:
    """Windows of one raster, all of the same bands and stretch: together they are what `read_raster` gives, pixel for pixel.

    Opening reads the header and, where values are stretched, a sample of the whole image. Not for several threads at once;
    pickling opens the file again.

    Args:
        path, bands, stretch, percentiles, stretch_folder: see `read_raster`.

    Attributes:
        size: (height, width).
        gsd: metres per pixel, NaN where unknown.

    Raises:
        RasterError: the file is missing or broken, has not those bands, or has values that `stretch` cannot map.
    """

    def __init__(
        self,
        path: str | Path,
        bands: Sequence[int] | None = None,
        stretch: Stretch = "auto",
        percentiles: tuple[float, float] = (2.0, 98.0),
        stretch_folder: str | Path | None = None,
    ) -> None:
        low, high = percentiles
        if stretch not in get_args(Stretch):
            raise RasterError(f"Unknown stretch {stretch!r}. Choose one of {', '.join(get_args(Stretch))}.")
        if not 0 <= low < high <= 100:
            raise RasterError(f"Percentiles {list(percentiles)} are no range. Give a lower and an upper one within 0 to 100.")
        self.path, self._options = path, (bands, stretch, percentiles, stretch_folder)
        self._dataset = open_raster(path)
        try:
            with faults_of(path):
                self.size: tuple[int, int] = (self._dataset.height, self._dataset.width)
                self.gsd: float = ground_sampling_distance(self._dataset)
                self._palette = _palette(self._dataset) if bands is None else None
                self._bands = [1] if self._palette is not None else _rgb_bands(self._dataset, bands, path)
                self._limits = self._find_limits(stretch, (low, high), stretch_folder)
        except BaseException:
            self._dataset.close()
            raise

    @property
    def bands(self) -> tuple[int, ...]:
        """1-based bands of red, green and blue; one where the file has a palette."""
        return tuple(self._bands)

    def _find_limits(self, stretch: Stretch, percentiles: tuple[float, float], folder: str | Path | None) -> Limits | None:
        """None where values are taken as they are."""
        dtype = np.dtype(self._dataset.dtypes[0])
        if dtype.kind not in "uif":
            raise RasterError(
                f"{self.path} holds {dtype} values; integers or floats were expected. "
                "Convert it with gdal_translate -ot Float32."
            )
        if stretch == "none" and dtype != np.uint8:
            raise RasterError(
                f"{self.path} is {dtype}, and stretch 'none' takes 8-bit files only. Choose stretch 'percentile' or 'minmax'."
            )
        if self._palette is not None or stretch == "none" or (stretch == "auto" and dtype == np.uint8):
            return None
        return stored_limits(self._dataset, self._bands, (0.0, 100.0) if stretch == "minmax" else percentiles, folder)

    def read(self, rows: slice = ALL, columns: slice = ALL, scale: float = 1.0) -> Raster:
        """The window of these rows and columns, which lie inside of the raster.

        Args:
            rows, columns: of the raster at its own scale.
            scale: pixels of the result per pixel of the raster, above 0 and at most 1. Below 1 the values are means, read from
                the file's overviews where it has them; whether there is data is that of the nearest pixel.

        Raises:
            RasterError: the window is empty or not inside, too large to be read at once, or the file is broken there.
        """
        window = self._window(rows, columns)
        if not 0 < scale <= 1:
            raise RasterError(f"{self.path}: scale {scale} was asked. Give one above 0 and at most 1.")
        shape = (max(1, round(window.height * scale)), max(1, round(window.width * scale)))
        distinct = sorted(set(self._bands))
        check_bytes(self.path, len(distinct), *shape, self._dataset.dtypes[0])
        how = Resampling.nearest if self._palette is not None or scale == 1 else Resampling.average
        with faults_of(self.path):
            values = self._dataset.read(distinct, window=window, out_shape=(len(distinct), *shape), resampling=how)
            mask = self._dataset.dataset_mask(window=window, out_shape=shape)
        nodata = nodata_of(values, mask)
        if self._bands != distinct:
            values = values[[distinct.index(band) for band in self._bands]]
        gsd = self.gsd * math.sqrt(window.height * window.width / (shape[0] * shape[1]))
        return Raster(self._coloured(values, nodata), nodata, gsd)

    def _window(self, rows: slice, columns: slice) -> Window:
        ends = []
        for name, wanted, length in zip(("rows", "columns"), (rows, columns), self.size, strict=True):
            start, stop = wanted.start or 0, length if wanted.stop is None else wanted.stop
            if not 0 <= start < stop <= length or wanted.step not in (None, 1):
                raise RasterError(f"{self.path} has {name} 0 to {length}; {start} to {stop} were asked. Ask for {name} inside.")
            ends += [start, stop - start]
        return Window(ends[2], ends[0], ends[3], ends[1])

    def _coloured(self, values: NDArray, nodata: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Values (bands, H, W) as RGB (3, H, W)."""
        if self._limits is not None:
            return stretched(values, nodata, self._limits)
        if self._palette is not None:
            values = np.moveaxis(self._palette[values[0]], -1, 0)
        return np.ascontiguousarray(np.where(nodata, np.uint8(0), values))

    def close(self) -> None:
        self._dataset.close()

    def __enter__(self) -> RasterWindows:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple:
        return RasterWindows, (self.path, *self._options)


def _palette(dataset: DatasetReader) -> NDArray[np.uint8] | None:
    """(256, 3) colours of a file of one 8-bit band of indices, None for any other."""
    if dataset.count > 1 or dataset.dtypes[0] != "uint8" or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    table = np.zeros((256, 3), np.uint8)
    for index, colour in dataset.colormap(1).items():
        table[index] = colour[:3]
    return table


def _rgb_bands(dataset: DatasetReader, bands: Sequence[int] | None, path: str | Path) -> list[int]:
    colours = [band for band, meaning in enumerate(dataset.colorinterp, 1) if meaning != ColorInterp.alpha]
    if bands is not None:
        if len(bands) != 3 or not all(1 <= band <= dataset.count for band in bands):
            raise RasterError(
                f"{path} has {dataset.count} bands, counted from 1; bands={list(bands)} was asked. Name three that exist."
            )
        return list(bands)
    marked = [dataset.colorinterp.index(meaning) + 1 if meaning in dataset.colorinterp else 0 for meaning in RGB]
    if all(marked):
        return marked
    if len(colours) >= 3:
        return colours[:3]
    if len(colours) == 1:
        return colours * 3
    raise RasterError(
        f"{path} has {len(colours)} bands besides alpha; one or at least three were expected. "
        "Name three, such as bands=[1, 1, 2]."
    )
