"""The file of accepted objects: what other programs read in it, what it refuses, what survives."""

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from batch_scenes import GRIDS, truth
from pyogrio.raw import read, write
from rasterio.crs import CRS
from vector_files import write_vectors

from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.store import Store, Work
from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.polygonise import polygonise

GRID = Grid((64, 96), *GRIDS["utm"], 0.5)


def work(value=60, label="roof", **more):
    mask = truth(value)
    said = {"area_px": int(mask.sum()), "score": 0.75, "clicks": ((8.0, 6.0, True), (1.0, 2.0, False)), "author": "Ada"}
    return Work(polygonise(mask), label, **(said | more))


@pytest.fixture
def store(tmp_path):
    one = Store(tmp_path / "objects.gpkg", GRID)
    yield one
    one.close()


def test_pyogrio_reads_it_while_it_is_open(store):
    one = store.add(work())
    two = store.add(work(150, "car", score=0.5))
    meta, numbers, shapes, fields = read(store.path, return_fids=True)
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert CRS.from_user_input(meta["crs"]) == GRID.crs
    assert [name for name, _ in pyogrio.list_layers(store.path)] == ["objects"]
    assert numbers.tolist() == columns["id"].tolist() == [one.id, two.id] == [1, 2]
    assert columns["label"].tolist() == ["roof", "car"]
    assert columns["area_px"].tolist() == [truth(60).sum(), truth(150).sum()]
    assert columns["area_m2"].tolist() == [one.area_m2, two.area_m2]
    assert columns["area_m2"][1] == pytest.approx(truth(150).sum() * 0.25, rel=2e-3)
    assert columns["score"].tolist() == [0.75, 0.5]
    assert columns["clicks"][0] == "[[8.0, 6.0, true], [1.0, 2.0, false]]"
    assert columns["author"].tolist() == ["Ada", "Ada"]
    assert columns["version"].tolist() == [one.version, two.version]
    assert np.datetime64("2020") < columns["created"][0] <= columns["changed"][0]
    roof = shapely.from_wkb(shapes[0])
    assert roof.geom_type == "MultiPolygon"
    assert roof.area == truth(60).sum() * 0.25
    assert len(roof.geoms[0].interiors) == 1
    assert roof.bounds == (500_003, 6_000_000 - 10, 500_012, 6_000_000 - 2)
    assert pyogrio.read_info(store.path, force_total_bounds=True)["total_bounds"] == pytest.approx(
        shapely.total_bounds(shapely.from_wkb(shapes)).tolist()
    )


def test_it_goes_on_where_it_was(tmp_path, store):
    one = store.add(work())
    store.add(work(100))
    gone = store.add(work(150))
    store.delete(gone.id, gone.version)
    store.keep_running("key", {"clicks": [[1, 2, True]]})
    version, objects = store.version, store.objects()
    store.close()
    with closing(Store(store.path, GRID)) as again:
        assert again.version == version
        assert [told(each) for each in again.objects()] == [told(each) for each in objects]
        assert again.running() == {"key": {"clicks": [[1, 2, True]]}}
        assert again.relabel(one.id, one.version, "car").version == version + 1
        assert again.add(work(150)).id == gone.id + 1  # never given twice
        assert again.since(1)[2] == [gone.id]


def told(one):
    return one.told() | {"clicks": one.clicks, "created": one.created, "changed": one.changed}


def test_accepting_forgets_what_ran_in_the_same_transaction(store):
    store.keep_running("key", {"clicks": []})
    one = store.add(work(), "key")
    assert store.running() == {}
    store.keep_running("key", {"clicks": []})
    with pytest.raises(Refusal):
        store.replace(one.id, one.version - 1, work(100), "key")
    assert store.running() != {}
    store.replace(one.id, one.version, work(100), "key")
    assert store.running() == {}


def test_one_process_has_it(store):
    with pytest.raises(ValueError, match=r"Another isrefiner annotate has .*objects\.gpkg open"):
        Store(store.path, GRID)


def test_other_files_are_left_alone(tmp_path):
    other = write_vectors(tmp_path / "other.gpkg", [shapely.box(0, 0, 1, 1)], crs="EPSG:32733")
    same_name = write_vectors(tmp_path / "objects.gpkg", [shapely.box(0, 0, 1, 1)], crs="EPSG:32733", layer="objects")
    text = tmp_path / "text.gpkg"
    text.write_text("no database")
    for path, said in (
        (other, "no readable layer 'objects'"),
        (same_name, "without the columns id, label"),
        (text, "text.gpkg"),
    ):
        before = path.read_bytes()
        with pytest.raises(ValueError, match=said):
            Store(path, GRID)
        assert path.read_bytes() == before


def test_a_file_of_another_scene_is_refused(tmp_path, store):
    store.close()
    with pytest.raises(ValueError, match="Name another --out"):
        Store(store.path, replace(GRID, crs=CRS.from_epsg(32734)))
    with pytest.raises(ValueError, match="belongs to another scene"):
        Store(store.path, replace(GRID, transform=Affine.translation(5, 5) @ GRID.transform))
    with pytest.raises(ValueError, match="belongs to another scene"):
        Store(store.path, replace(GRID, size=(64, 97)))
    Store(store.path, GRID).close()


@pytest.mark.parametrize("grid", GRIDS)
def test_outlines_come_back_to_the_pixel(tmp_path, grid):
    there = Grid((64, 96), *GRIDS[grid], 0.5)
    with closing(Store(tmp_path / "o.gpkg", there)) as store:
        one = store.add(work())
    with closing(Store(tmp_path / "o.gpkg", there)) as store:
        assert store.get(one.id).polygon == one.polygon
        assert store.get(one.id).area_m2 == one.area_m2
        assert (one.area_m2 is None) == (grid == "pixels")


def test_what_a_gis_has_changed_is_kept(store):
    one = store.add(work())
    store.close()
    square = shapely.MultiPolygon([shapely.box(500_020.1, 5_999_980.2, 500_024.3, 5_999_984.4)])
    write(
        store.path,
        np.array([shapely.to_wkb(square)], object),
        [np.array(["drawn by hand"], object)],
        ["label"],
        layer="objects",
        append=True,
        geometry_type="MultiPolygon",
        crs="EPSG:32733",
        driver="GPKG",
    )
    with closing(Store(store.path, GRID)) as again:
        kept, drawn = again.objects()
        assert kept.told() == one.told()
        assert (drawn.label, drawn.author, drawn.clicks, drawn.area_px) == ("drawn by hand", "", (), 71)
        assert drawn.version == kept.version + 1
        assert drawn.area_m2 == pytest.approx(4.2**2, rel=2e-3)
        assert drawn.outline.bounds == pytest.approx((40.2, 31.2, 48.6, 39.6))
        assert again.at(44, 35) == drawn
        assert again.relabel(drawn.id, drawn.version, "pond").label == "pond"
    assert shapely.from_wkb(read(store.path)[2][1]).equals_exact(square, 0)


CHANGES = {
    "another label": "UPDATE objects SET label = 'mended in a GIS' WHERE fid = 1",
    "another geometry": "UPDATE objects SET geom = (SELECT geom FROM objects WHERE fid = 2) WHERE fid = 1",
    "gone": "DELETE FROM objects WHERE fid = 1",
}
ELSEWHERE = "import sqlite3, sys; f = sqlite3.connect(sys.argv[1]); f.execute(sys.argv[2]); f.commit(); f.close()"


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_gis_changes_meanwhile_is_not_overwritten(store, change):
    one, two = store.add(work()), store.add(work(150))
    seen = store.version
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(store.path), CHANGES[change]], check=True)
    with pytest.raises(Refusal) as refused:
        store.relabel(one.id, one.version, "car")
    version, changed, gone = store.since(seen)
    assert version == seen + 1
    if change == "gone":
        assert (refused.value.status, changed, gone) == (404, [], [one.id])
        assert store.restore(one.id).polygon == one.polygon
        return
    assert (refused.value.status, gone) == (409, [])
    (now,) = changed
    assert refused.value.more["object"] == now.told()
    if change == "another label":
        assert (now.label, now.polygon) == ("mended in a GIS", one.polygon)
    else:
        assert (now.polygon, now.area_px, now.area_m2) == (two.polygon, two.area_px, two.area_m2)
    assert store.relabel(one.id, now.version, "car").version == seen + 2


def test_a_spatial_index_of_another_program_is_kept_up(store):
    one = store.add(work())
    store.close()
    pyogrio.raw.read(store.path)
    with closing(sqlite3.connect(store.path)) as file:
        index_it(file)
    with closing(Store(store.path, GRID)) as again:
        two = again.add(work(150))
        again.replace(two.id, two.version, work(100))
        again.delete(one.id, one.version)
    with closing(sqlite3.connect(store.path)) as file:
        rows = file.execute("SELECT id, minx, maxy FROM rtree_objects_geom").fetchall()
    assert rows == [(two.id, 500_015.0, 5_999_996.0)]
    assert pyogrio.read_info(store.path)["features"] == 1


def index_it(file):
    """As OGC 12-128r19, annex F.3, has it, with the triggers that matter here."""
    file.executescript("""
        CREATE VIRTUAL TABLE rtree_objects_geom USING rtree(id, minx, maxx, miny, maxy);
        INSERT INTO rtree_objects_geom VALUES (1, 500003, 500012, 5999990, 5999998);
        INSERT INTO gpkg_contents (table_name, data_type) SELECT 'x', 'attributes' WHERE 0;
        CREATE TRIGGER rtree_objects_geom_insert AFTER INSERT ON objects WHEN NEW.geom NOT NULL AND NOT ST_IsEmpty(NEW.geom)
        BEGIN INSERT OR REPLACE INTO rtree_objects_geom VALUES
        (NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)); END;
        CREATE TRIGGER rtree_objects_geom_update AFTER UPDATE OF geom ON objects
        BEGIN INSERT OR REPLACE INTO rtree_objects_geom VALUES
        (NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)); END;
        CREATE TRIGGER rtree_objects_geom_delete AFTER DELETE ON objects WHEN OLD.geom NOT NULL
        BEGIN DELETE FROM rtree_objects_geom WHERE id = OLD.fid; END;
    """)


def test_a_locked_file_is_told_and_nothing_changes(store, monkeypatch):
    one = store.add(work())
    store._file._file.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for change in (
            lambda: store.add(work(100)),
            lambda: store.relabel(one.id, one.version, "car"),
            lambda: store.delete(one.id, one.version),
            lambda: store.keep_running("key", {}),
        ):
            with pytest.raises(Refusal, match=r"could not be written .*locked"):
                change()
        assert store.objects() == [one]
        assert store.version == one.version
        other.execute("ROLLBACK")
    assert store.add(work(100)).version == one.version + 1


def test_the_latest_object_is_on_top(store):
    under = store.add(work(60))
    over = store.add(work(60, "car"))
    assert store.at(8, 6) == over
    store.delete(over.id, over.version)
    assert store.at(8, 6) == under
    assert store.at(14, 11) is None  # its hole
    assert store.at(5.6, 3.6) == under
    assert store.at(5.4, 3.6) is None


def test_it_ends_as_one_file(tmp_path, store):
    store.add(work())
    store.close()
    assert [one.name for one in tmp_path.iterdir()] == ["objects.gpkg"]


def test_what_is_committed_is_told_though_the_file_cannot_grow(store):
    """The log beside it has room for the transaction, the file itself has none."""
    mask = np.zeros((64, 96), bool)
    mask[::2, ::2] = True
    large = Work(polygonise(mask), "roof", int(mask.sum()), 0.5, (), "")
    store.add(large)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (store.path.stat().st_size + 4096, hard))
    try:
        assert store.add(large).id == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [one.id for one in store.objects()] == [1, 2]
    assert read(store.path, return_fids=True)[1].tolist() == [1, 2]


def test_deletions_that_cannot_be_restored_any_more_are_told(store, monkeypatch):
    monkeypatch.setattr("vfm_isrefiner.annotator.store.KEPT_DELETED", 1)
    made = [store.add(work(value)) for value in (60, 100, 150)]
    known = store.version
    for one in made[:2]:
        store.delete(one.id, one.version)
    assert store.since(known)[2] == [1, 2]
    assert store.restore(2).id == 2
    with pytest.raises(Refusal, match="was not deleted"):
        store.restore(1)


def test_a_row_that_the_file_does_not_take_is_no_object(store):
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("CREATE TRIGGER deaf BEFORE INSERT ON objects BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(Refusal, match="nothing was changed") as refused:
        store.add(work())
    assert refused.value.status == 503
    assert store.objects() == []
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("DROP TRIGGER deaf")
        other.execute("CREATE UNIQUE INDEX one_of_each ON objects (label)")
    store.add(work())
    with pytest.raises(Refusal, match="nothing was changed"):
        store.add(work(100))
    assert len(store.objects()) == 1


def test_words_in_the_place_of_numbers_are_passed_over(tmp_path, store):
    one = store.add(work())
    store.close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("UPDATE objects SET score = 'high', area_px = 'large', area_m2 = 'wide', version = 9e999")
    again = Store(store.path, GRID)
    (found,) = again.objects()
    assert (found.score, found.area_px, found.area_m2) == (0.0, one.area_px, pytest.approx(one.area_m2))
    assert found.version == again.version
    again.close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / ".objects.gpkg.lock").mkdir()
    with pytest.raises(OSError, match=r"objects\.gpkg cannot be kept there.*--out"):
        Store(tmp_path / "objects.gpkg", GRID)
