"""`read_raster`: any raster that GDAL opens as 8-bit RGB, its no-data pixels and its ground sampling distance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

Stretch = Literal["auto", "none", "minmax", "percentile"]

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
METRES_PER_DEGREE = 111_320.0  # along a meridian; 0.3 % off at most on the ellipsoid
EARTH_RADIUS = 6_378_137.0  # of the sphere of web mercator, metres
SAMPLED_PIXELS = 1_000_000  # percentiles of a larger band are taken from an even grid of about so many


class RasterError(ValueError):
    """A raster cannot be read as asked. The message names the file, what was found and what to do."""


@dataclass(frozen=True)
class Raster:
    """A raster as a picture.

    Attributes:
        image: (3, H, W) uint8 RGB.
        nodata: (H, W) bool, pixels that hold no measurement (no-data value, mask band, alpha 0, NaN).
        gsd: ground sampling distance in metres per pixel, NaN where the file has no position on the ground.
    """

    image: NDArray[np.uint8]
    nodata: NDArray[np.bool_]
    gsd: float


def read_raster(
    path: str | Path,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    percentiles: tuple[float, float] = (2.0, 98.0),
) -> Raster:
    """Read `path` as RGB.

    Args:
        path: GeoTIFF or anything else that GDAL reads.
        bands: 1-based bands for red, green and blue. None: those that the file marks as such, else its first three; a file of
            one band gives it three times.
        stretch: how values become 0-255, band by band over the pixels with data. "none": as they are (8-bit files only);
            "minmax"; "percentile": linear between `percentiles`, clipped; "auto": "none" for 8-bit files, else "percentile".
        percentiles: lower and upper, in percent.

    Raises:
        RasterError: the file is missing or broken, has not those bands, or has values that `stretch` cannot map.
    """
    if stretch not in get_args(Stretch):
        raise RasterError(f"Unknown stretch {stretch!r}. Choose one of {', '.join(get_args(Stretch))}.")
    with _opened(path) as dataset:
        chosen = _rgb_bands(dataset, bands, path)
        distinct = sorted(set(chosen))
        values = dataset.read(distinct)[[distinct.index(band) for band in chosen]]
        nodata = dataset.dataset_mask() == 0
        gsd = _ground_sampling_distance(dataset)
    if values.dtype.kind not in "uif":
        raise RasterError(
            f"{path} holds {values.dtype} values; integers or floats were expected. Convert it with gdal_translate -ot Float32."
        )
    if values.dtype.kind == "f":
        nodata = nodata | ~np.isfinite(values).all(0)
    if stretch == "none" and values.dtype != np.uint8:
        raise RasterError(
            f"{path} is {values.dtype}, and stretch 'none' takes 8-bit files only. Choose stretch 'percentile' or 'minmax'."
        )
    if stretch == "none" or (stretch == "auto" and values.dtype == np.uint8):
        image = np.where(nodata, np.uint8(0), values)
    else:
        image = np.stack([_stretched(band, nodata, (0.0, 100.0) if stretch == "minmax" else percentiles) for band in values])
    return Raster(np.ascontiguousarray(image), nodata, gsd)


def read_values(path: str | Path) -> NDArray:
    """All bands of `path` as they are stored, (C, H, W). Raises `RasterError`."""
    with _opened(path) as dataset:
        return dataset.read()


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of `path`, from its header. Raises `RasterError`."""
    with _opened(path) as dataset:
        return dataset.height, dataset.width


def read_gsd(path: str | Path) -> float:
    """Ground sampling distance of `path` as in `Raster.gsd`, from its header. Raises `RasterError`."""
    with _opened(path) as dataset:
        return _ground_sampling_distance(dataset)


@contextmanager
def _opened(path: str | Path) -> Iterator[rasterio.DatasetReader]:
    if not Path(path).is_file():
        raise RasterError(f"There is no file {path}. Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain picture is welcome; its gsd is NaN
            with rasterio.open(path) as dataset:
                yield dataset
    except RasterioError as error:
        raise RasterError(f"{path} cannot be read as a raster ({error}). The file may be cut off: fetch it again.") from error


def _rgb_bands(dataset: rasterio.DatasetReader, bands: Sequence[int] | None, path: str | Path) -> list[int]:
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


def _stretched(band: NDArray, nodata: NDArray[np.bool_], percentiles: tuple[float, float]) -> NDArray[np.uint8]:
    step = max(1, math.isqrt(band.size // SAMPLED_PIXELS)) if percentiles != (0.0, 100.0) else 1
    known = band[::step, ::step][~nodata[::step, ::step]]
    if not known.size:
        return np.zeros(band.shape, np.uint8)
    low, high = (float(value) for value in np.percentile(known, percentiles))
    # A constant band has nothing to stretch and becomes 0.
    scaled = (band.astype(np.float32) - low) * (255.0 / (high - low) if high > low else 0.0)
    return np.where(nodata, 0, np.clip(np.nan_to_num(scaled), 0, 255).round()).astype(np.uint8)


def _ground_sampling_distance(dataset: rasterio.DatasetReader) -> float:
    """Metres per pixel at the middle of the image: the side of a square as large as a pixel."""
    transform = dataset.transform
    side = math.sqrt(abs(transform.determinant))
    if dataset.crs is None or transform.is_identity:
        return math.nan
    y = transform.d * dataset.width / 2 + transform.e * dataset.height / 2 + transform.f
    if dataset.crs.is_geographic:
        return side * METRES_PER_DEGREE * math.sqrt(max(math.cos(math.radians(y)), 0.0))
    if not dataset.crs.is_projected:
        return math.nan
    metres = side * dataset.crs.linear_units_factor[1]
    # Web mercator stretches by 1 / cos(latitude) = cosh(y / R).
    return metres / math.cosh(y / EARTH_RADIUS) if dataset.crs.to_epsg() == 3857 else metres
