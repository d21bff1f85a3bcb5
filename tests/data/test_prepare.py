"""Preparing: nothing lost, nothing invented, nothing half done."""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256

import numpy as np
import pytest
from data.large_scene import MIB, prepare_watched, write_scene
from data.painted import Painted, random_ids
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from PIL import Image

from vfm_isrefiner.data.coco_masks import drawn
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.folder import FolderInstances
from vfm_isrefiner.data.index import read_index
from vfm_isrefiner.data.prepare import prepare
from vfm_isrefiner.data.scenes import scenes_of
from vfm_isrefiner.data.synthetic import SyntheticScenes
from vfm_isrefiner.data.tiling import reassembled

SMALL = {"patch_size": 16, "overlap": 4, "workers": 1}


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Syncing small files to the disk would take longer than all else here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def painted(count=3, size=(20, 30), seed=0):
    rng = np.random.default_rng(seed)
    return [Painted(f"s{k}", random_ids(rng, size, (7, 3, -1, 12))) for k in range(count)]


def hashes(folder):
    """Every file's content but the lock's, which holds nothing."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files if path.name != ".lock"
    }


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(10, 24).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size // 2))),
    st.integers(0, 2**32 - 1),
)
@how(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_patches_put_together_are_the_scene(tmp_path_factory, size, patch, seed):
    rng = np.random.default_rng(seed)
    values = (2**24 - 1, *rng.integers(1, 2**24, 3).tolist(), -1)
    scene = Painted("s", random_ids(rng, size, values))
    if not (scene.ids > 0).any():
        scene.ids[0, 0] = 2**24 - 1
    out = tmp_path_factory.mktemp("out")
    report = prepare([scene], out, "set", patch_size=patch[0], overlap=patch[1], workers=1)
    rows = read_index(out / "index.parquet").to_pylist()
    assert report.instances == len(rows)

    def joined(rows, key):
        each = ((row, (row["height"], row["width"])) for row in rows if row[key] is not None)
        shapes = ((row, it, {"id": 1, "segmentation": {"size": it, "counts": row[key]}}) for row, it in each)
        return reassembled(size, ((row["row"], row["column"], drawn([shape], it, out)[0]) for row, it, shape in shapes)).numpy()

    for number in set(np.unique(scene.ids[scene.ids > 0]).tolist()) | {row["instance"] for row in rows}:
        assert np.array_equal(joined([row for row in rows if row["instance"] == number], "mask"), scene.ids == number)
    for row in rows:
        window = slice(row["row"], row["row"] + row["height"]), slice(row["column"], row["column"] + row["width"])
        pixels = np.asarray(Image.open(out / "patches" / f"{row['image']}.png"))
        assert np.array_equal(pixels.transpose(2, 0, 1), scene.image[:, *window].numpy())
        assert np.array_equal(joined([row], "ignore")[window], scene.ids[window] == -1)


def test_report_index_and_folder(tmp_path):
    ids = np.zeros((20, 36), np.int64)
    ids[2:6, 10:20], ids[18:, :3], ids[0, 0] = 5, 8, 9  # across a border; at the scene's edge; one pixel
    report = prepare(
        [Painted("dir/s", ids), Painted("empty", ids * 0)], tmp_path / "out", "set", patch_size=16, overlap=0, workers=1
    )
    assert (report.scenes, report.patches, report.dropped, report.instances, report.at_border) == (2, 4, 8, 6, 4)
    assert report.classes == {"odd": 5, "even": 1}
    rows = read_index(tmp_path / "out/index.parquet").to_pylist()
    names = ("image", "instance", "area", "x", "y", "box_width", "box_height", "at_border", "scene", "row", "column")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("dir/s_0_0", 5, 24, 10, 2, 6, 4, True, "dir/s", 0, 0),
        ("dir/s_0_0", 9, 1, 0, 0, 1, 1, False, "dir/s", 0, 0),
        ("dir/s_0_16", 5, 16, 0, 2, 4, 4, True, "dir/s", 0, 16),
        ("dir/s_4_0", 5, 12, 10, 0, 6, 2, True, "dir/s", 4, 0),
        ("dir/s_4_0", 8, 6, 0, 14, 3, 2, False, "dir/s", 4, 0),
        ("dir/s_4_16", 5, 8, 0, 0, 4, 2, True, "dir/s", 4, 16),
    ]
    assert report.bytes == sum(path.stat().st_size for path in (tmp_path / "out/patches").rglob("*.png"))
    about = json.loads((tmp_path / "out/prepare.json").read_text())
    assert about["complete"]
    assert about["counts"]["classes"] == report.classes


def test_slivers_are_left_out(tmp_path):
    scene = painted(1)[0]
    prepare([scene], tmp_path / "all", "set", **SMALL)
    prepare([scene], tmp_path / "large", "set", min_area=20, **SMALL)
    areas = [read_index(tmp_path / name / "index.parquet")["area"].to_pylist() for name in ("all", "large")]
    assert min(areas[0]) < 20
    assert areas[1] == [area for area in areas[0] if area >= 20]


def test_a_second_run_does_nothing(tmp_path):
    first = prepare(painted(), tmp_path, "set", **SMALL)
    before, stamps = hashes(tmp_path), {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    told = []
    second = prepare(painted(), tmp_path, "set", progress=lambda *done: told.append(done), **SMALL)
    assert (second.resumed, second.instances, second.classes) == (3, first.instances, first.classes)
    assert first.resumed == 0
    assert told == [(3, 3)]
    assert (hashes(tmp_path), {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}) == (before, stamps)


def test_processes_give_the_same_bytes(tmp_path, written, picture, ids):
    for name in "abcd":
        written(f"images/{name}.png", np.roll(picture, ord(name)))
        written(f"masks/{name}.png", np.roll(ids, ord(name)))
    scenes = scenes_of(FolderInstances(tmp_path / "images", tmp_path / "masks"))
    told = []
    prepare(scenes, tmp_path / "one", "set", **SMALL)
    prepare(scenes, tmp_path / "two", "set", **{**SMALL, "workers": 2}, progress=lambda *done: told.append(done))
    assert told == [(done, 4) for done in range(5)]
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    # a broken image in a worker
    (tmp_path / "images/b.png").write_bytes((tmp_path / "images/b.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"images/b\.png cannot be read .* What is done stays: run again"):
        prepare(scenes, tmp_path / "three", "set", **{**SMALL, "workers": 2})


def killed_child(scenes, out, moment):
    """Whether a forked process that prepares was killed at its `moment`-th change of a file's name or removal of a file."""
    child = os.fork()
    if child == 0:
        seen = [0]

        def counted(change):
            def call(*args, **kwargs):
                for when in ("before", "after"):
                    if seen[0] == moment:
                        os.kill(os.getpid(), signal.SIGKILL)
                    seen[0] += 1
                    if when == "before":
                        change(*args, **kwargs)

            return call

        os.replace, os.unlink = counted(os.replace), counted(os.unlink)
        try:
            prepare(scenes, out, "set", **SMALL)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_at_ten_moments_and_resumed(tmp_path):
    scenes = painted(4)
    whole = prepare(scenes, tmp_path / "whole", "set", **SMALL)
    expected = hashes(tmp_path / "whole")
    moments = 2 * (whole.patches + whole.scenes + 3)  # patches, parts, index and prepare.json twice
    for number, moment in enumerate(sorted(np.random.default_rng(1).choice(moments, 10, replace=False).tolist())):
        out = tmp_path / str(number)
        assert killed_child(scenes, out, moment)
        again = prepare(scenes, out, "set", **SMALL)
        assert hashes(out) == expected, moment
        assert again.resumed <= 4
    assert not killed_child(scenes, tmp_path / "last", moments)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_again_and_again(tmp_path):
    scenes = painted(3)
    prepare(scenes, tmp_path / "whole", "set", **SMALL)
    rounds = 0
    while killed_child(scenes, tmp_path / "out", 20):
        rounds += 1
        assert rounds < 20, "no progress"
    assert rounds > 1
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


RUN = """
import sys
from vfm_isrefiner.data.prepare import prepare
from vfm_isrefiner.data.scenes import scenes_of
from vfm_isrefiner.data.synthetic import SyntheticScenes
if __name__ == "__main__":
    prepare(scenes_of(SyntheticScenes(12, 64)), sys.argv[1], "set", patch_size=16, overlap=4, workers=2)
"""


@pytest.mark.slow
def test_workers_end_with_a_killed_run_and_another_goes_on(tmp_path):
    (tmp_path / "run.py").write_text(RUN)
    out = tmp_path / "out"
    child = subprocess.Popen([sys.executable, str(tmp_path / "run.py"), str(out)], start_new_session=True)
    while child.poll() is None and len(list(out.rglob("*.parquet"))) < 3:
        time.sleep(0.01)
    child.kill()  # its workers are left alone
    child.wait()
    assert not (out / "index.parquet").exists(), "killed too late: nothing is tested"
    scenes = scenes_of(SyntheticScenes(12, 64))
    report = prepare(scenes, out, "set", **SMALL)
    assert 3 <= report.resumed < 12
    prepare(scenes, tmp_path / "whole", "set", **SMALL)
    assert hashes(out) == hashes(tmp_path / "whole")


@pytest.mark.slow
def test_a_tall_scene_is_never_held_whole(tmp_path):
    height, width = 13_000, 1_600
    count = write_scene(tmp_path / "set", height, width)
    found = prepare_watched(tmp_path / "set", tmp_path / "out", 1)
    assert found["instances"] >= count
    # Image, instances and classes are 3 bytes a pixel each, and the objects' numbers 4: held whole, 258 MiB and copies.
    # Bands of 800 rows are a sixteenth of that; up to 64 MiB are GDAL's blocks, and 50 MiB libraries that are loaded at need.
    assert found["growth"] < 200 * MIB


def test_leftovers_are_removed_and_lost_patches_made_again(tmp_path):
    scenes = painted()
    prepare(scenes, tmp_path / "whole", "set", **SMALL)
    prepare(scenes, tmp_path / "out", "set", **SMALL)
    out = tmp_path / "out"
    (out / "index.parquet").unlink()
    (out / "patches/s9_0_0.png").write_bytes(b"of a scene that is not done")
    (out / "patches/.s1_0_0.png.77.tmp").write_bytes(b"half")
    (out / ".index.parquet.77.tmp").write_bytes(b"half")
    (out / "parts/s2.parquet").write_bytes(b"broken")
    next((out / "patches").glob("s0_*.png")).unlink()
    assert prepare(scenes, out, "set", **SMALL).resumed == 1
    assert hashes(out) == hashes(tmp_path / "whole")


def test_a_broken_image_ends_the_run_and_what_is_done_stays(tmp_path):
    scenes = painted()
    scenes[1].broken = True
    with pytest.raises(DataError, match=r"s1\.png cannot be read\. Fetch it again\. What is done stays: run again to go on"):
        prepare(scenes, tmp_path / "out", "set", **SMALL)
    assert not list((tmp_path / "out/patches").glob("s1_*"))
    scenes[1].broken = False
    assert prepare(scenes, tmp_path / "out", "set", **SMALL).resumed == 1
    prepare(scenes, tmp_path / "whole", "set", **SMALL)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def test_skipped_images_are_told_and_tried_again(tmp_path):
    scenes = painted()
    scenes[1].broken = True
    report = prepare(scenes, tmp_path / "out", "set", on_error="skip", **SMALL)
    assert report.scenes == 2
    assert list(report.skipped) == ["s1"]
    assert json.loads((tmp_path / "out/prepare.json").read_text())["skipped"] == report.skipped
    assert {row["scene"] for row in read_index(tmp_path / "out/index.parquet").to_pylist()} == {"s0", "s2"}
    scenes[1].broken = False
    again = prepare(scenes, tmp_path / "out", "set", **SMALL)
    assert (again.scenes, again.resumed, again.skipped) == (3, 2, {})
    prepare(scenes, tmp_path / "whole", "set", **SMALL)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def test_a_window_of_another_size_is_told(tmp_path):
    scene = painted(1)[0]
    scene.size = (21, 30)
    with pytest.raises(DataError, match=r"A window of 16×16 pixels .* of 's0' came as \(3, 15, 16\)"):
        prepare([scene], tmp_path, "set", **SMALL)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"patch_size": 20}, r"other settings: patch_size was 16, now 20\. Give another out="),
        ({"overlap": 0}, "overlap was 4, now 0"),
        ({"limit": 2}, "limit was null, now 2; scenes was .3 with digest .* now .2 with"),
        ({"settings": {"set": {"kind": "ids"}}}, 'set.kind was "components", now "ids"'),
        ({"settings": {}}, 'set.kind was "components", now not given'),
    ],
)
def test_other_settings_are_refused(tmp_path, change, told):
    with_kind = {**SMALL, "settings": {"set": {"kind": "components"}}}
    prepare(painted(), tmp_path, "set", **with_kind)
    with pytest.raises(DataError, match=told):
        prepare(painted(), tmp_path, "set", **{**with_kind, **change})


def test_other_images_and_another_source_are_refused(tmp_path):
    prepare(painted(), tmp_path, "set", **SMALL)
    with pytest.raises(DataError, match='source was "set", now "other"'):
        prepare(painted(), tmp_path, "other", **SMALL)
    with pytest.raises(DataError, match="scenes was"):
        prepare(painted(size=(20, 31)), tmp_path, "set", **SMALL)


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"neither empty nor a prepared set \(it holds 'holiday.jpg'"):
        prepare(painted(), tmp_path, "set", **SMALL)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"


def test_limit_takes_the_first_images(tmp_path):
    assert prepare(painted(), tmp_path, "set", limit=2, **SMALL).scenes == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"patch_size": 0}, "patch_size=0"),
        ({"min_area": 0}, "min_area=0 was given; 1 or more"),
        ({"limit": 0}, "limit=0 was given"),
        ({"workers": 0}, "workers=0 was given"),
        ({"on_error": "stop"}, "Unknown on_error='stop'. Choose one of raise, skip"),
    ],
)
def test_arguments_out_of_range(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        prepare(painted(), tmp_path / "out", "set", **{**SMALL, **change})
    assert not (tmp_path / "out").exists()


def test_sets_without_images_names_or_objects(tmp_path):
    with pytest.raises(DataError, match="no image to prepare"):
        prepare([], tmp_path, "set")
    with pytest.raises(DataError, match="has 2 images of the name 's0'"):
        prepare(painted(1) * 2, tmp_path, "set")
    with pytest.raises(DataError, match=r"No image of the set shows an object \(there are 1\)"):
        prepare([Painted("s", np.zeros((9, 9), np.int64))], tmp_path, "set", **SMALL)
