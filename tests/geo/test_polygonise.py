"""Masks to polygons: where their corners lie, their holes, and their areas on the ellipsoid."""

import math
import threading
import warnings

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from vfm_isrefiner.geo.area import area_m2, metres_per_unit
from vfm_isrefiner.geo.opening import quiet, quiet_for_good
from vfm_isrefiner.geo.polygonise import polygonise
from vfm_isrefiner.geo.rasterise import rasterise

UTM = CRS.from_epsg(32733)  # southern hemisphere
GRIDS = {
    "pixels": Affine.identity(),
    "utm": Affine(0.5, 0, 500_000, 0, -0.5, 6_000_000),
    "degrees": Affine(1e-5, 0, 15, 0, -1e-5, -36),
    "rotated": Affine.translation(500_000, 6_000_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5),
}
EQUATOR, POLE = 6_378_137.0, 6_356_752.314_245  # half axes of WGS84, metres


def ring():
    mask = np.zeros((12, 16), bool)
    mask[2:9, 3:12] = True
    mask[4:6, 5:8] = False
    return mask


@pytest.mark.parametrize("grid", GRIDS)
def test_a_ring_lies_along_its_pixels(grid):
    transform = GRIDS[grid]
    got = polygonise(ring(), transform, corner=(100, 50))
    corners = [(50 + x, 100 + y) for x, y in ((3, 2), (12, 2), (12, 9), (3, 9))]
    hole = [(50 + x, 100 + y) for x, y in ((5, 4), (8, 4), (8, 6), (5, 6))]
    expected = shapely.Polygon([transform @ one for one in corners], [[transform @ one for one in hole]])
    tolerance = 1e-6 * math.sqrt(abs(transform.determinant))
    assert got.geom_type == "Polygon"
    assert len(got.interiors) == 1
    assert shapely.hausdorff_distance(got, expected) <= tolerance + 1e-9
    back = rasterise(got, transform, (120, 80), (slice(100, 112), slice(50, 66)))
    assert np.array_equal(back, ring())


def test_pieces_corners_and_nothing():
    two = np.zeros((4, 4), bool)
    two[0, 0] = two[1, 1] = two[3, 3] = True
    got = polygonise(two)
    assert (got.geom_type, got.area, len(got.geoms)) == ("MultiPolygon", 3, 3)
    assert polygonise(np.zeros((3, 3), bool)).is_empty


def test_any_mask_is_valid_and_drawn_back_exactly():
    rng = np.random.default_rng(0)
    for density in (0.2, 0.5, 0.8):  # holes that touch by their corners among them
        mask = rng.random((24, 20)) < density
        got = polygonise(mask, GRIDS["rotated"])
        assert got.is_valid
        assert got.area == pytest.approx(mask.sum() / 4)
        assert np.array_equal(rasterise(got, GRIDS["rotated"], mask.shape), mask)


@pytest.mark.parametrize(
    ("grid", "crs", "metres"), [("utm", UTM, 2.0), ("degrees", CRS.from_epsg(4326), 4.0), ("pixels", None, 3)]
)
def test_simplified_in_ground_units(grid, crs, metres):
    yy, xx = np.mgrid[:60, :60]
    away = np.hypot(yy - 30, xx - 30)
    disk = (away < 26) & (away > 12)
    full = polygonise(disk, GRIDS[grid], crs=crs)
    less = polygonise(disk, GRIDS[grid], crs=crs, simplify=metres)
    assert shapely.get_num_coordinates(less) < shapely.get_num_coordinates(full) / 3
    assert len(less.interiors) == 1
    unit = min(metres_per_unit(crs, full.bounds[:2]))
    assert 0 < shapely.hausdorff_distance(less, full) * unit <= metres * (1 + 1e-6)
    assert less.is_valid


def test_what_is_no_mask_is_refused():
    with pytest.raises(ValueError, match="bool was expected, got uint8"):
        polygonise(np.zeros((3, 3), np.uint8))
    for wrong in (-1, math.inf, math.nan):
        with pytest.raises(ValueError, match="at least 0 metres"):
            polygonise(ring(), simplify=wrong)


def of_latitudes(low, high, width):
    """Area of the ellipsoid between two latitudes over `width` degrees of longitude: the closed formula."""
    e = math.sqrt(1 - (POLE / EQUATOR) ** 2)

    def q(latitude):
        s = math.sin(math.radians(latitude))
        return (1 - e * e) * (s / (1 - e * e * s * s) + math.atanh(e * s) / e)

    return EQUATOR**2 / 2 * math.radians(width) * (q(high) - q(low))


@pytest.mark.parametrize("latitude", [-60.0, 0.0, 47.3])
def test_areas_of_degrees_are_those_of_the_ellipsoid(latitude):
    for side in (1e-4, 0.1):
        box = shapely.box(15, latitude, 15 + side, latitude + side)
        assert area_m2(box, CRS.from_epsg(4326)) == pytest.approx(of_latitudes(latitude, latitude + side, side), rel=1e-5)


def test_areas_of_projections_are_those_on_the_ground():
    box = shapely.box(500_000, 6_000_000, 500_100, 6_000_050)  # at the central meridian, where lengths shrink by 0.9996
    assert area_m2(box, UTM) == pytest.approx(5000 / 0.9996**2, rel=1e-5)
    y = EQUATOR * math.atanh(math.sin(math.radians(60)))
    mercator = shapely.box(0, y, 100, y + 100)  # four times too large there
    assert area_m2(mercator, CRS.from_epsg(3857)) == pytest.approx(2500, rel=0.01)
    feet = CRS.from_epsg(2263)
    assert area_m2(shapely.box(980_000, 200_000, 981_000, 201_000), feet) == pytest.approx(304.8**2, rel=1e-3)
    assert metres_per_unit(feet, (980_000, 200_000)) == pytest.approx((0.3048, 0.3048), rel=1e-3)


def test_no_area_where_the_ground_is_unknown():
    site = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    for crs in (None, site):
        assert math.isnan(area_m2(shapely.box(0, 0, 2, 3), crs))
        assert metres_per_unit(crs, (0, 0)) == (1, 1)
    assert area_m2(shapely.Polygon(), None) == 0
    assert math.isnan(area_m2(shapely.box(1e30, 0, 2e30, 1), UTM)), "a place that UTM does not have"
    assert metres_per_unit(UTM, (1e30, 0)) == (1, 1)


@pytest.mark.parametrize(
    "work", [lambda: polygonise(np.ones((4, 4), bool)), lambda: rasterise(shapely.box(0, 0, 2, 2), Affine.identity(), (4, 4))]
)
def test_it_waits_for_other_threads_that_silence_warnings(work):
    """rasterio silences one of its own in both, and what one thread puts back another has lost."""
    done = threading.Event()
    thread = threading.Thread(target=lambda: (work(), done.set()))
    with quiet(UserWarning):
        thread.start()
        assert not done.wait(0.3)
    thread.join(20)
    assert done.is_set()


def test_quiet_for_good():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.warn("first", NotGeoreferencedWarning, stacklevel=1)
        quiet_for_good()
        warnings.warn("second", NotGeoreferencedWarning, stacklevel=1)
    assert [str(one.message) for one in told] == ["first"]
