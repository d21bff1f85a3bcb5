import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import features
from rasterio.crs import CRS
from rasterio.warp import transform_geom
from vector_files import write_vectors

from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.geo.placing import FeatureIndex
from vfm_isrefiner.geo.rasterise import draw, rasterise
from vfm_isrefiner.geo.vector import Layer, read_polygons

UTM, SIZE = CRS.from_epsg(32617), (48, 40)
UPRIGHT = Affine(0.5, 0, 500_000, 0, -0.5, 4_000_000)
TURNED = Affine(0.4, 0.3, 500_000, 0.3, -0.4, 4_000_000)


def on_ground(transform, xy):
    """Coordinates of (column, row) pairs."""
    column, row = np.asarray(xy, float).T
    a, b, c, d, e, f = tuple(transform)[:6]
    return np.stack([a * column + b * row + c, d * column + e * row + f], -1)


def blob(seed):
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, 12))
    reach = generator.uniform(4, 22, (12, 1))
    return np.array([20, 24]) + reach * np.stack([np.cos(angles), np.sin(angles)], -1)


@pytest.mark.parametrize("transform", [UPRIGHT, TURNED])
@pytest.mark.parametrize("all_touched", [False, True])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_a_layer_in_another_reference_system(tmp_path, transform, all_touched, crs):
    ground = [shapely.Polygon(on_ground(transform, blob(seed))).buffer(0) for seed in range(6)]
    elsewhere = [shapely.geometry.shape(transform_geom(UTM, crs, shapely.geometry.mapping(one))) for one in ground]
    layer = read_polygons(write_vectors(tmp_path / "a.gpkg", elsewhere, crs=crs), UTM)
    assert len(layer.features) == 6
    for feature, one in zip(layer.features, elsewhere, strict=True):
        back = transform_geom(crs, UTM, shapely.geometry.mapping(one))
        expected = features.rasterize([back], SIZE, transform=transform, all_touched=all_touched).astype(bool)
        assert 40 < expected.sum() < 1500
        assert np.array_equal(rasterise(feature.geometry, transform, SIZE, all_touched=all_touched), expected)


@pytest.mark.parametrize("transform", [UPRIGHT, TURNED])
def test_known_pixels_come_back_from_the_ground(tmp_path, transform):
    """The outline of an L of pixels, moved in by a hundredth, its edges cut into short pieces before it goes to degrees."""
    truth = np.zeros(SIZE, bool)
    truth[10:30, 5:12] = truth[24:30, 12:33] = True
    corners = shapely.Polygon([(5, 10), (12, 10), (12, 24), (33, 24), (33, 30), (5, 30)]).buffer(-0.01, join_style="mitre")
    fine = shapely.segmentize(corners, 0.25)
    ground = shapely.Polygon(on_ground(transform, shapely.get_coordinates(fine)))
    degrees = shapely.geometry.shape(transform_geom(UTM, "EPSG:4326", shapely.geometry.mapping(ground)))
    assert -180 <= degrees.bounds[0] <= 180
    layer = read_polygons(write_vectors(tmp_path / "a.geojson", [degrees], crs="EPSG:4326"), UTM)
    mask = rasterise(layer.features[0].geometry, transform, SIZE)
    assert np.array_equal(mask, truth)
    assert np.array_equal(
        rasterise(layer.features[0].geometry, transform, SIZE, (slice(20, 28), slice(10, 20))), truth[20:28, 10:20]
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), top=st.integers(0, 47), left=st.integers(0, 39), all_touched=st.booleans())
def test_a_window_shows_what_the_whole_raster_shows(seed, top, left, all_touched):
    shape = shapely.Polygon(blob(seed)).buffer(0)
    whole = rasterise(shape, Affine.identity(), SIZE, all_touched=all_touched)
    window = slice(top, min(top + 17, 48)), slice(left, min(left + 13, 40))
    assert np.array_equal(rasterise(shape, Affine.identity(), SIZE, window, all_touched), whole[window])
    drawn = draw(shape, (slice(0, 48), slice(0, 40)), all_touched)
    rows, columns = np.nonzero(whole)
    x, y, width, height = drawn.bbox
    assert (x, y, x + width - 1, y + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
    assert np.array_equal(drawn.mask, whole[y : y + height, x : x + width])


def test_holes_parts_and_tiny_polygons():
    ring = shapely.box(4, 4, 20, 20).difference(shapely.box(8, 8, 12, 12))
    mask = rasterise(shapely.MultiPolygon([ring, shapely.box(30, 30, 34, 32)]), Affine.identity(), SIZE)
    assert int(mask.sum()) == 16 * 16 - 16 + 8
    assert not mask[8:12, 8:12].any()
    speck = shapely.box(5.1, 5.1, 5.3, 5.3)
    assert draw(speck, (slice(0, 48), slice(0, 40))) is None
    assert draw(speck, (slice(0, 48), slice(0, 40)), all_touched=True).bbox == (5, 5, 1, 1)
    assert draw(shapely.box(60, 60, 70, 70), (slice(0, 48), slice(0, 40))) is None


def test_polygons_far_larger_than_the_raster():
    for far in (1e7, 1e12, 1e300):
        assert rasterise(shapely.box(-far, 10, far, 20), Affine.identity(), SIZE).sum() == 10 * 40
    assert not rasterise(shapely.box(-1e300, -1e300, 1e300, 1e300), Affine(1e-10, 0, 0, 0, 1e-10, 0), SIZE).any()


def test_features_are_found_on_their_raster(tmp_path):
    inside, across, outside = shapely.box(3, 4, 6, 9), shapely.box(30, 40, 90, 90), shapely.box(50, 50, 60, 60)
    layer = read_polygons(write_vectors(tmp_path / "a.gpkg", [outside, across, inside], crs=None))
    placed = FeatureIndex(layer).on(Grid(SIZE, Affine.identity(), None, 1.0))
    assert [(it.number, it.bbox, it.area) for it in placed] == [(2, (30, 40, 10, 8), 80), (3, (3, 4, 3, 5), 15)]
    assert FeatureIndex(Layer(())).on(Grid(SIZE, UPRIGHT, UTM, 1.0)) == ()


@pytest.mark.parametrize("transform", [Affine(0, 0, 1, 0, 0, 1), Affine(float("nan"), 0, 1, 0, 1, 1)])
def test_a_transform_without_inverse(transform):
    with pytest.raises(RasterError, match=r"has no inverse\. Georeference the raster again"):
        rasterise(shapely.box(0, 0, 9, 9), transform, SIZE)
