import pickle

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vfm_isrefiner.geo import opening
from vfm_isrefiner.geo.raster import RasterError
from vfm_isrefiner.geo.rows import RollingRows

VALUES = np.random.default_rng(3).integers(0, 256, (3, 61, 37), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    Image.fromarray(VALUES.transpose(1, 2, 0)).save(folder / "a.png")
    profile = {"driver": "GTiff", "count": 3, "height": 61, "width": 37, "crs": "EPSG:32617"}
    grid = {"tiled": True, "blockxsize": 16, "blockysize": 16, "transform": rasterio.Affine(1, 0, 5e5, 0, -1, 5e6)}
    with rasterio.open(folder / "a.tif", "w", dtype="uint16", compress="deflate", **profile, **grid) as file:
        file.write(VALUES.astype(np.uint16) * 200)
    return {"png": (folder / "a.png", VALUES), "tif": (folder / "a.tif", VALUES.astype(np.uint16) * 200)}


@pytest.mark.parametrize("kind", ["png", "tif"])
@settings(max_examples=30, deadline=None)
@given(bands=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 61)), min_size=1, max_size=6))
def test_any_bands_in_any_order_are_those_of_the_file(files, kind, bands):
    path, values = files[kind]
    with RollingRows(path) as rolling:
        assert (rolling.size, rolling.count, rolling.dtype) == ((61, 37), 3, values.dtype)
        for start, length in bands:
            stop = min(start + length, 61)
            got = rolling.rows(start, stop)
            assert got.dtype == values.dtype
            assert np.array_equal(got, values[:, start:stop])


def counted(monkeypatch, path):
    """A reader, the rows that it decodes, and how often it opens the file."""
    decoded, openings = [], []
    real = RollingRows._decode
    monkeypatch.setattr(
        RollingRows,
        "_decode",
        lambda self, band, first, start: (decoded.extend(range(start, first + band.shape[1])), real(self, band, first, start)),
    )
    original = opening.open_raster
    monkeypatch.setattr("vfm_isrefiner.geo.rows.open_raster", lambda path: (openings.append(path), original(path))[1])
    return RollingRows(path), decoded, openings


def test_overlapping_bands_in_order_decode_every_row_once(files, monkeypatch):
    rolling, decoded, openings = counted(monkeypatch, files["png"][0])
    for start in range(0, 45, 8):
        rolling.rows(start, min(start + 20, 61))
    assert decoded == list(range(60))
    assert len(openings) == 1
    rolling.rows(39, 50)  # above what is kept
    assert len(openings) == 2
    rolling.close()


def test_rows_are_decoded_in_pieces(files, monkeypatch):
    monkeypatch.setattr("vfm_isrefiner.geo.rows.PIECE_BYTES", 37 * 3 * 7)
    with RollingRows(files["png"][0]) as rolling:
        assert np.array_equal(rolling.rows(3, 50), VALUES[:, 3:50])


def test_a_reader_travels_into_another_process(files):
    with RollingRows(files["png"][0]) as rolling, pickle.loads(pickle.dumps(rolling)) as other:
        assert np.array_equal(other.rows(5, 9), VALUES[:, 5:9])


def test_faults(files, tmp_path, monkeypatch):
    path = files["png"][0]
    with pytest.raises(RasterError, match=r"There is no file .*gone\.png"):
        RollingRows(tmp_path / "gone.png")
    with RollingRows(path) as rolling:
        for start, stop in ((-1, 3), (5, 5), (50, 62)):
            with pytest.raises(RasterError, match=rf"a\.png has rows 0 to 61; rows {start} to {stop} were asked"):
                rolling.rows(start, stop)
        monkeypatch.setattr(opening, "MAX_BYTES", 37 * 3 * 20)
        with pytest.raises(RasterError, match=r"21×37 pixels .* of 3 bands of uint8 are .* Read it in windows, or cut"):
            rolling.rows(0, 21)
        assert rolling.rows(0, 20).shape == (3, 20, 37)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_cut_off_files(files, kind, tmp_path):
    content = files[kind][0].read_bytes()
    (tmp_path / "a").write_bytes(content[: len(content) // 2])
    with RollingRows(tmp_path / "a") as rolling, pytest.raises(RasterError, match=r"a cannot be read as a raster .* fetch it"):
        rolling.rows(0, 61)
