"""Every set that `set=NAME` names opens what its publisher offers, here in miniature."""

import json

import miniatures
import numpy as np
import pytest
from hydra.utils import instantiate
from PIL import Image

from vfm_isrefiner.cli.settings import composed
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.data.scenes import Scene, scenes_of

SPLITS = {
    "isaid": ("train", "val"),
    "potsdam": ("train", "test", "all"),
    "loveda": ("train", "val", "all"),
    "nwpu": ("positive", "train", "val"),
    "whu": ("train", "val", "test"),
    "sandbar": ("train", "val"),
}
PUBLISHED = [(name, split) for name, splits in SPLITS.items() for split in splits]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    truths = {name: getattr(miniatures, name)(folder / name) for name in SPLITS}
    return folder, truths


def chosen(name, root, split, *overrides):
    return composed("prepare", [f"set={name}", f"root={root}", f"split={split}", "out=none", *overrides]).set


@pytest.mark.parametrize(("name", "split"), PUBLISHED)
def test_published_sets(root, name, split):
    folder, truths = root
    which = chosen(name, folder / name, split)
    of = instantiate(which.reader)
    assert isinstance(of, InstanceSet)
    expected = {key for key in truths[name] if key[0] == split or split == "all"}
    if name == "loveda":
        expected = {key for key in expected if key[1].startswith("Urban/")}
    assert {(it.split, it.image, it.instance) for it in of.records} == expected
    scenes = instantiate(which.scenes) if "scenes" in which else scenes_of(of)
    assert all(isinstance(scene, Scene) for scene in scenes)
    assert [scene.name for scene in scenes] == list(dict.fromkeys(it.image for it in of.records))
    first = scenes[0]
    shown = first.cut(slice(0, first.size[0]), slice(0, first.size[1]))
    assert {it.instance for it in shown.objects} == {it.instance for it in of.records if it.image == first.name}


def test_settings_of_the_reader_reach_the_scenes(root):
    folder, _ = root
    which = chosen("potsdam", folder / "potsdam", "test", "set.reader.tiles=[top_potsdam_2_13]", "set.reader.categories=[car]")
    (scene,) = instantiate(which.scenes)
    assert [it.category for it in scene.cut(slice(0, 32), slice(0, 40)).objects] == ["car"]
    which = chosen("isaid", folder / "isaid", "train", "set.reader.leave_out=[P0000]")
    assert [scene.name for scene in instantiate(which.scenes)] == ["P0002"]


@pytest.mark.parametrize("set_name", miniatures.AUTHORS)
def test_patches_of_the_authors(tmp_path, set_name):
    truths = miniatures.authors_patches(tmp_path)[set_name]
    split = miniatures.AUTHORS[set_name][0] or "test"
    of = instantiate(chosen("authors_patches", tmp_path / set_name, split, f"set.reader.set_name={set_name}").reader)
    assert {(it.image, it.instance) for it in of.records} == {key[1:] for key in truths}
    assert {it.split for it in of.records} == {split}


def test_coco(tmp_path):
    miniatures.sandbar(tmp_path)
    (tmp_path / "images/val").rename(tmp_path / "val")
    assert len(instantiate(chosen("coco", tmp_path, "val").reader)) == 2


def test_labelled_folder(tmp_path):
    ids = np.zeros((32, 40), np.uint8)
    ids[4:10, 5:15] = 3
    for name, pixels in (("images/a.png", np.zeros((32, 40, 3), np.uint8)), ("masks/a.png", ids)):
        path = tmp_path / "val/mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    instance = {"id": 3, "cls": "field", "area": 60, "bbox": [5, 4, 10, 6]}
    index = {"a": {"h": 32, "w": 40, "ignore": 255, "instances": [instance]}}
    (tmp_path / "val/mine/meta.json").write_text(json.dumps(index))
    of = instantiate(chosen("labelled_folder", tmp_path, "val", "set.reader.source=mine").reader)
    assert int(of[0].mask.sum()) == 60


def test_the_papers_test_sets_open(root, monkeypatch, tmp_path):
    folder, truths = root
    miniatures.whu_satellite(tmp_path / "whu")
    for name in ("sandbar", "nwpu", "loveda"):
        monkeypatch.setenv(f"{name.upper()}_ROOT", str(folder / name))
    monkeypatch.setenv("WHU_ROOT", str(tmp_path / "whu"))
    cfg = composed("train", ["data=paper", f"paths.run={tmp_path}"]).data
    counts = {name: len(instantiate(cfg.test[name])()) for name in ("sandbar", "nwpu", "loveda", "whu")}
    urban = sum(image.startswith("Urban/") for _, image, _ in truths["loveda"])
    assert counts == {"sandbar": 2, "nwpu": 8, "loveda": urban, "whu": 4}
    assert (cfg.samples_per_epoch, cfg.batch_size, cfg.min_area) == (30_000, 16, 256)
