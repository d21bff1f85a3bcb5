"""`polygonise`: a mask as the polygon along the edges of its pixels, on the ground."""

from __future__ import annotations

import math

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import features
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from vfm_isrefiner.geo.area import metres_per_unit
from vfm_isrefiner.geo.opening import quiet
from vfm_isrefiner.geo.vector import polygonal

IN_PIXELS = Affine.identity()


def polygonise(
    mask: NDArray[np.bool_],
    transform: Affine = IN_PIXELS,
    corner: tuple[int, int] = (0, 0),
    *,
    crs: CRS | None = None,
    simplify: float = 0.0,
) -> shapely.Geometry:
    """The outline of all object pixels: a Polygon, a MultiPolygon where they are several pieces, an empty Polygon where none.

    Pixels that touch by a corner alone are two pieces. Holes stay holes.

    Args:
        mask: (H, W) bool.
        transform: (column, row) of the raster's pixel corners to coordinates.
        corner: (row, column) of the mask's first pixel in the raster.
        crs: of the coordinates; read by `simplify` alone.
        simplify: vertices are dropped while the outline stays within so many metres (units of the coordinates without `crs`).
            No piece and no hole is lost.

    Returns:
        A valid geometry in the coordinates of `transform`.

    Raises:
        ValueError: the mask is not (H, W) bool, or `simplify` is negative or not finite.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"A mask (H, W) of bool was expected, got {mask.dtype} {mask.shape}; give mask > 0 or such.")
    if not 0 <= simplify < math.inf:
        raise ValueError(f"simplify is a length of at least 0 metres, got {simplify}.")
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return shapely.Polygon()
    box = np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).view(np.uint8)
    origin = np.array([corner[1] + columns[0], corner[0] + rows[0]], np.float64)
    with quiet(NotGeoreferencedWarning):  # rasterio hides it by itself, by filters that other threads put back meanwhile
        pieces = [shapely.geometry.shape(shape) for shape, _ in features.shapes(box, box.astype(bool), connectivity=4)]
    # whole numbers up to here: an outline is the same whichever window the mask was cut from
    linear = np.array([[transform.a, transform.d], [transform.b, transform.e]])
    outlined = shapely.transform(
        pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(pieces),
        lambda xy: (xy + origin) @ linear + (transform.c, transform.f),
    )
    return _valid(_simplified(outlined, crs, simplify) if simplify else outlined)


def _simplified(geometry: shapely.Geometry, crs: CRS | None, tolerance: float) -> shapely.Geometry:
    left, bottom, right, top = geometry.bounds
    scale = np.array(metres_per_unit(crs, ((left + right) / 2, (bottom + top) / 2)))
    middle = np.array([(left + right) / 2, (bottom + top) / 2])
    metric = shapely.transform(geometry, lambda xy: (xy - middle) * scale)
    kept = shapely.simplify(metric, tolerance, preserve_topology=True)
    return shapely.transform(kept, lambda xy: xy / scale + middle)


def _valid(geometry: shapely.Geometry) -> shapely.Geometry:
    """As polygons that do not cross themselves: a ring that touches itself at a pixel's corner becomes two."""
    if shapely.is_valid(geometry):
        return geometry
    areas = polygonal(shapely.make_valid(geometry))
    parts = shapely.get_parts(areas)
    return parts[0] if len(parts) == 1 else areas
