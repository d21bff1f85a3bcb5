"""`isrefiner data check` as typed: on drawn scenes, on a good folder, and on one with faults."""

import json

import numpy as np
import pytest
from PIL import Image

from vfm_isrefiner.data.check_report import KINDS


@pytest.fixture
def folder(tmp_path):
    """A set of `conf/set/folder.yaml` with three images, and where it lies."""
    rng = np.random.default_rng(0)
    for name in "abc":
        for kind in ("images", "masks"):
            (tmp_path / "set" / "train" / kind).mkdir(parents=True, exist_ok=True)
        mask = np.zeros((32, 40), np.uint8)
        mask[2:12, 3:20], mask[20:30, 5:9] = 1, 2
        Image.fromarray(rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)).save(tmp_path / f"set/train/images/{name}.png")
        Image.fromarray(mask).save(tmp_path / f"set/train/masks/{name}.png")
    return tmp_path / "set"


def test_a_good_set(isrefiner, capsys, folder, tmp_path):
    assert isrefiner("data", "check", "set=folder", f"root={folder}", "out=here", "workers=0") == 0
    out = capsys.readouterr().out
    assert "folder: 3 images, 6 instances, 0 errors, 0 warnings" in out
    assert "left in here: report.md, report.json, sheet.png" in out
    [report] = json.loads((tmp_path / "here/report.json").read_text())
    assert (report["images"], report["sizes"], report["areas"]) == (3, {"32×40": 3}, {"16": 3, "64": 3})
    assert "| folder | 3 | 6 |" in (tmp_path / "here/report.md").read_text()
    with Image.open(tmp_path / "here/sheet.png") as sheet:
        assert sheet.width > 800


def test_every_broken_file_is_told(isrefiner, capsys, folder, tmp_path):
    for name in "ac":
        path = folder / f"train/images/{name}.png"
        path.write_bytes(path.read_bytes()[:200])
    assert isrefiner("data", "check", "set=folder", f"root={folder}", "workers=0", "samples=1") == 1
    out = capsys.readouterr().out
    assert "error unreadable (2)" in out
    assert all(f"{folder}/train/images/{name}.png cannot be read" in out for name in "ac")
    [left] = tmp_path.glob("outputs/*/*-data-check/report.json")
    assert len(json.loads(left.read_text())[0]["problems"]) == 2


def test_a_set_that_cannot_be_opened(isrefiner, capsys, folder, tmp_path):
    (folder / "train/masks/b.png").unlink()
    assert isrefiner("data", "check", "set=folder", f"root={folder}", "out=here") == 1
    assert "error cannot_open (1)" in capsys.readouterr().out
    assert not (tmp_path / "here/sheet.png").exists()


def test_warnings_do_not_fail(isrefiner, capsys, folder):
    Image.fromarray(np.ones((32, 40), np.uint8)).save(folder / "train/masks/b.png")
    assert isrefiner("data", "check", "set=folder", f"root={folder}", "out=here", "samples=1", "workers=0") == 0
    assert "warning whole_image (1)" in capsys.readouterr().out


def test_every_set_of_a_data_configuration(isrefiner, capsys, tmp_path):
    small = [f"data.{split}.synthetic.count=2" for split in ("train", "val", "test")]
    small += ["data.augmentation.crop_size=64", "samples=1", "limit=1", "workers=0"]
    assert isrefiner("data", "check", "data=synthetic", "out=here", *small) == 0
    names = [report["name"] for report in json.loads((tmp_path / "here/report.json").read_text())]
    assert names == ["train/synthetic", "val/synthetic", "test/synthetic"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "isrefiner data COMMAND"),
        (["chekc"], 2, "unknown command 'chekc', expected check"),
        (["check"], 1, "Give either set=NAME (with root=FOLDER) or data=NAME"),
        (["check", "set=folder", "data=synthetic"], 1, "Give either set=NAME"),
        (["check", "set=folder"], 1, "root=FOLDER is needed"),
        (["check", "set=nothing"], 1, "nothing"),
        (["check", "data=synthetic", "limit=0", "data.train.synthetic.count=1"], 1, "limit=0 leaves no image"),
    ],
)
def test_wrong_usage(isrefiner, capsys, words, status, told):
    assert isrefiner("data", *words) == status
    captured = capsys.readouterr()
    assert told in captured.err + captured.out


def test_help(isrefiner, capsys):
    assert isrefiner("data", "--help") == 0
    assert "read sets completely" in capsys.readouterr().out
    assert isrefiner("data", "check", "--help") == 0
    out = capsys.readouterr().out
    for part in ("folder", "synthetic", "isrefiner data check set=", *KINDS):
        assert part in out
