import json
import math

import numpy as np
import pytest
from miniatures import whu, whu_satellite
from PIL import Image
from pycocotools import mask as codec

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.whu import WHUBuilding, whu_coco

AERIAL = "3. The cropped image tiles and raster labels"


def found(of):
    return {(it.split, it.image, it.instance): (it.area, it.category) for it in of.records}


def wanted(truths, split):
    return {key: (it.area, it.category) for key, it in truths.items() if key[0] == split}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_aerial_tiles(tmp_path, split):
    truths = whu(tmp_path)
    of = WHUBuilding(tmp_path, split)
    assert found(of) == wanted(truths, split) == found(WHUBuilding(tmp_path / AERIAL, split))
    assert {(it.gsd, it.size) for it in of.records} == {(0.3, (32, 32))}
    for index, record in enumerate(of.records):
        assert int(of[index].mask.sum()) == record.area
        assert not of[index].ignore.any()


def test_satellite_tiles(tmp_path):
    truths = whu_satellite(tmp_path)
    for split in ("train", "test"):
        of = WHUBuilding(tmp_path, split, "satellite2")
        assert found(of) == wanted(truths, split)
        assert {it.gsd for it in of.records} == {0.45}
    of = WHUBuilding(tmp_path / "Satellite dataset Ⅰ (global cities)", "", "satellite1")
    assert found(of) == wanted(truths, "")
    assert all(math.isnan(it.gsd) for it in of.records)
    named = WHUBuilding(tmp_path / "Satellite dataset Ⅰ (global cities)", "test", "satellite1")
    assert {it.split for it in named.records} == {"test"}


@pytest.mark.parametrize("form", ["zero and one", "three bands", "bitmap"])
def test_labels_of_other_forms(tmp_path, form):
    truths = whu(tmp_path)
    for path in (tmp_path / AERIAL / "val/label").iterdir():
        label = np.array(Image.open(path))
        other = {"zero and one": label // 255, "three bands": np.stack([label] * 3, -1), "bitmap": label > 0}[form]
        Image.fromarray(other).save(path)
    assert found(WHUBuilding(tmp_path, "val")) == wanted(truths, "val")


def rle(area):
    mask = np.zeros((32, 32), np.uint8, order="F")
    mask[: area // 32] = 1
    return {"size": [32, 32], "counts": codec.encode(mask)["counts"].decode()}


@pytest.mark.parametrize("place", ["", "imgs", "images"])
def test_coco_form(tmp_path, place):
    whu(tmp_path)
    (tmp_path / AERIAL / "test").rename(tmp_path / "test")
    if place:
        (tmp_path / place).mkdir()
        (tmp_path / "test").rename(tmp_path / place / "test")
    annotation = {"id": 4, "image_id": 1, "category_id": 1, "segmentation": rle(64), "iscrowd": 0}
    images = [{"id": 1, "file_name": "1.tif", "height": 32, "width": 32}]
    content = {"images": images, "annotations": [annotation], "categories": [{"id": 1, "name": "building"}]}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/WHU_building_test.json").write_text(json.dumps(content))
    (record,) = whu_coco(tmp_path, "test").records
    assert (record.area, record.category, record.split, record.gsd) == (64, "building", "test", 0.3)
    assert int(whu_coco(tmp_path, "test")[0].mask.sum()) == 64
    with pytest.raises(DataError, match="Unknown split of WHU Building in COCO form 'all'"):
        whu_coco(tmp_path, "all")
    with pytest.raises(DataError, match=r"has no images of val\. Looked for 'imgs/val/image', 'images/val/image', 'val/image'"):
        whu_coco(tmp_path, "val")


def test_a_root_of_several_subsets(tmp_path):
    whu(tmp_path / "aerial")
    whu_satellite(tmp_path / "satellite")
    with pytest.raises(
        DataError, match=r"more than one set of tiles of split 'train': .*aerial.*satellite.*one subset as root"
    ):
        WHUBuilding(tmp_path, "train")


def put(path, value, count):
    label = np.array(Image.open(path))
    label[0, :count] = value
    Image.fromarray(label).save(path)


FAULTS = {
    "no root": (
        lambda root: {"root": root / "none"},
        "none has no image/ beside label/ of split 'test'. Looked for 'test/image', ",
    ),
    "subset": (lambda root: {"subset": "moon"}, "Unknown subset of WHU Building 'moon'. Choose one of 'aerial', 'satellite2'"),
    "split": (lambda root: {"split": "train_no"}, "Unknown split of WHU Building aerial 'train_no'"),
    "no flat tiles": (
        lambda root: {"subset": "satellite1"},
        r"of split ''\. Looked for 'image', '\*/image', .*found there: 3\. The cropped",
    ),
    "label gone": (lambda root: (root / AERIAL / "test/label/2.tif").unlink(), r"image/2\.tif has no mask 2\.\* in .*label"),
    "value": (
        lambda root: put(root / AERIAL / "test/label/1.tif", 128, 2),
        r"label/1\.tif holds value 128 at row 0, column 0, .*Expected 0 and 255",
    ),
    "no picture": (
        lambda root: (root / AERIAL / "test/label/1.tif").write_bytes(b"II"),
        r"label/1\.tif cannot be read as a raster",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(tmp_path, fault):
    whu(tmp_path)
    change, message = FAULTS[fault]
    arguments = change(tmp_path)
    with pytest.raises(DataError, match=message):
        WHUBuilding(**({"root": tmp_path} | (arguments if isinstance(arguments, dict) else {})))


def test_one_stray_pixel_is_ignored(tmp_path):
    whu(tmp_path)
    put(tmp_path / AERIAL / "test/label/1.tif", 128, 1)
    of = WHUBuilding(tmp_path)
    assert of.unknown == {"1": 1}
    assert of[0].ignore[0].nonzero().tolist() == [[0, 0]]


def test_tiles_without_buildings_alone(tmp_path):
    whu(tmp_path)
    for path in (tmp_path / AERIAL / "test/label").iterdir():
        put(path, 0, 32)
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(path)
    with pytest.raises(DataError, match="The set 'whu' has no instance"):
        WHUBuilding(tmp_path)
