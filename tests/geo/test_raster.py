import math
from contextlib import nullcontext

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp

from vfm_isrefiner.geo.raster import RasterError, read_raster, read_size, read_values

UTM = {"crs": "EPSG:32617", "transform": Affine(0.3, 0, 500_000, 0, -0.3, 4_000_000)}


@pytest.fixture
def written(tmp_path):
    def write(values, mask=None, colours=None, **profile):
        path = tmp_path / "a.tif"
        bands, height, width = values.shape
        quiet = nullcontext() if "crs" in profile else pytest.warns(rasterio.errors.NotGeoreferencedWarning)
        shape = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": values.dtype}
        with quiet, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **shape, **profile) as file:
            file.write(values)
            if colours:
                file.colorinterp = colours
            if mask is not None:
                file.write_mask(mask)
        return path

    return write


def ramp(bands, dtype, top):
    return np.linspace(0, top, bands * 32 * 40).reshape(bands, 32, 40).astype(dtype)


def test_eight_bit_is_taken_as_it_is(written):
    values = ramp(3, np.uint8, 255)
    raster = read_raster(written(values, **UTM))
    assert np.array_equal(raster.image, values)
    assert not raster.nodata.any()
    assert raster.gsd == pytest.approx(0.3)


def test_one_band_is_given_three_times(written):
    values = ramp(1, np.uint8, 255)
    assert np.array_equal(read_raster(written(values, **UTM)).image, values.repeat(3, 0))


def test_bands_are_chosen_by_colour_or_number(written):
    values = ramp(4, np.uint8, 255)
    colours = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined]
    path = written(values, colours=colours, **UTM)
    assert np.array_equal(read_raster(path).image, values[[2, 1, 0]])
    assert np.array_equal(read_raster(path, bands=(4, 4, 1)).image, values[[3, 3, 0]])


def test_more_bands_without_colours_give_the_first_three(written):
    values = ramp(5, np.uint16, 60000)
    first = read_raster(written(values, photometric="minisblack", **UTM), stretch="minmax")
    assert [band[0, 0] for band in first.image] == [0, 0, 0]
    assert [band[-1, -1] for band in first.image] == [255, 255, 255]


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_stretches(written, dtype):
    values = ramp(3, dtype, 30000)
    values[0, 0, 0] = 32000  # one outlier
    path = written(values, **UTM)
    minmax, percentile = (read_raster(path, stretch=stretch).image for stretch in ("minmax", "percentile"))
    assert np.array_equal(read_raster(path).image, percentile)
    assert minmax[0].max() == percentile[0].max() == 255
    assert minmax[0, -1, -1] < 90 < 250 < percentile[0, -1, -1]
    low, high = np.percentile(values[1].astype(float), (10, 90))
    expected = np.clip((values[1].astype(float) - low) * 255 / (high - low), 0, 255)
    got = read_raster(path, stretch="percentile", percentiles=(10, 90)).image[1]
    assert np.abs(got - expected).max() <= 0.51


def test_constant_band_has_nothing_to_stretch(written):
    assert read_raster(written(np.full((3, 8, 8), 700, np.uint16), **UTM)).image.max() == 0


def test_nodata_of_value_mask_alpha_and_nan(written):
    values = ramp(3, np.uint16, 60000) + 1
    values[:, :5] = 0
    raster = read_raster(written(values, nodata=0, **UTM))
    assert raster.nodata[:5].all()
    assert not raster.nodata[5:].any()
    assert raster.image[:, :5].max() == 0

    mask = np.full((32, 40), 255, np.uint8)
    mask[:, :7] = 0
    raster = read_raster(written(ramp(3, np.uint8, 255), mask=mask, **UTM))
    assert np.array_equal(raster.nodata, mask == 0)

    rgba = np.concatenate([ramp(3, np.uint8, 255), mask[None]])
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    raster = read_raster(written(rgba, colours=colours, **UTM))
    assert np.array_equal(raster.nodata, mask == 0)

    values = ramp(3, np.float32, 1)
    values[1, 3, 4] = np.nan
    raster = read_raster(written(values, **UTM))
    assert raster.nodata.sum() == 1
    assert raster.nodata[3, 4]

    assert read_raster(written(np.zeros((3, 8, 8), np.uint16), nodata=0, **UTM)).nodata.all()


def test_ground_sampling_distance(written):
    def gsd(**place):
        return read_raster(written(np.zeros((1, 20, 20), np.uint8), **place)).gsd

    turned = Affine.translation(5e5, 4e6) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    assert gsd(crs="EPSG:32617", transform=turned) == pytest.approx(0.5)
    feet = Affine(1, 0, 6e6, 0, -1, 2e6)
    assert gsd(crs="EPSG:2229", transform=feet) == pytest.approx(0.3048, rel=1e-4)
    degrees = Affine(1e-5, 0, 10, 0, -1e-5, 60 + 1e-4)
    assert gsd(crs="EPSG:4326", transform=degrees) == pytest.approx(1.1132 * math.sqrt(0.5), rel=1e-3)
    latitude = 60.0
    y = 6_378_137 * math.asinh(math.tan(math.radians(latitude)))
    assert gsd(crs="EPSG:3857", transform=Affine(1, 0, 0, 0, -1, y + 10)) == pytest.approx(0.5, rel=1e-3)
    assert math.isnan(gsd())


def test_plain_pictures_are_read_quietly(tmp_path):
    Image.fromarray(ramp(1, np.uint8, 255)[0]).save(tmp_path / "a.png")
    raster = read_raster(tmp_path / "a.png")
    assert raster.image.shape == (3, 32, 40)
    assert math.isnan(raster.gsd)


def test_values_and_size(written):
    values = ramp(2, np.int32, 70000)
    path = written(values, **UTM)
    assert np.array_equal(read_values(path), values)
    assert read_size(path) == (32, 40)


def test_faults(written, tmp_path):
    path = written(ramp(2, np.uint16, 60000), **UTM)
    for message, call in {
        r"There is no file .*gone\.tif": lambda: read_raster(tmp_path / "gone.tif"),
        r"has 2 bands, counted from 1; bands=\[1, 2, 3\]": lambda: read_raster(path, bands=(1, 2, 3)),
        r"has 2 bands, counted from 1; bands=\[0, 1, 2\]": lambda: read_raster(path, bands=(0, 1, 2)),
        "has 2 bands besides alpha; one or at least three": lambda: read_raster(path),
        "is uint16, and stretch 'none' takes 8-bit": lambda: read_raster(path, bands=(1, 1, 2), stretch="none"),
        "Unknown stretch 'gamma'. Choose one of auto, none": lambda: read_raster(path, stretch="gamma"),
    }.items():
        with pytest.raises(RasterError, match=message):
            call()
    with pytest.raises(RasterError, match="holds complex64 values; integers or floats"):
        read_raster(written(ramp(1, np.complex64, 1), **UTM))
    whole = written(ramp(3, np.uint8, 255), **UTM).read_bytes()
    for length, read in ((3000, read_raster), (3000, read_values), (6, read_raster), (6, read_values), (6, read_size)):
        path.write_bytes(whole[:length])
        with pytest.raises(RasterError, match=r"a\.tif cannot be read as a raster"):
            read(path)


# file -> size, metres per pixel, has pixels without data
EXAMPLES = {
    "OSBS_029.tif": ((400, 400), 0.1, True),
    "RGB.byte.tif": ((718, 791), 300.04, True),
    "RGBA.uint16.tif": ((411, 634), 1.3797, True),
    "australia.tif": ((708, 751), 0.018, False),
    "cogeo.tif": ((1024, 1024), 0.4727, False),
    "sample_geotiff.tif": ((900, 900), 0.5, False),
    "sample_geotiff_custom_proj.tif": ((512, 512), 30.0, False),
    "world.byte.tif": ((1200, 2880), 13915.0, False),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_files(shared, name):
    path = shared / "data" / "geotiff" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    size, gsd, holes = EXAMPLES[name]
    raster = read_raster(path)
    assert raster.image.shape == (3, *size)
    assert raster.gsd == pytest.approx(gsd, rel=1e-3)
    assert raster.nodata.any() == holes


def test_corrupt_example(shared):
    path = shared / "data" / "geotiff" / "corrupt.tif"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with pytest.raises(RasterError, match=r"corrupt\.tif cannot be read as a raster"):
        read_raster(path)
