"""Whole runs where masks meet something: borders without data, and the limits of what counts as small."""

import csv
import json

import numpy as np
import pytest
import rasterio
import shapely
from batch_scenes import GRIDS, HOLE, SIZE, SameGrey, at, predictor, truth, write_prompts, write_scene
from pyogrio.raw import read
from rasterio import features

from vfm_isrefiner.batch.job import Model, Settings, predict_scene
from vfm_isrefiner.batch.pieces import Area, Smallest
from vfm_isrefiner.batch.windows import WindowRule

WINDOWS = WindowRule(32, 256)
MEASURED = (slice(6, 58), slice(11, 90))  # rows and columns that hold data


class Everything(SameGrey):
    """All pixels are object."""

    def __call__(self, features, *maps):
        self.passes += 1
        return 0 * features.image.mean(1, keepdim=True) + 10


def predicted(tmp_path, ending=".gpkg", network=None, **settings):
    model = Model(lambda: predictor(network), "known")
    files = (tmp_path / name for name in ("scene.tif", "prompts.gpkg", f"out{ending}"))
    return predict_scene(model, *files, Settings(windows=WINDOWS, **settings), overwrite=True)


def drawn(polygons, grid):
    return [features.rasterize([one], SIZE, transform=GRIDS[grid][0]).astype(bool) for one in polygons]


def polygons_of(report):
    return shapely.from_wkb(read(report.out)[2])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("how", ["value", "mask"])
def test_masks_end_where_the_data_end(tmp_path, grid, how):
    write_scene(tmp_path / "scene.tif", grid)
    measured = np.zeros(SIZE, bool)
    measured[MEASURED] = True
    with rasterio.open(tmp_path / "scene.tif", "r+") as file:
        if how == "value":
            file.nodata = 0
            file.write(np.where(measured, file.read(), 0).astype(np.uint8))
        else:
            file.write_mask(measured)
    write_prompts(tmp_path / "prompts.gpkg", [at(50, 30, grid)], grid, object=["a"])
    (polygon,) = polygons_of(predicted(tmp_path, network=Everything()))
    assert np.array_equal(drawn([polygon], grid)[0], measured)
    rows, columns = MEASURED
    corners = ((columns.start, rows.start), (columns.stop, rows.start), (columns.stop, rows.stop), (columns.start, rows.stop))
    border = shapely.Polygon([GRIDS[grid][0] @ corner for corner in corners])
    half = 0.5 * np.sqrt(abs(GRIDS[grid][0].determinant))
    assert shapely.hausdorff_distance(polygon, border) < half


def test_a_prompt_on_no_data_finds_nothing(tmp_path):
    write_scene(tmp_path / "scene.tif")
    with rasterio.open(tmp_path / "scene.tif", "r+") as file:
        file.nodata = 60  # the object's own value
    write_prompts(tmp_path / "prompts.gpkg", [at(8, 6), at(34, 10)], object=["a", "b"])
    report = predicted(tmp_path)
    assert report.empty == ("a",)
    first, second = polygons_of(report)
    assert first is None
    assert np.array_equal(drawn([second], "utm")[0], truth(100))


@pytest.fixture
def scene(tmp_path):
    """Object 100 with two more pieces of its grey, of 6 pixels (1.5 m²) and 1, beside 60, which has a hole of 15."""
    write_scene(tmp_path / "scene.tif")
    with rasterio.open(tmp_path / "scene.tif", "r+") as file:
        image = file.read()
        image[:, 20:22, 36:39] = image[:, 24, 44] = 100
        file.write(image)
    write_prompts(tmp_path / "prompts.gpkg", [at(34, 10), at(8, 6)], object=["p", "q"])
    return tmp_path


@pytest.mark.parametrize(
    ("smallest", "more", "hole"),
    [
        (Smallest(), 7, True),
        (Smallest(Area(1.4)), 6, True),
        (Smallest(Area(7, in_pixels=True)), 0, True),
        (Smallest(Area(1.6), Area(14, in_pixels=True)), 0, True),
        (Smallest(hole=Area(15 * 0.25 * 1.01)), 7, False),
    ],
)
def test_small_pieces_and_holes_are_left_out_of_all_formats(scene, smallest, more, hole):
    filled = truth(60)
    if not hole:
        filled[HOLE[0] : HOLE[1], HOLE[2] : HOLE[3]] = True
    report = predicted(scene, smallest=smallest)
    first, second = drawn(polygons_of(report), "utm")
    assert (first.sum(), first[truth(100)].all()) == (truth(100).sum() + more, True)
    assert np.array_equal(second, filled)
    assert report.small == ()
    annotations = json.loads(predicted(scene, ".json", smallest=smallest).out.read_text())["annotations"]
    assert [one["area"] for one in annotations] == [first.sum(), filled.sum()]
    with rasterio.open(predicted(scene, ".tif", smallest=smallest).out) as file:
        assert np.array_equal(file.read(1), first + 2 * filled)
    with (scene / "out.ids.csv").open() as file:
        assert [int(one["area_px"]) for one in csv.DictReader(file)] == [first.sum(), filled.sum()]


def test_an_object_of_small_pieces_alone_is_told(scene):
    report = predicted(scene, smallest=Smallest(Area(100, in_pixels=True)))
    assert (report.small, report.empty) == (("p",), ())
    assert polygons_of(report)[0] is None


def test_square_metres_without_a_place_are_refused_before_anything_is_played(tmp_path):
    write_scene(tmp_path / "scene.tif", "pixels")
    write_prompts(tmp_path / "prompts.gpkg", grid="pixels")
    network = SameGrey()
    with pytest.raises(ValueError, match="--min-area 5 is in m²"):
        predicted(tmp_path, network=network, smallest=Smallest(Area(5)))
    assert network.passes == 0


def test_how_small_is_may_change_without_playing_again(scene):
    (scene / "out.gpkg").mkdir()  # in the way of the file
    with pytest.raises(OSError, match="was not written"):
        predicted(scene)
    (scene / "out.gpkg").rmdir()
    network = SameGrey()
    report = predicted(scene, network=network, smallest=Smallest(Area(7, in_pixels=True)))
    assert (report.resumed, network.passes) == (2, 0)
    assert drawn(polygons_of(report), "utm")[0].sum() == truth(100).sum()
