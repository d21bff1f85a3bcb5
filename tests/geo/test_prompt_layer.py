"""Prompts in any system land on their pixels, and every fault of theirs is told."""

import json

import numpy as np
import pytest
import shapely
from affine import Affine
from pyogrio.raw import write
from rasterio.crs import CRS
from rasterio.warp import transform
from vector_files import DRIVERS

from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.opening import quiet
from vfm_isrefiner.geo.prompt_layer import read_prompts
from vfm_isrefiner.geo.vector import VectorError

UTM = CRS.from_epsg(32733)
ROTATED = Affine.translation(500_000, 6_000_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
GRIDS = {
    "utm": Grid((40, 60), Affine(0.5, 0, 500_000, 0, -0.5, 6_000_000), UTM, 0.5),
    "rotated": Grid((40, 60), ROTATED, UTM, 0.5),
    "degrees": Grid((40, 60), Affine(1e-5, 0, 15, 0, -1e-5, -36), CRS.from_epsg(4326), 1.0),
    "pixels": Grid((40, 60), Affine.identity(), None, np.nan),
}


def prompts(path, geometries, crs=UTM, **columns):
    binary = np.array([None if one is None else shapely.to_wkb(one) for one in geometries], dtype=object)
    with quiet(UserWarning):  # a missing reference system
        write(
            path,
            binary,
            [np.array(values) for values in columns.values()],
            list(columns),
            crs=None if crs is None else crs.to_wkt(),
            driver=DRIVERS[path.suffix],
            geometry_type="Unknown",
        )
    return path


def at(x, y, grid="utm"):
    """The point of the pixel coordinates (x, y), centres being whole numbers."""
    return shapely.Point(GRIDS[grid].transform @ (x + 0.5, y + 0.5))


@pytest.mark.parametrize("grid", GRIDS)
def test_points_land_on_their_pixels(tmp_path, grid):
    points = [at(3, 4, grid), at(10, 4, grid), at(59.4, 39.4, grid), at(4.25, 4, grid)]
    path = prompts(tmp_path / "a.gpkg", points, GRIDS[grid].crs, object=[7, 7, 2, 7], label=[1, 0, 1, 1])
    layer = read_prompts(path, GRIDS[grid])
    seven, two = layer.objects
    assert (seven.name, seven.row, two.name, two.row) == ("7", 0, "2", 2)
    np.testing.assert_allclose(seven.points, [(3, 4), (10, 4), (4.25, 4)], atol=1e-3)
    assert seven.positive.tolist() == [True, False, True]
    np.testing.assert_allclose(two.points, [(59.4, 39.4)], atol=1e-3)
    assert layer.object_field == "object"
    assert seven.shape is None
    assert not seven.mask(slice(0, 40), slice(0, 60)).any()
    assert seven.box((40, 60)) == (4, 3, 5, 11)
    assert two.box((40, 60)) == (39, 59, 40, 60)


def test_another_system_is_transformed(tmp_path):
    x, y = GRIDS["rotated"].transform @ (20.5, 10.5)
    (longitude,), (latitude,) = transform(UTM, CRS.from_epsg(4326), [x], [y])
    path = prompts(tmp_path / "a.geojson", [shapely.Point(longitude, latitude)], CRS.from_epsg(4326))
    (only,) = read_prompts(path, GRIDS["rotated"]).objects
    np.testing.assert_allclose(only.points, [(20, 10)], atol=0.01)


def test_a_geojson_on_an_image_without_a_system_is_in_pixels(tmp_path):
    (tmp_path / "a.geojson").write_text(json.dumps(shapely.geometry.mapping(shapely.Point(12.5, 30.5))))
    (only,) = read_prompts(tmp_path / "a.geojson", GRIDS["pixels"]).objects
    assert only.points.tolist() == [[12, 30]]


def test_polygons_start_objects_and_points_of_their_id_go_along(tmp_path):
    box = shapely.transform(shapely.box(5, 6, 15, 12), lambda xy: np.array([GRIDS["utm"].transform @ tuple(one) for one in xy]))
    bow = shapely.Polygon([GRIDS["utm"].transform @ one for one in ((20, 20), (30, 30), (30, 20), (20, 30))])
    path = prompts(tmp_path / "a.gpkg", [box, at(5, 5), bow, None], plot=[1, 1, 2, 3], label=[1, 0, 1, 1])
    layer = read_prompts(path, GRIDS["utm"], object_field="plot")
    one, two = layer.objects
    rows, columns = np.nonzero(one.mask(slice(2, 40), slice(1, 60)))
    assert (rows.min() + 2, rows.max() + 2, columns.min() + 1, columns.max() + 1, len(rows)) == (6, 11, 5, 14, 60)
    assert one.box((40, 60)) == (5, 5, 12, 15)
    assert one.points.tolist() == [[5, 5]]
    assert two.mask(slice(0, 40), slice(0, 60)).sum() == pytest.approx(50, abs=6)
    assert len(two.points) == 0
    assert layer.empty == 1


def test_without_an_id_each_feature_is_an_object(tmp_path):
    several = shapely.MultiPoint([at(1, 1), at(2, 1)])
    layer = read_prompts(prompts(tmp_path / "a.shp", [at(3, 3), at(9, 9)], name=["a", "b"]), GRIDS["utm"])
    assert [one.points.round(6).tolist() for one in layer.objects] == [[[3, 3]], [[9, 9]]]
    assert layer.object_field is None
    assert layer.attributes["name"].tolist() == ["a", "b"]
    (only,) = read_prompts(prompts(tmp_path / "b.gpkg", [several]), GRIDS["utm"]).objects
    assert len(only.points) == 2


def test_labels_may_be_text_or_bool(tmp_path):
    for number, labels in enumerate(([True, False], ["1", " 0"], [1.0, 0.0])):
        path = prompts(tmp_path / f"{number}.gpkg", [at(3, 3), at(4, 4)], on=labels, object=["a", "a"])
        (only,) = read_prompts(path, GRIDS["utm"], label_field="on").objects
        assert only.positive.tolist() == [True, False]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"label": [1, 2]}, {}, r"labels are 1 .*feature 2 has 2\. Correct"),
        ({"label": ["1", "yes"]}, {}, "feature 2 has 'yes'"),
        ({"label": [1, np.nan]}, {}, "feature 2 has nan"),
        ({"label": [0, 1]}, {}, "object 1 has no positive point"),
        ({"id": [0, 1]}, {"object_field": "object"}, "no column 'object'; it has id. Name one of these as the object column"),
        ({"id": [0, 1]}, {"label_field": "sign"}, "no column 'sign'"),
        ({"object": [1, np.nan]}, {}, "feature 2 has no object id"),
    ],
)
def test_wrong_columns(tmp_path, columns, options, message):
    columns = {name: np.array(values) for name, values in columns.items()}
    path = prompts(tmp_path / "a.gpkg", [at(3, 3), at(4, 4)], **columns)
    with pytest.raises(VectorError, match=message):
        read_prompts(path, GRIDS["utm"], **options)


def test_wrong_geometries(tmp_path):
    with pytest.raises(VectorError, match="feature 1 is a LineString; points, or polygons to refine"):
        read_prompts(prompts(tmp_path / "a.gpkg", [shapely.LineString([(0, 0), (1, 1)])]), GRIDS["utm"])
    with pytest.raises(VectorError, match="feature 1 is a Polygon of label 0"):
        read_prompts(prompts(tmp_path / "b.gpkg", [shapely.box(0, 0, 1, 1)], label=[0]), GRIDS["utm"])
    with pytest.raises(VectorError, match=r"has no object in the scene \(1 features\)"):
        read_prompts(prompts(tmp_path / "c.gpkg", [None]), GRIDS["utm"])
    with pytest.raises(VectorError, match="There is no file"):
        read_prompts(tmp_path / "d.gpkg", GRIDS["utm"])


def test_prompts_outside_are_told_or_left_out(tmp_path):
    far = shapely.Point(0, 95)
    path = prompts(
        tmp_path / "a.gpkg", [at(3, 3), at(-0.6, 3), far, at(60, 3), at(5, 5)], object=[1, 1, 2, 3, 4], label=[1, 1, 1, 1, 0]
    )
    with pytest.raises(
        VectorError, match=r"3 of 5 prompts lie outside of the scene, 60 pixels wide and 40 high: feature 2, 3, 4\."
    ):
        read_prompts(path, GRIDS["utm"])
    layer = read_prompts(path, GRIDS["utm"], skip_outside=True)
    assert [one.name for one in layer.objects] == ["1"]
    assert len(layer.objects[0].points) == 1
    assert layer.outside == 3


def test_a_reference_system_on_one_side_only(tmp_path):
    with pytest.raises(VectorError, match="is in EPSG:32733 and the scene has no reference system"):
        read_prompts(prompts(tmp_path / "a.gpkg", [at(3, 3)]), GRIDS["pixels"])
    for ending in (".gpkg", ".shp"):
        path = prompts(tmp_path / f"b{ending}", [at(3, 3)], crs=None)
        with pytest.raises(VectorError, match="has no reference system and the scene is in EPSG:32733"):
            read_prompts(path, GRIDS["utm"])


def test_a_very_large_polygon_may_reach_over_the_scene(tmp_path):
    around = shapely.box(499_000, 5_999_000, 501_000, 6_001_000)
    (only,) = read_prompts(prompts(tmp_path / "a.gpkg", [around]), GRIDS["utm"]).objects
    assert only.box((40, 60)) == (0, 0, 40, 60)
    assert only.mask(slice(0, 40), slice(0, 60)).all()
    away = shapely.box(509_000, 5_999_000, 511_000, 6_001_000)
    with pytest.raises(VectorError, match="1 of 1 prompts lie outside"):
        read_prompts(prompts(tmp_path / "b.gpkg", [away]), GRIDS["utm"])
