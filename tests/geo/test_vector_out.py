"""Polygons written and read back by the library of the format."""

import json
import sqlite3

import numpy as np
import pytest
import shapely
from pyogrio.raw import read
from rasterio.crs import CRS

from vfm_isrefiner.geo.vector_out import field_names, write_polygons

UTM = CRS.from_epsg(32617)
BOX = shapely.box(500_000, 4_000_000, 500_010, 4_000_020)
RING = BOX.difference(shapely.box(500_003, 4_000_003, 500_006, 4_000_006))
TWO = shapely.MultiPolygon([RING, shapely.box(500_020, 4_000_000, 500_024, 4_000_004)])
SHAPES = [RING, TWO, None, shapely.Polygon()]
COLUMNS = {
    "object": np.array([3, 1, 2, 9]),
    "name": np.array(["dächer", None, "a", 7], dtype=object),
    "score": np.array([0.5, 1.0, np.nan, 0.25]),
    "area_of_the_plan": np.arange(4.0),
    "area_of_the_plot": np.arange(4.0),
    "day": np.array(["2026-01-02", "NaT", "2026-01-03", "2026-01-04"], dtype="datetime64[D]"),
}


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".shp"])
@pytest.mark.parametrize("crs", [UTM, None])
def test_three_formats(tmp_path, ending, crs):
    path = write_polygons(tmp_path / f"new folder/a{ending}", SHAPES, COLUMNS, crs)
    write_polygons(path, SHAPES, COLUMNS, crs)  # again, over the first
    meta, _, binary, fields = read(path)
    if crs is not None:
        assert CRS.from_user_input(meta["crs"]) == UTM
    elif ending != ".geojson":  # which is read as degrees where it names nothing
        assert meta["crs"] is None or "Undefined" in meta["crs"]
    found = shapely.from_wkb(binary)
    assert [
        None if one is None else shapely.normalize(one).equals(shapely.normalize(of))
        for one, of in zip(found, SHAPES, strict=True)
    ] == [
        True,
        True,
        None,
        None,
    ]
    values = dict(zip(meta["fields"], fields, strict=True))
    assert values["object"].tolist() == [3, 1, 2, 9]
    assert values["name"].tolist() == ["dächer", None, "a", "7"]
    np.testing.assert_array_equal(values["score"], COLUMNS["score"])
    assert str(values["day"][0]).startswith("2026-01-02")
    names = ["area_of_th", "area_of__1"] if ending == ".shp" else ["area_of_the_plan", "area_of_the_plot"]
    assert [name for name in meta["fields"] if name.startswith("area")] == names
    kept = {f"a{one}" for one in (".shp", ".shx", ".dbf", ".cpg", ".prj")} if ending == ".shp" else {path.name}
    assert {one.name for one in path.parent.iterdir()} == kept - (set() if crs else {"a.prj"})


def test_degrees_keep_a_tenth_of_a_millimetre_in_geojson(tmp_path):
    box = shapely.box(15.1234567891, -36.9876543219, 15.2, -36.9)
    path = write_polygons(tmp_path / "a.geojson", [box], {}, CRS.from_epsg(4326))
    ring = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0]
    assert np.abs(np.array(ring).min(0) - [15.1234567891, -36.9876543219]).max() < 1e-9


def test_a_geopackage_is_one_layer_of_a_name(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [RING], {"FID": np.array([7]), "geom": np.array([8])}, UTM, layer="objects")
    with sqlite3.connect(path) as base:
        assert base.execute("select table_name, data_type from gpkg_contents").fetchall() == [("objects", "features")]
        assert base.execute("select FID_1, geom_1 from objects").fetchall() == [(7, 8)]
    base.close()


def test_no_features_is_a_file_too(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [], {"score": np.zeros(0)}, UTM)
    assert len(read(path)[2]) == 0


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    with pytest.raises(ValueError, match=r"suffix '.kml'; polygons are written as .gpkg, .geojson, .shp"):
        write_polygons(tmp_path / "a.kml", [], {}, UTM)
    with pytest.raises(ValueError, match="columns of 1 values were expected"):
        write_polygons(tmp_path / "a.gpkg", [BOX], {"score": np.zeros(2)}, UTM)
    path = write_polygons(tmp_path / "a.gpkg", [BOX], {}, UTM)
    before = path.read_bytes()
    with pytest.raises(OSError, match=r"a.gpkg was not written: .*nothing half-written is left"):
        write_polygons(path, [BOX], {"wave": np.zeros(1, complex)}, UTM)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"b\.gpkg was not written"):
        write_polygons(tmp_path / "file/b.gpkg", [BOX], {}, UTM)
    assert path.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"a.gpkg", "file"}


def test_names_are_short_and_unlike():
    assert field_names(["straße_des_ortes", "STRASSE", "fid", "a", "A"], 10) == ["straße_de", "STRASSE", "fid_1", "a", "A_1"]
