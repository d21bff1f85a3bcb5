import json

import numpy as np
import pytest
from pycocotools import mask as codec

from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.errors import DataError

SQUARE = [4.0, 4.0, 14.0, 4.0, 14.0, 12.0, 4.0, 12.0]  # columns 4-13, rows 4-11


def disk():
    rows, columns = np.mgrid[:32, :40]
    return (rows - 20) ** 2 + (columns - 25) ** 2 < 40


def content():
    compressed = codec.encode(np.asfortranarray(disk().astype(np.uint8)))
    flat = disk().flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    common = {"image_id": 5, "category_id": 2}
    return {
        "images": [{"id": 5, "file_name": "sub/a.png", "height": 32, "width": 40}],
        "categories": [{"id": 1, "name": "ship"}, {"id": 2, "name": "plane"}],
        "annotations": [
            {"id": 10, "segmentation": [SQUARE, [1.0, 1.0, 2.0, 2.0]], "area": 80.0, "bbox": [4, 4, 10, 8], **common},
            {"id": 11, "segmentation": {"size": [32, 40], "counts": compressed["counts"].decode()}, **common},
            {"id": 12, "segmentation": {"size": [32, 40], "counts": counts}, "iscrowd": 0, **common, "category_id": 1},
            {"id": 13, "segmentation": [[30.0, 0.0, 40.0, 0.0, 40.0, 6.0, 30.0, 6.0]], "iscrowd": 1, **common},
        ],
    }


@pytest.fixture
def opened(tmp_path, written, picture):
    """Opens a set after writing the annotations, changed by a function."""

    def make(change=lambda it: None, **kwargs):
        written("images/sub/a.png", picture)
        it = content()
        change(it)
        (tmp_path / "a.json").write_text(json.dumps(it))
        return CocoInstances(tmp_path / "images", tmp_path / "a.json", **kwargs)

    return make


def test_polygons_both_run_lengths_and_crowds(opened, picture):
    of = opened(source="nwpu", split="val")
    assert [(it.id, it.category, it.area, it.split) for it in of.records] == [
        ("sub/a.png/10", "plane", 80, "val"),
        ("sub/a.png/11", "plane", int(disk().sum()), "val"),
        ("sub/a.png/12", "ship", int(disk().sum()), "val"),
    ]
    assert of.records[1].bbox == (19, 14, 13, 13)
    square = np.zeros((32, 40), bool)
    square[4:12, 4:14] = True
    for index, expected in enumerate((square, disk(), disk())):
        assert np.array_equal(of[index].mask[0].numpy(), expected)
        assert of[index].ignore[0, :6, 30:].all()
        assert int(of[index].ignore.sum()) == 60
    assert np.array_equal(of[0].image.numpy(), picture.transpose(2, 0, 1))


def test_categories_choose(opened):
    assert [record.instance for record in opened(categories=["ship"]).records] == [12]


def annotation(**changes):
    return lambda it: it["annotations"][1].update(changes)


FAULTS = {
    "another size": (
        annotation(segmentation={"size": [32, 41], "counts": [32 * 41]}),
        r"annotation 11 has a mask of \[32, 41\]",
    ),
    "no polygon": (annotation(segmentation=[[1, 2, 3, 4]]), "annotation 11 has no polygon of three points or more"),
    "short counts": (
        annotation(segmentation={"size": [32, 40], "counts": [5, 3]}),
        "run lengths of 8 pixels for an image of 1280",
    ),
    "odd polygon": (annotation(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "annotation 11 has no polygon of three points"),
    "no segmentation": (
        lambda it: it["annotations"][1].pop("segmentation"),
        "is no COCO instance file .KeyError: 'segmentation'",
    ),
    "words": (annotation(segmentation=[["a", "b", "c", "d", "e", "f"]]), "annotation 11 cannot be drawn"),
    "lost image": (annotation(image_id=6), "annotation 11 is of image 6, which is not among its images"),
    "twice": (lambda it: it["images"].append({**it["images"][0], "id": 6}), "lists the image 'sub/a.png' twice"),
    "image gone": (lambda it: it["images"][0].update(file_name="b.png"), r"lists 'b\.png', and there is no .*images/b\.png"),
    "no images": (lambda it: it.pop("images"), "is no COCO instance file"),
    "id twice": (annotation(id=10), "the annotation id 10 is there twice"),
    "empty": (lambda it: it.update(annotations=[]), "'coco' has no instance"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_annotations(opened, fault):
    change, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        opened(change)


def test_an_id_of_two_images_is_told(opened, written, picture):
    written("images/b.png", picture)

    def second(it):
        it["images"].append({"id": 6, "file_name": "b.png", "height": 32, "width": 40})
        it["annotations"].append({**it["annotations"][0], "image_id": 6})

    with pytest.raises(DataError, match="the annotation id 10 is there twice"):
        opened(second)


def test_compressed_run_lengths_beyond_the_image(opened):
    longer = codec.encode(np.ones((32, 80), np.uint8, order="F"))["counts"].decode()
    of = opened(annotation(segmentation={"size": [32, 40], "counts": longer}, area=3, bbox=[0, 5, 1, 3]))
    with pytest.raises(DataError, match="annotation 11 cannot be drawn"):
        of[1]


def test_faults_of_the_files(opened, tmp_path, written, picture):
    of = opened()
    (tmp_path / "good.json").write_text(json.dumps(content()))
    with pytest.raises(DataError, match=r"There is no folder .*nowhere with the images"):
        CocoInstances(tmp_path / "nowhere", tmp_path / "a.json")
    with pytest.raises(DataError, match=r"There is no annotation file .*b\.json"):
        CocoInstances(tmp_path / "images", tmp_path / "b.json")
    for text, message in (('{"images": [', "is no readable JSON"), ("[]", "holds a list; an object with images")):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(DataError, match=message):
            CocoInstances(tmp_path / "images", tmp_path / "a.json")
    written("images/sub/a.png", picture[:20])
    with pytest.raises(DataError, match=r"sizes differ .its image 20×40, its mask 32×40"):
        of[0]
    (tmp_path / "images/sub/a.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"sub/a\.png cannot be read"):
        CocoInstances(tmp_path / "images", tmp_path / "good.json")[0]
