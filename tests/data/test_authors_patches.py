import math

import numpy as np
import pytest
from miniatures import AUTHORS
from miniatures import authors_patches as make
from PIL import Image

from vfm_isrefiner.data.authors_patches import authors_patches
from vfm_isrefiner.data.errors import DataError


@pytest.fixture
def made(tmp_path):
    return tmp_path, make(tmp_path)


@pytest.mark.parametrize("set_name", AUTHORS)
def test_every_layout_in_full_precision(made, set_name):
    root, truths = made
    split = AUTHORS[set_name][0]
    of = authors_patches(root / set_name, set_name, split)
    expected = {key: (it.area, it.category) for key, it in truths[set_name].items()}
    assert {(it.split, it.image, it.instance): (it.area, it.category) for it in of.records} == expected
    assert {it.instance for it in of.records} == {256, 2**24 - 1}  # one id in 8-bit arithmetic
    assert of.source == set_name
    assert int(of[1].mask.sum()) == of.records[1].area
    known = {"potsdam": 0.05, "loveda": 0.3}
    assert all(it.gsd == known[set_name] if set_name in known else math.isnan(it.gsd) for it in of.records)


def test_a_split_without_folders_is_written_down(made):
    root, _ = made
    of = authors_patches(root / "whu", "whu", "test", source="buildings")
    assert {(it.split, of.source) for it in of.records} == {("test", "buildings")}


def test_faults(made):
    root, _ = made
    with pytest.raises(DataError, match=r"Unknown set of the authors' patches 'coco'\. Choose one of 'isaid', 'potsdam'"):
        authors_patches(root, "coco")
    with pytest.raises(DataError, match=r"patches of sandbar lie in images/\{split\}: name the split, such as split=val"):
        authors_patches(root / "sandbar", "sandbar")
    with pytest.raises(
        DataError, match=r"has no images of the authors' sandbar. Looked for 'images/val'; found there: images/"
    ):
        authors_patches(root / "sandbar", "sandbar", "val")
    (root / "nwpu/ann_dir_rgb").rename(root / "nwpu/ann_dir")
    with pytest.raises(DataError, match=r"has no masks of the authors' nwpu. Looked for 'ann_dir_rgb'; found there: ann_dir/"):
        authors_patches(root / "nwpu", "nwpu")
    (root / "whu/label_use/a_0.png").unlink()
    with pytest.raises(DataError, match=r"a_0\.png has no mask a_0\.\* in .*label_use"):
        authors_patches(root / "whu", "whu")
    Image.fromarray(np.zeros((10, 40, 3), np.uint8)).save(root / "loveda/masks_crop/a_1.png")
    with pytest.raises(DataError, match=r"a_1\.png is 10×40 and its image .* is 40×40"):
        authors_patches(root / "loveda", "loveda")
