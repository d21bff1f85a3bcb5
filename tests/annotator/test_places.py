"""Where the exported polygons lie, for rasters of every kind; expected corners are worked out here, by hand."""

import json
import math
import zipfile
from io import BytesIO

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from annotator.client import Failed
from annotator.served import Serve
from batch_scenes import GRIDS, HOLE, OBJECTS, SIZE, SameGrey, truth, write_scene
from pyogrio.raw import read
from rasterio.crs import CRS

from vfm_isrefiner.geo.opening import quiet

BOX, CLICK = OBJECTS[60], (8, 6)  # rows and columns of the object with a hole
SOUTH = (Affine(0.5, 0, 334_000, 0, -0.5, 6_250_000), CRS.from_epsg(32756))  # Sydney, in UTM 56 south


def ground(grid, x, y):
    """The corner (column, row) on the ground, by the six numbers alone."""
    a, b, c, d, e, f = tuple(grid[0])[:6]
    return a * x + b * y + c, d * x + e * y + f


def corners(grid):
    """The outer ring and the hole of the object, on the ground."""
    rings = []
    for top, bottom, left, right in (BOX, HOLE):
        rings.append([ground(grid, x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))])
    return shapely.Polygon(rings[0], [rings[1]])


def write_bands(path, grid, values, **profile):
    """(bands, H, W) as a GeoTIFF."""
    transform, crs = grid
    bands, height, width = values.shape
    more = {"height": height, "width": width, "count": bands, "dtype": values.dtype, "crs": crs, "transform": transform}
    with quiet(Warning), rasterio.open(path, "w", driver="GTiff", **more, **profile) as file:
        file.write(values)


def image(dtype=np.uint8, factor=1):
    found = np.full(SIZE, 10, dtype)
    for value in OBJECTS:
        found[truth(value)] = value
    return found * dtype(factor)


def one_band(path, grid):
    write_bands(path, grid, image()[None])


def sixteen_bits(path, grid):
    write_bands(path, grid, np.stack([image(np.uint16, 37)] * 3))


def floats(path, grid):
    write_bands(path, grid, np.stack([image(np.float32, 0.001)] * 3))


def twelve_bands(path, grid):
    noise = np.random.default_rng(0).integers(0, 4000, (9, *SIZE), np.uint16)
    write_bands(path, grid, np.concatenate([np.stack([image(np.uint16, 37)] * 3), noise]))


def two_bands(path, grid):
    write_bands(path, grid, np.stack([image()] * 2))


def no_data_border(path, grid):
    values = np.stack([image()] * 3)
    values[:, :3] = values[:, -5:] = values[:, :, :2] = values[:, :, -20:] = 0
    write_bands(path, grid, values, nodata=0)


def tiled_with_overviews(path, grid):
    write_bands(path, grid, np.stack([image()] * 3), tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])


CASES = {
    **{name: (GRIDS[name], lambda path, grid: write_bands(path, grid, np.stack([image()] * 3))) for name in GRIDS},
    "south": (SOUTH, lambda path, grid: write_bands(path, grid, np.stack([image()] * 3))),
    "one_band": (GRIDS["utm"], one_band),
    "two_bands": (GRIDS["utm"], two_bands),
    "sixteen_bits": (GRIDS["rotated"], sixteen_bits),
    "floats": (SOUTH, floats),
    "twelve_bands": (GRIDS["degrees"], twelve_bands),
    "no_data_border": (GRIDS["utm"], no_data_border),
    "tiled": (GRIDS["rotated"], tiled_with_overviews),
}


@pytest.fixture(params=CASES, scope="module")
def case(request, tmp_path_factory):
    """A server on a raster of one kind with its first object accepted; the object; the grid; the folder of its files."""
    grid, write = CASES[request.param]
    folder = tmp_path_factory.mktemp("case")
    write(folder / "case.tif", grid)
    serve = Serve(folder, SameGrey())
    client = serve(grids=("case",))
    ann = client.begin()
    ann.click(*CLICK)
    yield client, ann.accept("roof"), grid, folder
    serve.stop()


def half_a_pixel(grid):
    """In units of the ground."""
    return 0.5 * math.sqrt(abs(grid[0].determinant))


def near(found, expected, grid):
    """Do the outlines agree to half a pixel? To a thousandth of that, in fact."""
    assert shapely.hausdorff_distance(found.boundary, expected.boundary) < 1e-3 * half_a_pixel(grid)
    assert found.symmetric_difference(expected).area < 1e-3 * expected.area
    return True


@pytest.mark.parametrize("format", ["gpkg", "geojson", "shp"])
def test_exported_polygons(case, tmp_path, format):
    client, one, grid, _ = case
    name, content = client.export(format)
    file = tmp_path / "out" / name
    file.parent.mkdir()
    file.write_bytes(content)
    if format == "shp":
        zipfile.ZipFile(file).extractall(file.parent)
        file = next(file.parent.glob("*.shp"))
    meta, _, shapes, fields = read(file)
    columns = dict(zip(meta["fields"], fields, strict=True))
    (shape,) = shapely.from_wkb(shapes)
    assert near(shape, corners(grid), grid)
    assert columns["label"].tolist() == ["roof"]
    if grid[1] is None:
        assert columns["area_m2"][0] is None or np.isnan(columns["area_m2"][0])
        assert one["area_m2"] is None
    else:
        assert CRS.from_user_input(meta["crs"]).to_epsg() == grid[1].to_epsg()
        assert columns["area_m2"][0] == pytest.approx(one["area_m2"])


def test_exported_ids(case, tmp_path):
    client, _, grid, _ = case
    _, content = client.export("tif")
    zipfile.ZipFile(BytesIO(content)).extractall(tmp_path / "out")
    with quiet(Warning), rasterio.open(next((tmp_path / "out").glob("*.tif"))) as file:
        assert (file.read(1) == truth(60)).all()
        assert file.transform == grid[0]
        assert file.crs == grid[1]
    assert json.loads(client.export("coco")[1])["annotations"][0]["bbox"] == [BOX[2], BOX[0], BOX[3] - BOX[2], BOX[1] - BOX[0]]


def test_the_layer_on_the_disk(case):
    _, one, grid, folder = case
    _, _, shapes, _ = read(folder / "case.gpkg")
    (shape,) = shapely.from_wkb(shapes)
    assert near(shape, corners(grid), grid)
    rings = [np.array(ring) for ring in one["polygon"]["coordinates"][0]]
    assert rings[0].min(0).tolist() == [BOX[2] - 0.5, BOX[0] - 0.5]
    assert rings[0].max(0).tolist() == [BOX[3] - 0.5, BOX[1] - 0.5]
    assert rings[1].min(0).tolist() == [HOLE[2] - 0.5, HOLE[0] - 0.5]


def test_what_is_told_of_the_place(case):
    client, _, grid, _ = case
    told = client.get("/api/scenes/0")
    if grid[1] is None:
        assert (told["crs"], told["geotransform"], told["gsd_m"]) == (None, None, None)
        return
    assert told["geotransform"] == list(grid[0])[:6]
    assert told["crs"] == f"EPSG:{grid[1].to_epsg()}"
    assert told["gsd_m"] == pytest.approx(0.5 if grid[1].is_projected else 1.0, rel=0.15)


def test_no_data_belongs_to_nothing(serve, tmp_path):
    no_data_border(tmp_path / "case.tif", GRIDS["utm"])
    client = serve(grids=("case",))
    ann = client.begin()
    before = ann.click(72, 45)
    for x, y in ((0, 0), (95, 63), (50, 2.4), (76, 40)):
        with pytest.raises(Failed, match="no image data") as failed:
            ann.click(x, y)
        assert failed.value.status == 422
    assert client.get(f"/api/sessions/{ann.key}") == before
    assert before["area_px"] == truth(150)[:, :76].sum()  # the object goes on under the border
    assert ann.click(50, 2.6)["clicks"][1:] == [{"x": 50, "y": pytest.approx(2.6), "positive": True}]


def test_sixteen_bits_are_stretched_alike(serve, tmp_path):
    write_scene(tmp_path / "case.tif", dtype=np.uint16)
    told = serve(grids=("case",)).get("/api/scenes/0")
    assert (told["dtype"], told["stretches"], told["default_stretch"]) == ("uint16", ["percentile", "minmax"], "percentile")
