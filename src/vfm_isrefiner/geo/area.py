"""Areas in square metres and lengths in metres, in any reference system."""

from __future__ import annotations

import math

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from vfm_isrefiner.geo.opening import FAULTS

STEP = 64  # parts of the longer side of an object: its edges are split into pieces no longer than that before they are bent
PATCH = 16  # side in pixels of the square that is measured for the area of one of them
Position = tuple[float, float]


def area_m2(geometry: shapely.Geometry, crs: CRS | None) -> float:
    """The area of `geometry` on the ellipsoid, in square metres; NaN where `crs` does not say where it lies on the ground.

    It is measured in an equal-area projection about the object. In UTM it may differ by up to 0.1 % from the area in the plane
    of the projection, and in web mercator by a multiple of it.
    """
    if geometry.is_empty:
        return 0.0
    if crs is None:
        return math.nan
    if not (crs.is_geographic or crs.is_projected):  # a site's own plane
        return math.nan
    left, bottom, right, top = geometry.bounds
    longest = max(right - left, top - bottom) / STEP
    plane = _plane(crs, ((left + right) / 2, (bottom + top) / 2))
    if plane is None or not longest > 0:
        return math.nan
    try:
        return float(shapely.area(shapely.transform(shapely.segmentize(geometry, longest), lambda xy: _moved(crs, plane, xy))))
    except FAULTS:
        return math.nan


def pixel_area_m2(transform: Affine, crs: CRS | None, at: tuple[int, int]) -> float:
    """The area on the ground of a pixel near `at` (row, column), in square metres; NaN where `crs` does not say."""
    (row, column), side = at, PATCH
    corners = ((column, row), (column + side, row), (column + side, row + side), (column, row + side))
    return area_m2(shapely.Polygon([transform @ corner for corner in corners]), crs) / side**2


def metres_per_unit(crs: CRS | None, at: Position) -> tuple[float, float]:
    """How many metres one unit of x and one of y are at the position `at` (x, y); (1, 1) where `crs` does not say."""
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return 1.0, 1.0
    plane, step = _plane(crs, at), 1e-4 if crs.is_geographic else 10.0
    if plane is None:
        return 1.0, 1.0
    try:
        here, east, north = _moved(crs, plane, np.array([at, (at[0] + step, at[1]), (at[0], at[1] + step)]))
    except FAULTS:
        return 1.0, 1.0
    metres = float(np.linalg.norm(east - here)) / step, float(np.linalg.norm(north - here)) / step
    return metres if min(metres) > 0 and np.isfinite(metres).all() else (1.0, 1.0)


def _plane(crs: CRS, at: Position) -> CRS | None:
    """Lambert's azimuthal equal-area projection about `at`; None where that has no longitude and latitude."""
    try:
        (longitude,), (latitude,) = transform(crs, CRS.from_epsg(4326), [at[0]], [at[1]])[:2]
    except FAULTS:
        return None
    if not np.isfinite((longitude, latitude)).all():
        return None
    return CRS.from_string(f"+proj=laea +lat_0={latitude:.8f} +lon_0={longitude:.8f} +datum=WGS84 +units=m +no_defs")


def _moved(here: CRS, there: CRS, xy: NDArray) -> NDArray:
    return np.array(transform(here, there, xy[:, 0], xy[:, 1])[:2]).T
