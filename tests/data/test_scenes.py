import pickle

import numpy as np
import pytest
import torch

from vfm_isrefiner.data.folder import FolderInstances
from vfm_isrefiner.data.instance_set import InstanceView
from vfm_isrefiner.data.scenes import objects_of, scenes_of


@pytest.fixture
def folder(tmp_path, written, picture, ids):
    ids[0] = 200  # ignored
    ids[3, 3:6] = 200  # inside of an object
    written("images/a.png", picture)
    written("masks/a.png", ids)
    written("images/b.png", picture[:20])
    written("masks/b.png", ids[:20])
    return FolderInstances(tmp_path / "images", tmp_path / "masks", ignore_value=200, category="house", split="val", gsd=0.3)


def whole(cut, size):
    """{instance: (H, W) bool} of a cut."""
    found = {}
    for it in cut.objects:
        x, y, width, height = it.bbox
        found[it.instance] = torch.zeros(size, dtype=torch.bool)
        found[it.instance][y : y + height, x : x + width] = it.mask
        assert it.mask.any(0).all() or it.mask.any(0)[[0, -1]].all()  # tight
        assert it.mask.any(1)[[0, -1]].all()
    return found


def test_one_scene_an_image(folder):
    scenes = scenes_of(folder)
    assert [(it.name, it.size, it.split, it.gsd) for it in scenes] == [("a", (32, 40), "val", 0.3), ("b", (20, 40), "val", 0.3)]


@pytest.mark.parametrize(("rows", "columns"), [((0, 32), (0, 40)), ((4, 24), (8, 14)), ((10, 20), (0, 40)), ((0, 4), (0, 5))])
def test_a_window_shows_what_the_set_says(folder, picture, ids, rows, columns):
    window = slice(*rows), slice(*columns)
    cut = pickle.loads(pickle.dumps(scenes_of(folder)[0])).cut(*window)
    assert np.array_equal(cut.image.numpy(), picture.transpose(2, 0, 1)[:, *window])
    ignored = ids[window] == 200
    assert (cut.ignore is None and not ignored.any()) or np.array_equal(cut.ignore.numpy(), ignored)
    found = whole(cut, ids[window].shape)
    assert {number: mask.numpy().tolist() for number, mask in found.items()} == {
        number: (ids[window] == number).tolist() for number in (1, 7) if (ids[window] == number).any()
    }
    assert all((it.category, it.area) == ("house", int(found[it.instance].sum())) for it in cut.objects)


def test_masks_that_overlap(blocks):
    of = blocks(1)
    cut = scenes_of(of)[0].cut(slice(10, 40), slice(5, 25))
    found = whole(cut, (30, 20))
    for record in of.records:
        mask, ignore = of.read_mask(record)
        assert torch.equal(found[record.instance], (mask & ~ignore)[0, 10:40, 5:25])
    assert cut.ignore is None  # row 0 is not shown


def test_id_map_and_single_masks_give_the_same(folder, monkeypatch):
    window = slice(1, 26), slice(4, 13)
    second = scenes_of(folder)[0].cut(*window)
    monkeypatch.setattr(InstanceView, "read_id_map", lambda self, record: None)  # a view reads masks through the folder
    first = scenes_of(folder.subset(range(len(folder))))[0].cut(*window)
    assert [(it.instance, it.category, it.bbox) for it in first.objects] == [
        (it.instance, it.category, it.bbox) for it in second.objects
    ]
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(first.objects, second.objects, strict=True))


def test_objects_left_out_of_a_set_are_background(folder):
    of = folder.subset([index for index, record in enumerate(folder.records) if record.instance == 7])
    assert [it.instance for it in scenes_of(of)[0].cut(slice(0, 32), slice(0, 40)).objects] == [7]


def test_objects_of_an_id_map_and_classes():
    ids = torch.zeros(6, 8, dtype=torch.int32)
    ids[1:3, 2:7], ids[4, 4] = 2**24 - 1, 5
    classes = torch.ones(6, 8, dtype=torch.uint8)
    classes[1] = 2
    classes[2, 2] = 2
    found = objects_of(ids, ["", "car", "ship"], classes)
    assert [(it.instance, it.category, it.bbox, it.area) for it in found] == [
        (5, "car", (4, 4, 1, 1), 1),
        (2**24 - 1, "ship", (2, 1, 5, 2), 10),
    ]
    assert [it.category for it in objects_of(ids, {5: "tank"})] == ["tank", ""]
