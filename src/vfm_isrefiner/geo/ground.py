"""Where a raster lies: its size, transform and reference system, and its ground sampling distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from affine import Affine
from rasterio import DatasetReader
from rasterio.crs import CRS

from vfm_isrefiner.geo.opening import opened

METRES_PER_DEGREE = 111_320.0  # along a meridian; 0.3 % off at most on the ellipsoid
EARTH_RADIUS = 6_378_137.0  # of the sphere of web mercator, metres


@dataclass(frozen=True)
class Grid:
    """The pixels of a raster on the ground.

    Attributes:
        size: (height, width).
        transform: (column, row) of a pixel's upper left corner to coordinates; the identity where the file has none.
        crs: what these coordinates mean, None where unknown.
        gsd: metres per pixel, NaN where `crs` is unknown.
    """

    size: tuple[int, int]
    transform: Affine
    crs: CRS | None
    gsd: float


def read_grid(path: str | Path) -> Grid:
    """The grid of `path`, from its header and a world file beside it. Raises `RasterError`."""
    with opened(path) as dataset:
        return Grid((dataset.height, dataset.width), dataset.transform, dataset.crs, ground_sampling_distance(dataset))


def ground_sampling_distance(dataset: DatasetReader) -> float:
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
