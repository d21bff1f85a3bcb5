"""`FeatureIndex`: which features of a layer have pixels in a raster, and which pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import shapely

from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.rasterise import draw, in_pixels
from vfm_isrefiner.geo.vector import Layer


@dataclass(frozen=True)
class Placed:
    """A feature in a raster.

    Attributes:
        number, category: as in `Feature`.
        shape: its geometry in (column, row), for `draw`.
        bbox: (x, y, width, height) in pixels, tight around the pixels it has within the raster.
        area: how many they are.
    """

    number: int
    category: str
    shape: shapely.Geometry
    bbox: tuple[int, int, int, int]
    area: int


@final
class FeatureIndex:
    """A layer searched by place.

    Args:
        layer: in the reference system of the rasters that are asked for.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._tree = shapely.STRtree([feature.geometry for feature in layer.features])

    def on(self, grid: Grid, all_touched: bool = False) -> tuple[Placed, ...]:
        """The features that have pixels in `grid`, in the order of their numbers.

        Args:
            grid: where the raster lies.
            all_touched: see `rasterise`.

        Raises:
            RasterError: the transform of `grid` has no inverse.
        """
        height, width = grid.size
        corners = np.array([(-1, -1), (width + 1, -1), (width + 1, height + 1), (-1, height + 1)])
        linear = np.array([[grid.transform.a, grid.transform.d], [grid.transform.b, grid.transform.e]])
        reach = shapely.Polygon(corners @ linear + (grid.transform.c, grid.transform.f))
        placed = []
        for which in sorted(self._tree.query(reach).tolist()):
            feature = self.layer.features[which]
            shape = in_pixels(feature.geometry, grid.transform)
            drawn = draw(shape, (slice(0, height), slice(0, width)), all_touched)
            if drawn is not None:
                placed.append(Placed(feature.number, feature.category, shape, drawn.bbox, int(drawn.mask.sum())))
        return tuple(placed)
