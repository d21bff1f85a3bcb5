import pytest
from miniatures import sandbar as make

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.sandbar import sandbar


@pytest.fixture
def made(tmp_path):
    return tmp_path, make(tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
def test_sandbars(made, split):
    root, truths = made
    of = sandbar(root, split)
    expected = {(image, number): (it.area, it.category) for (part, image, number), it in truths.items() if part == split}
    assert {(it.image, it.instance): (it.area, it.category) for it in of.records} == expected
    assert all(int(of[index].mask.sum()) == record.area for index, record in enumerate(of.records))


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("val/images", "annotations/val.json"),
        ("images", "instances_val.json"),
        ("val", "val.json"),
        ("val", "val/_annotations.coco.json"),
    ],
)
def test_other_usual_places(made, images, annotations):
    root, _ = made
    (root / "annotations/instances_val.json").rename(root / "kept.json")
    (root / "images/val").rename(root / "kept")
    (root / "images/train").rename(root / "train")
    (root / "images").rmdir()
    (root / images).parent.mkdir(exist_ok=True)
    (root / "kept").rename(root / images)
    (root / annotations).parent.mkdir(exist_ok=True)
    (root / "kept.json").rename(root / annotations)
    assert len(sandbar(root, "val")) == 2


def test_faults(made):
    root, _ = made
    with pytest.raises(DataError, match="SandBar needs the name of a split"):
        sandbar(root, "")
    with pytest.raises(
        DataError, match=r"has no COCO annotations of split 'test'. .*'annotations/instances_test\.json'.*found"
    ):
        sandbar(root, "test")
    (root / "annotations/instances_test.json").write_text("{}")
    (root / "images").rename(root / "pictures")
    with pytest.raises(
        DataError, match=r"has no images of split 'test'. Looked for 'images/test', .*: annotations/, pictures/"
    ):
        sandbar(root, "test")
