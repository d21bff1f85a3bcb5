import numpy as np
import pytest
from miniatures import loveda
from PIL import Image

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.loveda import LoveDA


@pytest.fixture
def made(tmp_path):
    return tmp_path, loveda(tmp_path)


def wanted(truths, split, scenes):
    return {
        (image, number): (it.area, it.category)
        for (part, image, number), it in truths.items()
        if part == split and image.split("/")[0] in scenes
    }


def found(of):
    return {(it.image, it.instance): (it.area, it.category) for it in of.records}


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("scenes", [("Urban",), ("Rural",), ("Urban", "Rural")])
def test_buildings_are_instances_and_no_data_is_ignored(made, split, scenes):
    root, truths = made
    of = LoveDA(root, split, scenes)
    assert found(of) == wanted(truths, split, scenes)
    assert {(it.split, it.gsd, it.size) for it in of.records} == {(split, 0.3, (48, 48))}
    for index, record in enumerate(of.records):
        item = of[index]
        assert int(item.mask.sum()) == record.area
        assert item.ignore[0, :6].all()
        assert int(item.ignore.sum()) == 6 * 48
        assert item.id == f"{record.image}/{record.instance}"


def test_the_papers_images_are_those_of_both_splits(made):
    root, truths = made
    of = LoveDA(root, "all")
    assert found(of) == wanted(truths, "train", ("Urban",)) | wanted(truths, "val", ("Urban",))
    assert [it.split for it in of.records] == ["train"] * 4 + ["val"] * 2


def test_other_classes(made):
    root, _ = made
    of = LoveDA(root, "val", classes=("agriculture", "road"))
    assert [(it.category, it.area) for it in of.records] == [("agriculture", 18 * 12), ("road", 42 * 8)]


def test_an_archive_may_unpack_into_a_folder_of_its_name(made):
    root, truths = made
    (root / "Train").rename(root / "moved")
    (root / "Train").mkdir()
    (root / "moved").rename(root / "Train" / "Train")
    assert found(LoveDA(root, "train")) == wanted(truths, "train", ("Urban",))


def test_a_value_that_is_no_class(made):
    root, _ = made
    path = root / "Val/Urban/masks_png/3514.png"
    mask = np.array(Image.open(path))
    mask[7, 9] = 8
    Image.fromarray(mask).save(path)
    of = LoveDA(root, "val")
    assert of.unknown == {"Urban/3514": 1}
    assert of[0].ignore[0, 7, 9]
    mask[7, 9:14] = 9
    Image.fromarray(mask).save(path)
    with pytest.raises(DataError, match=r"3514\.png holds value 9 at row 7, column 9, .* 0\.22 % .*Expected values 0 to 7"):
        LoveDA(root, "val")


FAULTS = {
    "no root": (lambda root: {"root": root / "none"}, "none has no folder Val of LoveDA. Looked for 'Val'; .*no folder"),
    "test": (lambda root: {"split": "test"}, "Unknown split of LoveDA 'test'. Choose one of 'train', 'val', 'all'"),
    "no split": (lambda root: {"split": None}, "Unknown split of LoveDA None"),
    "scene": (lambda root: {"scenes": ["City"]}, "Unknown scene of LoveDA 'City'"),
    "no scene": (lambda root: {"scenes": []}, "LoveDA was asked for no scene. Name some of Urban, Rural"),
    "class": (lambda root: {"classes": ["house"]}, "Unknown class of LoveDA 'house'"),
    "mask gone": (lambda root: (root / "Val/Urban/masks_png/3514.png").unlink(), "masks_png has no file"),
    "folder gone": (lambda root: (root / "Val/Urban").rename(root / "Val/urban"), "There is no folder .*Val/Urban/images_png"),
    "size": (
        lambda root: shrink(root / "Val/Urban/masks_png/3514.png"),
        r"label .*3514\.png is 20×48 and its image .* is 48×48",
    ),
    "broken": (lambda root: cut_off(root / "Val/Urban/masks_png/3514.png"), r"masks_png/3514\.png cannot be read"),
}


def shrink(path):
    Image.fromarray(np.array(Image.open(path))[:20]).save(path)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(made, fault):
    root, _ = made
    change, message = FAULTS[fault]
    arguments = change(root)
    with pytest.raises(DataError, match=message):
        LoveDA(**({"root": root} | (arguments if isinstance(arguments, dict) else {})))
