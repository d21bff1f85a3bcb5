"""A scene from prompts to every format, read back by other readers; kills, overlaps, wrong input."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import batch_scenes
import numpy as np
import pytest
import rasterio
import shapely
from batch_scenes import CLICKS, GRIDS, OBJECTS, SIZE, VALUES, SameGrey, at, predictor, truth, write_prompts, write_scene
from pycocotools.coco import COCO
from pyogrio.raw import read
from rasterio import features
from rasterio.crs import CRS

from vfm_isrefiner.batch.job import Model, Settings, predict_scene
from vfm_isrefiner.batch.windows import WindowRule
from vfm_isrefiner.geo.opening import quiet

SMALL = Settings(windows=WindowRule(32, 256))


def predicted(tmp_path, ending=".gpkg", grid="utm", network=None, settings=SMALL, **more):
    scene, prompts = tmp_path / "scene.tif", tmp_path / "prompts.gpkg"
    if not scene.exists():
        write_scene(scene, grid)
    if not prompts.exists():
        write_prompts(prompts, grid=grid)
    model = Model(lambda: predictor(network), "same grey")
    return predict_scene(model, scene, prompts, tmp_path / f"out{ending}", settings, **more)


def rows_of(path):
    meta, _, binary, fields = read(path)
    columns = dict(zip(meta["fields"], (one.tolist() for one in fields), strict=True))
    return meta, shapely.from_wkb(binary), columns


@pytest.mark.parametrize("grid", GRIDS)
def test_polygons_lie_on_the_objects(tmp_path, grid):
    report = predicted(tmp_path, grid=grid)
    assert (report.objects, report.resumed, report.empty, report.cut) == (4, 0, (), ())
    meta, polygons, columns = rows_of(report.out)
    transform, crs = GRIDS[grid]
    assert (crs is None) if meta["crs"] is None or "Undefined" in meta["crs"] else CRS.from_user_input(meta["crs"]) == crs
    assert columns["object"] == list(CLICKS)
    assert columns["storeys"] == [4, 1, 2, 3]
    assert columns["clicks"] == [1] * 4
    assert min(columns["score"]) > 0.99
    assert columns["area_px"] == [int(truth(VALUES[name]).sum()) for name in CLICKS]
    for name, polygon in zip(CLICKS, polygons, strict=True):
        top, bottom, left, right = OBJECTS[VALUES[name]]
        corners = shapely.Polygon([transform @ one for one in ((left, top), (right, top), (right, bottom), (left, bottom))])
        half = 0.5 * np.sqrt(abs(transform.determinant))
        assert shapely.hausdorff_distance(shapely.Polygon(polygon.geoms[0].exterior), corners) < half
        assert len(polygon.geoms[0].interiors) == (name == "a")
        drawn = features.rasterize([polygon], SIZE, transform=transform).astype(bool)
        assert np.array_equal(drawn, truth(VALUES[name]))
    if crs is None:
        assert np.isnan(columns["area_m2"]).all()
    elif crs.is_projected:
        assert columns["area_m2"] == pytest.approx([one.area for one in polygons], rel=2e-3)
    else:  # metres of latitude and longitude at 36 degrees south
        assert columns["area_m2"] == pytest.approx([one.area * 110_959 * 90_163 for one in polygons], rel=2e-3)
    assert {one.name for one in tmp_path.iterdir()} == {"scene.tif", "prompts.gpkg", "out.gpkg"}


@pytest.mark.parametrize("ending", [".geojson", ".shp"])
def test_the_other_formats_of_polygons(tmp_path, ending):
    _, polygons, columns = rows_of(predicted(tmp_path, ending).out)
    assert columns["object"] == list(CLICKS)
    for name, polygon in zip(CLICKS, polygons, strict=True):
        drawn = features.rasterize([polygon], SIZE, transform=GRIDS["utm"][0]).astype(bool)
        assert np.array_equal(drawn, truth(VALUES[name]))


def test_coco(tmp_path):
    settings = Settings(windows=WindowRule(32, 256), category_field="storeys")
    out = predicted(tmp_path, ".json", settings=settings).out
    with quiet(DeprecationWarning):  # pycocotools' arrays and numpy 2
        coco = COCO(out)
        masks = [coco.annToMask(coco.anns[number]) for number in (1, 2, 3, 4)]
    assert coco.imgs[1]["file_name"] == "scene.tif"
    assert [one["name"] for one in coco.cats.values()] == ["4", "1", "2", "3"]
    for number, name in enumerate(CLICKS):
        one, true = coco.anns[number + 1], truth(VALUES[name])
        assert np.array_equal(masks[number], true)
        assert one["area"] == true.sum()
        top, bottom, left, right = OBJECTS[VALUES[name]]
        assert one["bbox"] == [left, top, right - left, bottom - top]
        assert coco.cats[one["category_id"]]["name"] == str(one["attributes"]["storeys"])
        assert one["attributes"]["object"] == name


def test_ids_and_who_keeps_a_pixel(tmp_path):
    first = [at(34, 10), at(8, 6), at(36, 10)]  # the last one is the first one again
    write_prompts(tmp_path / "prompts.gpkg", first, object=["p", "q", "r"])
    report = predicted(tmp_path, ".tif")
    assert report.notes == ("object r: 60 of its pixels are an earlier object's in out.tif",)
    with rasterio.open(report.out) as file:
        ids = file.read(1)
        assert (file.crs, file.transform, file.nodata) == (GRIDS["utm"][1], GRIDS["utm"][0], 0)
    assert np.array_equal(ids, truth(100) + 2 * truth(60))
    with (tmp_path / "out.ids.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(one["id"], one["object"], one["area_px"]) for one in table] == [
        ("1", "p", "60"),
        ("2", "q", "273"),
        ("3", "r", "60"),
    ]


def test_attributes_named_like_ours_are_kept_and_labels_are_not(tmp_path):
    write_prompts(tmp_path / "prompts.gpkg", [at(34, 10), at(72, 45)], Score=[7, 8], label=[1, 1], name=["a", None])
    _, _, columns = rows_of(predicted(tmp_path).out)
    assert columns["prompt_Score"] == [7, 8]
    assert columns["name"] == ["a", None]
    assert columns["object"] == [1, 2], "the numbers of the features"
    assert "label" not in columns


def test_simplified(tmp_path):
    before = rows_of(predicted(tmp_path).out)[1][1]
    settings = Settings(windows=WindowRule(32, 256), simplify=100)
    after = rows_of(predicted(tmp_path, settings=settings, overwrite=True).out)[1][1]
    assert shapely.get_num_coordinates(after) < shapely.get_num_coordinates(before) == 10
    assert len(after.geoms[0].interiors) == 1
    with pytest.raises(ValueError, match="--simplify is a length of at least 0"):
        Settings(simplify=-1)
    with pytest.raises(ValueError, match="--workers is a number of at least 1, got 0"):
        Settings(workers=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_going_on_after_a_kill(tmp_path, workers):
    settings = Settings(windows=WindowRule(32, 256), workers=workers)

    class Dying(SameGrey):
        left = 3

        def __call__(self, *inputs):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().__call__(*inputs)

    whole = tmp_path / "whole"
    whole.mkdir()
    expected = predicted(whole).out
    with pytest.raises(KeyboardInterrupt):
        predicted(tmp_path, network=Dying(), settings=settings)
    log = tmp_path / "out.gpkg.unfinished"
    assert not (tmp_path / "out.gpkg").exists()
    done = len(log.read_bytes().splitlines()) - 1
    assert workers > 1 or done >= 1
    network, seen = SameGrey(), []
    report = predicted(tmp_path, network=network, progress=lambda *one: seen.append(one))
    assert (report.objects, report.resumed) == (4, done)
    assert seen == [(number, 4) for number in range(done, 5)]
    assert not log.exists()
    for one, other in zip(rows_of(report.out)[1:], rows_of(expected)[1:], strict=True):
        assert str(one) == str(other)


DYING = """
import os, signal, sys
from pathlib import Path
from batch_scenes import SameGrey, predictor
from vfm_isrefiner.batch.job import Model, Settings, predict_scene
from vfm_isrefiner.batch.windows import WindowRule

class Dying(SameGrey):
    def __call__(self, *inputs):
        if self.passes == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(*inputs)

folder = Path(sys.argv[1])
files = (folder / name for name in ("scene.tif", "prompts.gpkg", "out.gpkg"))
predict_scene(Model(lambda: predictor(Dying()), "same grey"), *files, Settings(windows=WindowRule(32, 256)))
"""


@pytest.mark.slow  # a process of its own imports torch again
def test_a_killed_process_loses_nothing_finished(tmp_path):
    write_scene(tmp_path / "scene.tif")
    write_prompts(tmp_path / "prompts.gpkg")
    words = [sys.executable, "-W", "ignore", "-c", DYING, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(batch_scenes.__file__).parent)}
    assert subprocess.run(words, env=environment, check=False).returncode == -signal.SIGKILL
    done = len((tmp_path / "out.gpkg.unfinished").read_bytes().splitlines()) - 1
    network = SameGrey()
    report = predicted(tmp_path, network=network)
    assert 1 <= done == report.resumed < 4
    drawn = [features.rasterize([one], SIZE, transform=GRIDS["utm"][0]) for one in rows_of(report.out)[1]]
    assert all(np.array_equal(one, truth(VALUES[name])) for one, name in zip(drawn, CLICKS, strict=True))


def test_what_is_finished_is_not_made_again_unless_asked(tmp_path):
    predicted(tmp_path)
    network = SameGrey()
    assert predicted(tmp_path, network=network).existed
    assert network.passes == 0
    assert not predicted(tmp_path, network=network, overwrite=True).existed
    assert network.passes > 0


def test_a_failed_writing_costs_no_object(tmp_path):
    (tmp_path / "out.gpkg").mkdir()  # in the way of the file
    with pytest.raises(OSError, match=r"out\.gpkg was not written"):
        predicted(tmp_path, overwrite=True)
    os.rmdir(tmp_path / "out.gpkg")
    network = SameGrey()
    assert predicted(tmp_path, network=network).resumed == 4
    assert network.passes == 0


def test_another_run_is_not_mixed_in(tmp_path):
    (tmp_path / "out.gpkg").mkdir()
    with pytest.raises(OSError, match="was not written"):
        predicted(tmp_path, overwrite=True)
    with pytest.raises(ValueError, match=r"4 finished objects of another run \(windows was \[32, 256\], now \[16, 256\]\)"):
        predicted(tmp_path, overwrite=True, settings=Settings(windows=WindowRule(16, 256)))
    write_prompts(tmp_path / "prompts.gpkg", [at(34, 10)])
    with pytest.raises(ValueError, match=r"of another run \(prompts was"):
        predicted(tmp_path, overwrite=True)


def test_sixteen_bits_are_stretched_and_bands_chosen(tmp_path):
    write_scene(tmp_path / "scene.tif", dtype=np.uint16)
    settings = Settings(windows=WindowRule(32, 256), stretch="minmax", bands=(3, 2, 1))
    polygons = rows_of(predicted(tmp_path, settings=settings).out)[1]
    drawn = features.rasterize([polygons[0]], SIZE, transform=GRIDS["utm"][0]).astype(bool)
    assert np.array_equal(drawn, truth(150))


def test_nothing_found_is_told_and_kept_without_geometry(tmp_path):
    class Nothing(SameGrey):
        def __call__(self, *inputs):
            return super().__call__(*inputs) * 0 - 10

    report = predicted(tmp_path, network=Nothing())
    assert sorted(report.empty) == sorted(CLICKS)
    _, polygons, columns = rows_of(report.out)
    assert polygons.tolist() == [None] * 4
    assert columns["score"] == columns["area_m2"] == [0] * 4
    for ending in (".json", ".tif"):
        assert predicted(tmp_path, ending, network=Nothing()).objects == 4
    assert json.loads((tmp_path / "out.json").read_text())["annotations"][0]["area"] == 0


def test_wrong_settings_are_told_before_anything_is_played(tmp_path):
    for ending, settings, message in (
        (".kml", SMALL, r"--out .*out\.kml: the suffix '\.kml' means no format"),
        (
            ".json",
            Settings(category_field="kind"),
            "--category kind: the prompts have no such column; they have object, storeys",
        ),
    ):
        network = SameGrey()
        with pytest.raises(ValueError, match=message):
            predicted(tmp_path, ending, settings=settings, network=network)
        assert network.passes == 0
    assert {one.name for one in tmp_path.iterdir()} == {"scene.tif", "prompts.gpkg"}
