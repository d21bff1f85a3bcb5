"""`isrefiner prepare`: a folder of images in, patches and an index out; wrong input told in a line."""

import json
from collections import defaultdict
from pathlib import Path

import miniatures
import numpy as np
import pytest
from PIL import Image

from vfm_isrefiner.cli import prepare as command
from vfm_isrefiner.cli.settings import conf_folder
from vfm_isrefiner.data.coco_masks import drawn
from vfm_isrefiner.data.index import read_index
from vfm_isrefiner.data.prepared import PreparedPatches
from vfm_isrefiner.data.tiling import reassembled

SMALL = ("patch_size=24", "overlap=4", "workers=1")


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        ids = np.zeros((32, 40), np.uint8)
        ids[4:20, 3:30], ids[28:, 35:] = 1, 9
        for folder, pixels in (("images", rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)), ("masks", ids)):
            (tmp_path / "set/train" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "set/train" / folder / f"{name}.png")
    return tmp_path / "set"


def test_a_folder_is_prepared_once(isrefiner, capsys, root):
    words = ("prepare", "set=folder", f"root={root}", "out=out", *SMALL)
    assert isrefiner(*words) == 0
    out = capsys.readouterr().out
    assert "out: prepared in" in out
    assert "images     2" in out
    of = PreparedPatches("out")
    assert of.source == "folder"
    assert {record.instance for record in of.records} == {1, 9}
    assert f"instances  {len(of)};" in out
    about = json.loads(Path("out/prepare.json").read_text())
    assert about["settings"]["root"] == str(root)
    assert sorted(path.name for path in Path().iterdir()) == ["out", "set"], "nothing is left but out="
    assert isrefiner(*words) == 0
    assert "prepared already: nothing to do" in capsys.readouterr().out
    assert isrefiner(*words, "overlap=0") == 1
    assert "overlap was 4, now 0" in capsys.readouterr().err


def test_drawn_scenes_need_no_root_and_the_set_can_be_named(isrefiner):
    words = ("set.reader.count=2", "set.reader.size=40", "source=trial", "limit=1")
    assert isrefiner("prepare", "set=synthetic", "out=out", *words, *SMALL) == 0
    of = PreparedPatches("out")
    assert of.source == "trial"
    assert {record.image.partition("_")[0] for record in of.records} == {"scene00000"}


def test_broken_images_end_the_run_or_are_left_out(isrefiner, capsys, root):
    words = ("prepare", "set=folder", f"root={root}", "out=out", *SMALL)
    whole = (root / "train/images/a.png").read_bytes()
    (root / "train/images/a.png").write_bytes(whole[: len(whole) // 2])
    assert isrefiner(*words) == 1
    error = capsys.readouterr().err
    assert "images/a.png cannot be read" in error
    assert "Traceback" not in error
    assert isrefiner(*words, "on_error=skip") == 0
    told = capsys.readouterr()
    assert "images     1 (1 more left out)" in told.out
    assert "left out: a: " in told.err
    (root / "train/images/a.png").write_bytes(whole)
    assert isrefiner(*words) == 0
    assert "1 of the images by an earlier run" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "split"), [("isaid", "train"), ("isaid", "val"), ("nwpu", "train")])
def test_published_layouts(isrefiner, tmp_path, name, split):
    truths = getattr(miniatures, name)(tmp_path / "set")
    assert isrefiner("prepare", f"set={name}", "root=set", f"split={split}", "out=out", *SMALL) == 0
    parts = defaultdict(list)
    for row in read_index(tmp_path / "out/index.parquet").to_pylist():
        size = (row["height"], row["width"])
        mask = drawn([{"id": 0, "segmentation": {"size": size, "counts": row["mask"]}}], size, tmp_path)[0]
        parts[row["scene"], row["instance"], row["category"]].append((row["row"], row["column"], mask))
    areas = {key: int(reassembled((64, 64), each).sum()) for key, each in parts.items()}
    assert areas == {
        (image, number, truth.category): truth.area for (part, image, number), truth in truths.items() if part == split
    }


def test_scenes_of_a_set_that_has_them(isrefiner, root, monkeypatch):
    monkeypatch.setattr(command, "scenes_of", None)  # not asked where the set gives scenes itself
    scenes = ("+set.scenes._target_=vfm_isrefiner.data.scenes.scenes_of", "+set.scenes.of=${set.reader}")
    assert isrefiner("prepare", "set=folder", f"root={root}", "out=out", *scenes, *SMALL) == 0


def test_ctrl_c_is_told(isrefiner, capsys, root, monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "prepare", stopped)
    assert isrefiner("prepare", "set=folder", f"root={root}", "out=out") == 130
    assert "run the same again to go on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "set=NAME is needed; choose among "),
        (["set=folder"], "out=FOLDER is needed"),
        (["set=folder", "out=out"], "root=FOLDER is needed by set=folder"),
        (["set=nope", "out=out"], "Could not find 'set/nope'"),
        (["set=folder", "out=out", "root=nowhere"], "There is no folder nowhere/train/images"),
        (["set=folder", "out=out", "root=nowhere", "overlap=800"], "patch_size=800 with overlap=800"),
    ],
)
def test_wrong_input_ends_with_a_line_and_status_1(isrefiner, capsys, words, told):
    assert isrefiner("prepare", *words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_help_names_the_sets(isrefiner, capsys):
    assert isrefiner("prepare", "--help") == 0
    out = capsys.readouterr().out
    assert f"{', '.join(sorted(path.stem for path in (conf_folder() / 'set').glob('*.yaml')))}\n" in out
    assert "isrefiner prepare set=isaid root=" in out
