import json

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform_geom
from vector_files import write_vectors

from vfm_isrefiner.geo.vector import VectorError, read_polygons

UTM = CRS.from_epsg(32617)
BOX = shapely.box(500_000, 4_000_000, 500_010, 4_000_020)
RING = BOX.difference(shapely.box(500_003, 4_000_003, 500_006, 4_000_006))
TWO = shapely.MultiPolygon([BOX, shapely.box(500_020, 4_000_000, 500_024, 4_000_004)])
BOW = shapely.Polygon([(500_000, 4_000_000), (500_010, 4_000_010), (500_010, 4_000_000), (500_000, 4_000_010)])


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".shp"])
def test_three_formats(tmp_path, ending):
    path = write_vectors(
        tmp_path / f"a{ending}",
        [BOX, RING, TWO],
        classes=["roof", None, "field"],
        kind="MultiPolygon" if ending == ".gpkg" else "Polygon",
    )
    layer = read_polygons(path, UTM, category_field="class")
    assert [feature.category for feature in layer.features] == ["roof", "", "field"]
    assert [feature.geometry.equals(one) for feature, one in zip(layer.features, (BOX, RING, TWO), strict=True)] == [True] * 3
    assert (layer.repaired, layer.empty, layer.unplaced) == (0, 0, 0)
    assert [feature.category for feature in read_polygons(path, UTM).features] == [""] * 3


def test_numbers_are_those_of_the_file(tmp_path):
    path = write_vectors(tmp_path / "a.gpkg", [BOX, RING])
    assert [feature.number for feature in read_polygons(path).features] == [1, 2]
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(BOX)}
    content = {"type": "FeatureCollection", "features": [{**feature, "id": 70}, {**feature, "id": 9}]}
    (tmp_path / "b.geojson").write_text(json.dumps(content))
    assert [feature.number for feature in read_polygons(tmp_path / "b.geojson").features] == [9, 70]


def test_projected_as_rasterio_projects(tmp_path):
    layer = read_polygons(write_vectors(tmp_path / "a.gpkg", [RING, TWO]), CRS.from_epsg(3857))
    for feature, one in zip(layer.features, (RING, TWO), strict=True):
        expected = shapely.geometry.shape(transform_geom(UTM, "EPSG:3857", shapely.geometry.mapping(one)))
        assert shapely.equals_exact(feature.geometry, expected, tolerance=1e-6)


def test_without_a_reference_system_coordinates_are_the_rasters(tmp_path):
    path = write_vectors(tmp_path / "a.gpkg", [BOX], crs=None)
    assert read_polygons(path, UTM).features[0].geometry.equals(BOX)
    path = write_vectors(tmp_path / "b.gpkg", [BOX])
    assert read_polygons(path, None).features[0].geometry.equals(BOX)
    content = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(BOX)}
    (tmp_path / "c.geojson").write_text(json.dumps(content))  # by the standard in degrees, which these cannot be
    assert read_polygons(tmp_path / "c.geojson", UTM).features[0].geometry.equals(BOX)


def test_what_is_repaired_or_left_out_is_counted(tmp_path):
    line = shapely.Polygon([(500_000, 4_000_000), (500_005, 4_000_005), (500_000, 4_000_000)])
    deep = shapely.Polygon([(1, 2, 3), (4, 2, 3), (4, 5, 3)])
    layer = read_polygons(write_vectors(tmp_path / "a.gpkg", [BOW, None, shapely.Polygon(), line, BOX]), UTM)
    assert [feature.number for feature in layer.features] == [1, 5]
    assert (layer.repaired, layer.empty) == (1, 3)
    assert layer.features[0].geometry.is_valid
    assert layer.features[0].geometry.area == pytest.approx(50)
    flat = read_polygons(write_vectors(tmp_path / "b.geojson", [deep], crs=None)).features[0].geometry
    assert not flat.has_z


def test_what_has_no_place_in_the_raster_is_counted(tmp_path):
    near = shapely.box(-81.001, 36.001, -81, 36.002)
    layer = read_polygons(write_vectors(tmp_path / "a.gpkg", [near], crs="EPSG:4326"), CRS.from_epsg(3857))
    assert (len(layer.features), layer.unplaced) == (1, 0)
    behind = shapely.box(99, -37, 100, -36)  # of the globe, as seen from above `near`
    path = write_vectors(tmp_path / "b.gpkg", [near, behind], crs="EPSG:4326")
    layer = read_polygons(path, CRS.from_string("+proj=ortho +lat_0=36 +lon_0=-81"))
    assert (len(layer.features), layer.unplaced) == (1, 1)
    assert layer.features[0].number == 1


def test_a_line_left_of_a_repair_is_dropped(tmp_path):
    spike = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 10), (5, 20), (5, 10), (0, 10)])
    layer = read_polygons(write_vectors(tmp_path / "a.gpkg", [spike], crs=None))
    assert layer.repaired == 1
    assert layer.features[0].geometry.bounds == (0, 0, 10, 10)


def test_layers_are_chosen(tmp_path):
    path = write_vectors(tmp_path / "a.gpkg", [BOX], layer="roofs")
    assert len(read_polygons(path).features) == 1
    write_vectors(path, [RING, TWO], layer="fields", append=True)
    assert len(read_polygons(path, layer="fields").features) == 2
    with pytest.raises(VectorError, match=r"a\.gpkg has 2 layers. Name one: layer=roofs or layer=fields"):
        read_polygons(path)
    with pytest.raises(VectorError, match=r"a\.gpkg has no layer 'rivers'. Name one: layer=roofs"):
        read_polygons(path, layer="rivers")


def test_faults(tmp_path):
    path = write_vectors(tmp_path / "a.gpkg", [BOX], classes=["x"])
    with pytest.raises(VectorError, match=r"There is no file .*gone\.gpkg"):
        read_polygons(tmp_path / "gone.gpkg")
    with pytest.raises(VectorError, match=r"has no field 'kind'; it has class\. Name one"):
        read_polygons(path, category_field="kind")
    points = write_vectors(tmp_path / "b.gpkg", [BOX, shapely.Point(1, 2)])
    with pytest.raises(VectorError, match=r"b\.gpkg: feature 2 is a Point; polygons were expected. Remove it"):
        read_polygons(points)
    (tmp_path / "c.geojson").write_text('{"type": "FeatureCollection", "features": [')
    with pytest.raises(VectorError, match=r"c\.geojson cannot be read as a vector file"):
        read_polygons(tmp_path / "c.geojson")
    table = write_vectors(tmp_path / "d.gpkg", None, classes=["x"])
    with pytest.raises(VectorError, match=r"d\.gpkg has no layer with geometries. Give a file of polygons"):
        read_polygons(table)


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".shp"])
@pytest.mark.parametrize("part", [0, 0.3, 0.7, 0.97])
def test_cut_off_files(tmp_path, ending, part):
    path = write_vectors(tmp_path / f"a{ending}", [BOX, RING, TWO], kind="MultiPolygon" if ending == ".gpkg" else "Polygon")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(VectorError, match=r"a\.\w+ (cannot be read|has \d+ bytes and says) .*fetch it again"):
        read_polygons(path)


@pytest.mark.parametrize("missing", ["shx", "dbf"])
def test_missing_parts_of_a_shapefile(tmp_path, missing):
    path = write_vectors(tmp_path / "a.shp", [BOX], classes=["x"], kind="Polygon")
    path.with_suffix(f".{missing}").unlink()
    told = {"shx": r"part of it missing .a Shapefile is \.shp, \.shx and \.dbf", "dbf": "has no field 'class'; it has none"}
    with pytest.raises(VectorError, match=told[missing]):
        read_polygons(path, category_field="class")


def test_damaged_bytes_never_give_another_error(tmp_path):
    generator = np.random.default_rng(5)
    for ending in (".gpkg", ".geojson", ".shp"):
        path = write_vectors(tmp_path / f"a{ending}", [BOX, RING], kind="Polygon" if ending != ".gpkg" else "Unknown")
        content = np.frombuffer(path.read_bytes(), np.uint8)
        refused = 0
        for _ in range(12):
            damaged = content.copy()
            damaged[generator.integers(0, len(content), 40)] = generator.integers(0, 256, 40)
            path.write_bytes(damaged.tobytes())
            try:
                read_polygons(path)
            except VectorError:
                refused += 1
        assert refused
