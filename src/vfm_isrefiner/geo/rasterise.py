"""`rasterise`: the pixels of a polygon, those whose centre it covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import features
from rasterio.errors import NotGeoreferencedWarning

from vfm_isrefiner.geo.opening import RasterError, quiet

REACH = 1e8  # pixels; GDAL draws with 32-bit integers, so what lies further out is cut off


@dataclass(frozen=True)
class Drawn:
    """The pixels of a polygon.

    Attributes:
        bbox: (x, y, width, height) in pixels of the raster, tight around them.
        mask: (height, width) bool, the pixels of that box that are the polygon's.
    """

    bbox: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def in_pixels(geometry: shapely.Geometry, transform: Affine) -> shapely.Geometry:
    """`geometry` in (column, row) of the raster of this transform. Raises `RasterError` where the transform has no inverse."""
    if transform.determinant == 0 or not np.isfinite(tuple(transform)).all():
        raise RasterError(f"The transform {tuple(transform)[:6]} has no inverse. Georeference the raster again.")
    back = ~transform
    linear = np.array([[back.a, back.d], [back.b, back.e]])
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite afterwards is not drawn
        return shapely.transform(geometry, lambda xy: xy @ linear + (back.c, back.f))


def rasterise(
    geometry: shapely.Geometry,
    transform: Affine,
    size: tuple[int, int],
    window: tuple[slice, slice] | None = None,
    all_touched: bool = False,
) -> NDArray[np.bool_]:
    """The polygon's pixels within a raster, (H, W) bool, or within a window of it.

    Args:
        geometry: Polygon or MultiPolygon in the raster's reference system.
        transform: of the raster.
        size: (height, width) of the raster.
        window: (rows, columns) inside of the raster.
        all_touched: take every pixel that it touches, not only those whose centre it covers.
    """
    rows, columns = window or (slice(0, size[0]), slice(0, size[1]))
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    drawn = draw(in_pixels(geometry, transform), (rows, columns), all_touched)
    if drawn is not None:
        x, y, width, height = drawn.bbox
        mask[y - rows.start : y - rows.start + height, x - columns.start : x - columns.start + width] = drawn.mask
    return mask


def draw(geometry: shapely.Geometry, window: tuple[slice, slice], all_touched: bool = False) -> Drawn | None:
    """The pixels of `geometry`, in (column, row), within a window of (rows, columns); None where it has none."""
    (top, bottom), (left, right) = _overlap(geometry, window)
    if top >= bottom or left >= right:
        return None
    if np.abs(geometry.bounds).max() > REACH:
        geometry = _cut_off(geometry)
        if geometry.is_empty:
            return None
    # Whole numbers are subtracted from coordinates in pixels: a window shows what the whole raster would show there.
    shifted = shapely.transform(geometry, lambda xy: xy - (left, top))
    size = (bottom - top, right - left)
    with quiet(NotGeoreferencedWarning):  # as in `polygonise`
        mask = features.rasterize([shifted], size, dtype=np.uint8, all_touched=all_touched).astype(bool)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    tight = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Drawn((left + int(columns[0]), top + int(rows[0]), tight.shape[1], tight.shape[0]), np.ascontiguousarray(tight))


def _cut_off(geometry: shapely.Geometry) -> shapely.Geometry:
    """What lies within `REACH`."""
    # GEOS multiplies coordinates: those beyond any sense would overflow.
    bounded = shapely.make_valid(shapely.transform(geometry, lambda xy: xy.clip(-1e4 * REACH, 1e4 * REACH)))
    return shapely.intersection(bounded, shapely.box(-REACH, -REACH, REACH, REACH))


def _overlap(geometry: shapely.Geometry, window: tuple[slice, slice]) -> list[tuple[int, int]]:
    """First and last (exclusive) row and column of the window that the geometry may reach."""
    x0, y0, x1, y1 = geometry.bounds
    if not np.isfinite(geometry.bounds).all():
        return [(0, 0), (0, 0)]
    ends = []
    for low, high, of in ((y0, y1, window[0]), (x0, x1, window[1])):
        # Clipped before it becomes an integer: coordinates may be huge.
        first, last = (min(max(value, of.start), of.stop) for value in (low - 1, high + 1))
        ends.append((math.floor(first), math.ceil(last)))
    return ends
