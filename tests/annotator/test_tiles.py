"""Tiles: every pixel in its place, at every level."""

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from vfm_isrefiner.annotator.readers import Kept
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.tiles import TILE, levels_of, probability_png, tile_png
from vfm_isrefiner.geo.described import describe
from vfm_isrefiner.geo.raster import RasterError, read_raster

SIZE = (300, 700)


@pytest.fixture
def large(tmp_path):
    """(300, 700) of noise in four bands of 16 bits, the last 40 columns without data."""
    values = np.random.default_rng(1).integers(1, 60_000, (4, *SIZE), np.uint16)
    values[:, :, -40:] = 0
    profile = {"height": 300, "width": 700, "count": 4, "dtype": "uint16", "nodata": 0}
    profile |= {"crs": "EPSG:32733", "transform": Affine(1, 0, 5, 0, -1, 9), "tiled": True, "blockxsize": 64, "blockysize": 64}
    with rasterio.open(tmp_path / "large.tif", "w", driver="GTiff", **profile) as file:
        file.write(values)
    one = AnnotatedScene("0", tmp_path / "large.tif", tmp_path / "large.gpkg", tmp_path)
    yield one
    one.close()


def decoded(content):
    """(H, W, 4) red, green, blue, alpha."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]


@pytest.mark.parametrize(
    ("size", "levels"), [((1, 1), 1), ((256, 256), 1), ((257, 10), 2), ((300, 700), 3), ((30_000, 20_000), 8)]
)
def test_levels(size, levels):
    assert levels_of(size) == levels
    assert max(size) <= TILE << (levels - 1)


@pytest.mark.parametrize(("bands", "stretch"), [((1, 2, 3), "percentile"), ((4, 1, 1), "minmax")])
def test_the_last_level_has_every_pixel(large, bands, stretch):
    expected = read_raster(large.path, bands, stretch)
    whole = np.zeros((512, 768, 4), np.uint8)
    for y in range(2):
        for x in range(3):
            whole[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] = decoded(tile_png(large, 2, x, y, bands, stretch))
    height, width = SIZE
    assert (whole[:height, :width, :3] == np.moveaxis(expected.image, 0, -1)).all()
    assert ((whole[..., 3] == 0)[:height, :width] == expected.nodata).all()
    assert not whole[height:].any()
    assert not whole[:, width:].any()


def test_the_first_level_has_the_whole_scene(large):
    tile = decoded(tile_png(large, 0, 0, 0, (1, 2, 3), "percentile"))
    assert (tile[:75, :165, 3] == 255).all()
    assert not tile[75:].any()
    assert not tile[:, 175:].any()
    assert not tile[:, 166:, 3].any()  # no data
    whole = read_raster(large.path, (1, 2, 3), "percentile").image
    assert abs(tile[:75, :160, 0].mean() - whole[0, :, :640].mean()) < 2


def test_tiles_are_kept(large, monkeypatch):
    first = tile_png(large, 2, 1, 0, (1, 2, 3), "percentile")
    monkeypatch.setattr(large.readers, "borrow", None)
    assert tile_png(large, 2, 1, 0, [1, 2, 3], "percentile") == first
    with pytest.raises(TypeError):
        tile_png(large, 2, 1, 0, [3, 2, 1], "percentile")


def test_bytes_are_bounded():
    kept = Kept(10)
    for number in range(5):
        kept.put(number, b"four")
        kept.get(0)
    kept.put("large", b"more than ten")
    assert [kept.get(number) for number in range(5)] == [b"four", None, None, None, b"four"]
    assert (kept.get("large"), kept.bytes) == (None, 8)


def test_a_large_scene_without_overviews_is_told(large, monkeypatch):
    assert large.advice is None
    monkeypatch.setattr("vfm_isrefiner.annotator.scene.LARGE", 699)
    assert "gdaladdo -r average" in large.advice
    with rasterio.open(large.path, "r+") as file:
        file.build_overviews([2, 4])
    large.described = describe(large.path)
    assert large.advice is None


def test_what_is_no_tile(large):
    for z, x, y in ((3, 0, 0), (2, 3, 0), (2, 0, 2), (0, 1, 0), (-1, 0, 0), (2, -1, 0)):
        with pytest.raises(Refusal, match="There is no tile"):
            tile_png(large, z, x, y, None, "percentile")
    with pytest.raises(RasterError, match="8-bit files only"):
        tile_png(large, 0, 0, 0, None, "none")


def test_a_tile_is_not_sent_twice(client):
    path = "/api/scenes/0/tiles/0/0/0.png"
    status, headers, content = client.raw("GET", path)
    assert (status, headers["content-type"]) == (200, "image/png")
    assert decoded(content).shape == (TILE, TILE, 4)
    again = client.raw("GET", path, headers={"If-None-Match": headers["etag"]})
    assert (again[0], again[2]) == (304, b"")
    assert client.raw("GET", f"{path}?bands=3,2,1")[1]["etag"] != headers["etag"]
    assert client.raw("GET", f"{path}?bands=3,2,1", headers={"If-None-Match": headers["etag"]})[0] == 200


def test_probabilities_are_told_apart():
    shown = decoded(probability_png(np.array([[0, 0.02, 0.5, 1]], np.float32)))[0]
    assert shown[0, 3] == 0
    assert shown[1, 3] < shown[2, 3] == shown[3, 3]
    assert shown[3, 0] > shown[3, 2]  # red
    assert shown[1, 2] > shown[1, 0]  # blue
