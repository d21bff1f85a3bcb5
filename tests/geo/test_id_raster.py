"""Ids written strip by strip are those of all objects drawn at once, the first one on top."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from vfm_isrefiner.geo import id_raster
from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.opening import quiet

PLACED = Grid((50, 40), Affine(2, 0, 500_000, 0, -2, 6_000_000), CRS.from_epsg(32733), 2.0)
NOWHERE = Grid((50, 40), Affine.identity(), None, np.nan)


@pytest.mark.parametrize("grid", [PLACED, NOWHERE])
@pytest.mark.parametrize("strip", [16, 512])
def test_strips_are_one_picture(tmp_path, monkeypatch, grid, strip):
    monkeypatch.setattr(id_raster, "STRIP", strip)
    rng = np.random.default_rng(0)
    boxes, masks = [], []
    for _ in range(12):
        top, left, height, width = rng.integers(0, 30), rng.integers(0, 20), rng.integers(0, 20), rng.integers(1, 20)
        boxes.append((int(top), int(left), int(top + height), int(left + width)))
        masks.append(rng.random((height, width)) < 0.7)
    expected, lost = np.zeros((50, 40), np.uint16), {}
    for number in range(12):
        top, left, bottom, right = boxes[number]
        place = expected[top:bottom, left:right]
        if taken := int((masks[number] & (place > 0)).sum()):
            lost[number] = taken
        place[masks[number] & (place == 0)] = number + 1
    assert id_raster.write_ids(tmp_path / "ids.tif", grid, boxes, masks.__getitem__) == lost != {}
    with quiet(Warning), rasterio.open(tmp_path / "ids.tif") as file:  # the one without a place
        assert np.array_equal(file.read(1), expected)
        assert (file.crs, file.transform, file.dtypes, file.nodata) == (grid.crs, grid.transform, ("uint16",), 0)
    assert [one.name for one in tmp_path.iterdir()] == ["ids.tif"]


def test_what_cannot_be_written_is_told(tmp_path):
    (tmp_path / "ids.tif").mkdir()
    with pytest.raises(OSError, match=r"ids\.tif was not written: .*nothing half-written is left"):
        id_raster.write_ids(tmp_path / "ids.tif", PLACED, [], lambda number: np.zeros((0, 0), bool))
    assert [one.name for one in tmp_path.iterdir()] == ["ids.tif"]
