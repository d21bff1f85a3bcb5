"""Outlines between the ground, pixels and JSON."""

import numpy as np
import pytest
import shapely
from affine import Affine
from batch_scenes import GRIDS, truth

from vfm_isrefiner.geo.outline import as_json, box_of, covers, on_ground, outline_in_pixels
from vfm_isrefiner.geo.polygonise import polygonise
from vfm_isrefiner.geo.raster import RasterError

RING = shapely.box(6, 4, 24, 20).difference(shapely.box(12, 10, 17, 13))


@pytest.mark.parametrize("grid", GRIDS)
def test_there_and_back_is_exact(grid):
    transform = GRIDS[grid][0]
    outline = polygonise(truth(60))
    ground = on_ground(outline, transform)
    assert ground.equals_exact(polygonise(truth(60), transform), 0)
    assert shapely.get_coordinates(outline_in_pixels(ground, transform)).tolist() == shapely.get_coordinates(outline).tolist()


def test_what_does_not_run_along_pixels_stays_as_it_is():
    crooked = shapely.Polygon([(0.25, 0), (7, 1), (3, 5.5)])
    back = outline_in_pixels(on_ground(crooked, GRIDS["rotated"][0]), GRIDS["rotated"][0])
    assert back.equals_exact(crooked, 1e-6)
    assert not (np.round(shapely.get_coordinates(back)) == shapely.get_coordinates(back)).all()


def test_parts_that_are_areas():
    mixed = shapely.GeometryCollection([RING, shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])])
    assert outline_in_pixels(mixed, Affine.identity()).equals(RING)
    assert outline_in_pixels(shapely.Point(0, 0), Affine.identity()).is_empty


def test_a_transform_without_inverse():
    with pytest.raises(RasterError, match="no inverse"):
        outline_in_pixels(RING, Affine.scale(0, 1))


def test_json_counts_pixel_centres():
    told = as_json(shapely.union(RING, shapely.box(30, 0, 31, 1)))
    assert told["type"] == "MultiPolygon"
    first, second = told["coordinates"]
    assert [len(first), len(second)] in ([2, 1], [1, 2])
    assert sorted([x for ring in first + second for x, _ in ring])[0] == 5.5
    pixel = as_json(shapely.box(0, 0, 1, 1))["coordinates"][0][0]
    assert sorted(map(tuple, pixel[:-1])) == [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)]
    assert as_json(shapely.Polygon()) is None


def test_covering():
    assert covers(RING, 5.6, 3.6)
    assert covers(RING, 23.4, 19.4)
    assert not covers(RING, 23.6, 19.4)
    assert not covers(RING, 14, 11)  # the hole
    assert box_of(RING) == (4, 6, 20, 24)
    assert box_of(shapely.transform(RING, lambda xy: xy + 0.5)) == (4, 6, 21, 25)
