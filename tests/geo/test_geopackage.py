"""A layer of a GeoPackage, written by SQLite alone."""

from contextlib import closing

import numpy as np
import pyogrio
import pytest
import shapely
from pyogrio.raw import read
from rasterio.crs import CRS
from vector_files import write_vectors

from vfm_isrefiner.geo.geopackage import (
    blob_of,
    box_of_blob,
    connect,
    create_layer,
    disconnect,
    geometry_of,
    layer_crs,
    log_ahead,
    settle,
)
from vfm_isrefiner.geo.vector import VectorError

SQUARE = shapely.box(1, 2, 4, 8)
RING = shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(3, 3), (3, 5), (5, 5)]])
COLUMNS = {"name": np.array([], object), "size": np.array([], np.float64), "when": np.array([], "datetime64[ms]")}


@pytest.mark.parametrize("geometry", [SQUARE, RING, shapely.MultiPolygon([SQUARE, shapely.box(20, 0, 21, 1)])])
def test_geometries_there_and_back(geometry):
    blob = blob_of(geometry, 32733)
    back = geometry_of(blob)
    assert back.geom_type == "MultiPolygon"
    assert back.equals_exact(geometry if geometry.geom_type == "MultiPolygon" else shapely.MultiPolygon([geometry]), 0)
    left, bottom, right, top = geometry.bounds
    assert box_of_blob(blob) == (left, right, bottom, top)
    assert blob[:4] == b"GP\x00\x03"
    assert int.from_bytes(blob[4:8], "little") == 32733


def test_geometries_of_gdal_are_read(tmp_path):
    path = write_vectors(tmp_path / "a.gpkg", [RING, None], kind="Polygon")
    with closing(connect(path)) as file:
        (first,), (second,) = file.execute("SELECT geom FROM a").fetchall()
    assert geometry_of(first).equals_exact(RING, 0)
    assert second is None
    assert np.isnan(box_of_blob(second)).all()


@pytest.mark.parametrize("blob", [b"", b"GP", b"GP\x00\x03" + b"\x00" * 60, b"GP\x00\x0f" + b"\x00" * 90])
def test_a_damaged_geometry_is_told(blob):
    with pytest.raises(VectorError, match="damaged"):
        geometry_of(blob)


@pytest.mark.parametrize("crs", ["EPSG:32733", "EPSG:4326", None])
def test_rows_of_sqlite_are_read_by_gdal(tmp_path, crs):
    path = tmp_path / "new" / "b.gpkg"
    path.parent.mkdir()
    system = None if crs is None else CRS.from_user_input(crs)
    create_layer(path, "things", COLUMNS, system)
    assert layer_crs(path, "things") == system
    with closing(connect(path)) as file:
        log_ahead(file)
        (number,) = file.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
        row = (blob_of(RING, number), "é", 0.1, "2024-02-29T12:00:00.000Z")
        file.execute("INSERT INTO things (geom, name, size, [when]) VALUES (?, ?, ?, ?)", row)
        settle(file)
        disconnect(file)
    assert [one.name for one in path.parent.iterdir()] == ["b.gpkg"]
    meta, _, shapes, fields = read(path)
    assert shapely.from_wkb(shapes[0]).equals(RING)
    assert dict(zip(meta["fields"], (values[0] for values in fields), strict=True)) == {
        "name": "é",
        "size": 0.1,
        "when": np.datetime64("2024-02-29T12:00:00.000"),
    }
    assert pyogrio.read_info(path)["features"] == 1


def test_what_is_no_geopackage(tmp_path):
    (tmp_path / "text.gpkg").write_text("text")
    with pytest.raises(VectorError, match="is no GeoPackage"):
        connect(tmp_path / "text.gpkg")
    with pytest.raises(VectorError, match="no readable layer"):
        layer_crs(tmp_path / "text.gpkg", "things")
