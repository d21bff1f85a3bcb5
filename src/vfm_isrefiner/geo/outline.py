"""Outlines between the ground, the pixels of a raster and JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from affine import Affine

from vfm_isrefiner.geo.rasterise import in_pixels
from vfm_isrefiner.geo.vector import polygonal

SNAP = 1e-4  # pixels: what a way to the ground and back may add to whole numbers
HALF = 0.5


def outline_in_pixels(geometry: shapely.Geometry, transform: Affine) -> shapely.Geometry:
    """A polygon on the ground in (column, row) of pixel corners; one that runs along the edges of pixels has whole numbers.

    Raises:
        RasterError: `transform` has no inverse.
    """
    found = in_pixels(polygonal(geometry), transform)
    xy = shapely.get_coordinates(found)
    return shapely.transform(found, np.round) if np.abs(xy - np.round(xy)).max(initial=0.0) <= SNAP else found


def as_json(outline: shapely.Geometry) -> dict[str, Any] | None:
    """(column, row) of pixel corners as a GeoJSON-like MultiPolygon in x, y, where pixel centres are whole numbers.

    The raster's first corner is (-0.5, -0.5). None for an empty outline.
    """
    parts = [part for part in shapely.get_parts(outline) if not part.is_empty]
    if not parts:
        return None
    rings = [[part.exterior, *part.interiors] for part in parts]
    coordinates = [[(shapely.get_coordinates(ring) - HALF).tolist() for ring in one] for one in rings]
    return {"type": "MultiPolygon", "coordinates": coordinates}


def covers(outline: shapely.Geometry, x: float, y: float) -> bool:
    """Does an outline in (column, row) of pixel corners cover the position x, y, where pixel centres are whole numbers?"""
    return bool(shapely.intersects_xy(outline, x + HALF, y + HALF))


def box_of(outline: shapely.Geometry) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the pixels that an outline in (column, row) reaches, the last two exclusive."""
    left, top, right, bottom = shapely.bounds(outline)
    return int(np.floor(top)), int(np.floor(left)), int(np.ceil(bottom)), int(np.ceil(right))


def on_ground(outline: shapely.Geometry, transform: Affine) -> shapely.Geometry:
    """An outline in (column, row) of pixel corners in the coordinates of `transform`."""
    linear = np.array([[transform.a, transform.d], [transform.b, transform.e]])
    return shapely.transform(outline, lambda xy: xy @ linear + (transform.c, transform.f))
