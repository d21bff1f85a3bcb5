"""What the header of a raster says."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from batch_scenes import write_scene

from vfm_isrefiner.geo.described import describe
from vfm_isrefiner.geo.raster import RasterError, read_raster
from vfm_isrefiner.geo.rgb_file import write_rgb

PLACE = Affine(0.3, 0, 392_000, 0, -0.3, 5_820_000)


def test_a_written_picture(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 20, 30), np.uint8)
    write_rgb(tmp_path / "a.tif", image, PLACE, 32633)
    assert (read_raster(tmp_path / "a.tif").image == image).all()
    told = describe(tmp_path / "a.tif")
    assert (told.bands, told.dtype, told.names, told.colours) == (3, "uint8", ("red", "green", "blue"), (1, 2, 3))
    assert (told.grid.size, told.grid.transform, told.grid.crs.to_epsg()) == ((20, 30), PLACE, 32633)
    assert told.grid.gsd == pytest.approx(0.3)
    assert told.default_bands is None
    assert not told.overviews


def test_bands_have_names(tmp_path):
    profile = {"height": 64, "width": 64, "count": 3, "dtype": "uint16", "crs": "EPSG:32633", "transform": PLACE}
    with rasterio.open(tmp_path / "b.tif", "w", driver="GTiff", **profile) as file:
        file.write(np.ones((3, 64, 64), np.uint16))
        file.descriptions = ("near infrared", None, "red edge")
        file.build_overviews([2])
    told = describe(tmp_path / "b.tif")
    assert told.names == ("near infrared", "band 2", "red edge")
    assert told.overviews


def test_two_bands_need_a_choice(tmp_path):
    profile = {"height": 8, "width": 8, "count": 2, "dtype": "uint8", "crs": "EPSG:32633", "transform": PLACE}
    with rasterio.open(tmp_path / "c.tif", "w", driver="GTiff", **profile) as file:
        file.write(np.ones((2, 8, 8), np.uint8))
    assert describe(tmp_path / "c.tif").default_bands == (1, 1, 2)


def test_a_missing_file(tmp_path):
    write_scene(tmp_path / "scene.tif")
    with pytest.raises(RasterError, match="There is no file"):
        describe(tmp_path / "missing.tif")
