import math
import pickle

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.enums import ColorInterp, Resampling

from vfm_isrefiner.geo import opening, stretch
from vfm_isrefiner.geo.ground import read_grid
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.geo.raster import read_raster, read_values
from vfm_isrefiner.geo.windows import RasterWindows

GRID = {"driver": "GTiff", "crs": "EPSG:32617", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 4e6)}


def write(path, values, colours=None, **profile):
    bands, height, width = values.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", **GRID, **shape, **profile) as file:
        file.write(values)
        if colours:
            file.colorinterp = colours
    return path


def noise(bands, dtype, height=52, width=44):
    values = np.random.default_rng(bands).integers(1, 30_000, (bands, height, width)) % (256 if dtype == np.uint8 else 30_000)
    return values.astype(dtype)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """8 bit; 16 bit with a no-data value; floats with NaN; RGBA; a palette; a PNG."""
    folder = tmp_path_factory.mktemp("windows")
    hole, nan, alpha = noise(3, np.uint16), noise(4, np.float32), noise(4, np.uint8)
    hole[:, 10:20, 5:30], nan[:, 3:9, 3:9], alpha[3] = 0, np.nan, np.where(alpha[3] > 60, 255, 0)
    rgba = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    palette = folder / "palette.tif"
    with rasterio.open(palette, "w", **GRID, count=1, height=52, width=44, dtype="uint8") as file:
        file.write(noise(1, np.uint8) % 4)
        file.write_colormap(1, {0: (9, 8, 7, 255), 1: (250, 0, 0, 255), 2: (0, 250, 0, 255), 3: (0, 0, 250, 255)})
    Image.fromarray(noise(3, np.uint8).transpose(1, 2, 0)).save(folder / "plain.png")
    return {
        "eight": write(folder / "eight.tif", noise(3, np.uint8)),
        "hole": write(folder / "hole.tif", hole, nodata=0, tiled=True, blockxsize=16, blockysize=16, compress="deflate"),
        "nan": write(folder / "nan.tif", nan),
        "alpha": write(folder / "alpha.tif", alpha, rgba),
        "palette": palette,
        "png": folder / "plain.png",
    }


@pytest.mark.parametrize("kind", ["eight", "hole", "nan", "alpha", "palette", "png"])
@settings(max_examples=12, deadline=None)
@given(top=st.integers(0, 51), left=st.integers(0, 43), height=st.integers(1, 52), width=st.integers(1, 44))
def test_windows_are_the_whole_picture_pixel_for_pixel(files, kind, top, left, height, width):
    whole = read_raster(files[kind])
    window = slice(top, min(top + height, 52)), slice(left, min(left + width, 44))
    with RasterWindows(files[kind]) as windows:
        assert windows.size == (52, 44)
        part = windows.read(*window)
    assert np.array_equal(part.image, whole.image[:, *window])
    assert np.array_equal(part.nodata, whole.nodata[window])
    assert part.gsd == whole.gsd or (math.isnan(part.gsd) and math.isnan(whole.gsd))


def test_a_palette_gives_its_colours(files):
    index = read_values(files["palette"])[0]
    image = read_raster(files["palette"]).image
    assert image[:, index == 0].T.tolist() == [[9, 8, 7]] * int((index == 0).sum())
    assert np.array_equal(image[0] == 250, index == 1)
    assert np.array_equal(read_raster(files["palette"], bands=(1, 1, 1)).image[2], index)


def test_bands_in_any_order(files):
    with RasterWindows(files["eight"], bands=(3, 1, 3)) as windows:
        assert np.array_equal(windows.read().image, noise(3, np.uint8)[[2, 0, 2]])


def test_a_coarser_scale_is_the_mean_of_what_has_data(files):
    with RasterWindows(files["eight"]) as windows:
        coarse = windows.read(slice(8, 40), slice(4, 36), scale=0.25)
        assert coarse.image.shape == (3, 8, 8)
        assert coarse.gsd == pytest.approx(2.0)
    means = noise(3, np.uint8)[:, 8:40, 4:36].reshape(3, 8, 4, 8, 4).mean((2, 4))
    assert np.abs(coarse.image - means).max() <= 1
    with RasterWindows(files["hole"], stretch="minmax") as windows:
        coarse, limits = windows.read(scale=0.5), windows._limits
    values = read_values(files["hole"]).astype(float)
    values[values == 0] = np.nan
    red = np.nanmean(values[0, 20:22, 4:6])
    assert coarse.image[0, 10, 2] == pytest.approx((red - limits.low[0]) * 255 / (limits.high[0] - limits.low[0]), abs=1)
    assert coarse.nodata[6:9, 4:14].all()
    assert not coarse.nodata[11:].any()


def test_overviews_are_used(tmp_path):
    path = write(tmp_path / "a.tif", noise(3, np.uint8, 64, 64), tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([4], Resampling.nearest)
    nearest = read_values(path)[:, 2::4, 2::4]
    with rasterio.open(path) as file:
        nearest = file.read(out_shape=(3, 16, 16))
    with RasterWindows(path) as windows:
        assert np.array_equal(windows.read(scale=0.25).image, nearest)  # means would differ


def test_large_images_are_sampled(files, monkeypatch):
    exact = RasterWindows(files["hole"])._limits
    monkeypatch.setattr(stretch, "SAMPLED_PIXELS", 52 * 44 // 4)
    seen = []
    original = np.percentile
    monkeypatch.setattr(stretch.np, "percentile", lambda values, q: (seen.append(values.size), original(values, q))[1])
    sampled = RasterWindows(files["hole"])._limits
    assert max(seen) <= 52 * 44 // 4
    assert sampled != exact
    assert np.allclose(sampled.high, exact.high, rtol=0.1)


def test_the_stretch_is_found_once_and_kept(files, tmp_path, monkeypatch):
    folder, calls = tmp_path / "new" / "stretch", []
    original = stretch.find_limits
    monkeypatch.setattr(stretch, "find_limits", lambda *args: (calls.append(args), original(*args))[1])
    fresh = read_raster(files["nan"])
    for count in (1, 1):
        kept = read_raster(files["nan"], stretch_folder=folder)
        assert np.array_equal(kept.image, fresh.image)
        assert len(list(folder.iterdir())) == count
    assert len(calls) == 2  # without a folder, and the first time with one
    limits = [RasterWindows(files["nan"], stretch_folder=where)._limits for where in (None, folder)]
    assert limits[0] == limits[1]
    read_raster(files["nan"], bands=(1, 2, 1), stretch_folder=folder)
    read_raster(files["nan"], percentiles=(1, 99), stretch_folder=folder)
    assert len(list(folder.iterdir())) == 3
    damaged = sorted(folder.iterdir())
    for number, file in enumerate(damaged):
        file.write_bytes((b"{", b"[]", file.read_bytes().replace(b'"low": [', b'"low": [Infinity, '))[number])
    assert np.array_equal(read_raster(files["nan"], stretch_folder=folder).image, fresh.image)
    assert not [path for path in files["nan"].parent.iterdir() if path.suffix == ".json"]


def test_a_changed_image_is_stretched_anew(tmp_path):
    path, folder = tmp_path / "a.tif", tmp_path / "stretch"
    first = read_raster(write(path, noise(3, np.uint16)), stretch_folder=folder).image
    second = read_raster(write(path, noise(3, np.uint16) // 2 + 9000), stretch_folder=folder).image
    assert len(list(folder.iterdir())) == 2
    assert np.array_equal(second, read_raster(path).image)
    assert np.abs(first.astype(int) - second).max() <= 2  # else the old limits were used


def test_windows_travel_into_another_process(files):
    windows = RasterWindows(files["hole"], stretch="minmax")
    other = pickle.loads(pickle.dumps(windows))
    assert np.array_equal(windows.read().image, other.read().image)
    windows.close()
    other.close()


def test_a_world_file_gives_a_place_without_a_reference_system(tmp_path):
    Image.fromarray(noise(1, np.uint8)[0]).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text("0.5\n0.1\n0.1\n-0.5\n1000\n2000\n")
    grid = read_grid(tmp_path / "a.png")
    assert grid.size == (52, 44)
    assert grid.crs is None
    assert math.isnan(grid.gsd)
    # The world file says where the middle of the first pixel is.
    assert tuple(grid.transform)[:6] == pytest.approx((0.5, 0.1, 999.7, 0.1, -0.5, 2000.2))


def test_window_faults(files, tmp_path, monkeypatch):
    with RasterWindows(files["eight"]) as windows:
        for rows, columns, told in (
            (slice(0, 53), slice(0, 9), "rows 0 to 52; 0 to 53 were"),
            (slice(0, 9), slice(9, 9), "columns 0 to 44; 9 to 9 were"),
            (slice(-3, 9), slice(0, 9), "rows 0 to 52; -3 to 9 were"),
            (slice(0, 9, 2), slice(0, 9), "rows 0 to 52; 0 to 9 were"),
        ):
            with pytest.raises(RasterError, match=rf"eight\.tif has {told} asked"):
                windows.read(rows, columns)
        for scale in (0, 1.5, math.nan):
            with pytest.raises(RasterError, match=rf"scale {scale} was asked. Give one above 0 and at most 1"):
                windows.read(scale=scale)
    with pytest.raises(RasterError, match=r"Percentiles \[98, 2\] are no range"):
        RasterWindows(files["hole"], percentiles=(98, 2))
    (tmp_path / "file").write_text("")
    with pytest.raises(RasterError, match=r"was not kept: .* Name a stretch_folder that is writable"):
        read_raster(files["hole"], stretch_folder=tmp_path / "file")


def test_huge_images_are_read_in_windows_only(tmp_path):
    path = tmp_path / "huge.tif"
    huge = {"count": 3, "height": 200_000, "width": 200_000, "dtype": "uint8", "sparse_ok": True, "tiled": True}
    rasterio.open(path, "w", **GRID, **huge, bigtiff="yes").close()
    for read in (read_raster, read_values):
        with pytest.raises(RasterError, match=r"200000×200000 pixels .* are 111.8 GiB; at most 2 GiB .* isrefiner prepare"):
            read(path)
    with RasterWindows(path) as windows:
        assert windows.read(slice(150_000, 150_010), slice(7, 20)).image.shape == (3, 10, 13)


def test_a_tile_that_fills_the_memory_is_refused(files, monkeypatch):
    monkeypatch.setattr(opening, "MAX_BYTES", 16 * 16 * 2 - 1)
    with pytest.raises(RasterError, match=r"16×16 pixels .* of 1 bands of uint16"):
        RasterWindows(files["hole"])


def test_files_that_are_no_pictures(tmp_path):
    write(tmp_path / "a.tif", noise(1, np.uint8))
    write(tmp_path / "b.tif", noise(1, np.uint16))
    band = '<VRTRasterBand dataType="{}" band="{}"/>'
    bands = band.format("Byte", 1) + band.format("UInt16", 2)
    (tmp_path / "mixed.vrt").write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{bands}</VRTDataset>')
    with pytest.raises(RasterError, match="mixes bands of uint16, uint8; one type was expected"):
        RasterWindows(tmp_path / "mixed.vrt")
    for table in ("a", "b"):
        more = {"append_subdataset": table == "b", "raster_table": table}
        profile = {"driver": "GPKG", "count": 1, "height": 16, "width": 16, "dtype": "uint8"}
        with rasterio.open(tmp_path / "two.gpkg", "w", **{**GRID, **profile}, **more) as file:
            file.write(noise(1, np.uint8, 16, 16))
    with pytest.raises(RasterError, match="has no band of its own"):
        RasterWindows(tmp_path / "two.gpkg")
