import pickle

import cv2
import miniatures
import numpy as np
import pytest
from PIL import Image

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.isaid import ISAID
from vfm_isrefiner.data.isaid_scenes import isaid_scenes


@pytest.fixture
def root(tmp_path):
    miniatures.isaid(tmp_path)
    return tmp_path


def windows(size, side=24, step=16):
    for top in range(0, size[0], step):
        for left in range(0, size[1], step):
            yield slice(top, min(top + side, size[0])), slice(left, min(left + side, size[1]))


@pytest.mark.parametrize("split", ["train", "val"])
def test_windows_show_what_the_set_holds(root, split):
    of, scenes = ISAID(root, split), isaid_scenes(root, split)
    assert [scene.name for scene in scenes] == list(dict.fromkeys(it.image for it in of.records))
    for scene in scenes:
        members = {it.instance: index for index, it in enumerate(of.records) if it.image == scene.name}
        seen = {number: np.zeros(scene.size, bool) for number in members}
        image = of[next(iter(members.values()))].image
        for rows, columns in windows(scene.size):
            cut = scene.cut(rows, columns)
            assert np.array_equal(cut.image.numpy(), image[:, rows, columns].numpy())
            assert cut.ignore is None
            for it in cut.objects:
                assert it.category == of.records[members[it.instance]].category
                x, y, width, height = it.bbox
                top, left = rows.start + y, columns.start + x
                seen[it.instance][top : top + height, left : left + width] |= it.mask.numpy()
        for number, index in members.items():
            assert np.array_equal(seen[number], of[index].mask[0].numpy())


def test_rows_above_and_another_process(root):
    first, second = isaid_scenes(root)
    below, above = slice(30, 60), slice(0, 30)
    expected = first.cut(above, slice(0, 64))
    first.cut(below, slice(0, 64))
    second.cut(slice(0, 40), slice(0, 40))
    again = pickle.loads(pickle.dumps(first)).cut(above, slice(0, 64))
    for cut in (first.cut(above, slice(0, 64)), again):
        assert cut.image.equal(expected.image)
        assert [it.instance for it in cut.objects] == [it.instance for it in expected.objects]


def test_left_out_and_without_semantic_masks(root):
    for path in (root / "train/Semantic_masks").rglob("*.png"):
        path.unlink()
    (scene,) = isaid_scenes(root, "train", leave_out=["P0000"])
    assert [(it.instance, it.category) for it in scene.cut(slice(0, 40), slice(0, 40)).objects] == [(65536, "")]


def mask(root):
    return root / "val/Instance_masks/images/P0003_instance_id_RGB.png"


def photo(root):
    return root / "val/images/images/P0003.png"


def rewritten(path, change):
    Image.fromarray(change(np.array(Image.open(path)))).save(path)


def test_masks_and_images_of_one_band(root):
    rewritten(mask(root), lambda it: it[..., 0].astype(np.uint16) + 300)
    rewritten(photo(root), lambda it: it[..., 0])
    (scene,) = isaid_scenes(root, "val")
    cut = scene.cut(slice(8, 40), slice(4, 20))
    assert {it.instance for it in cut.objects} == {300, 301}
    assert cut.image.equal(ISAID(root, "val")[0].image[:, 8:40, 4:20])
    Image.open(photo(root)).convert("P").save(photo(root))
    assert isaid_scenes(root, "val")[0].cut(slice(8, 40), slice(4, 20)).image.equal(cut.image)


FAULTS = {
    "no split": (lambda root: {"split": "test"}, r"There is no folder .*test/images. Expected <root>/<split>/images"),
    "mask gone": (lambda root: mask(root).unlink(), r"P0003\.png has no P0003_instance_id_RGB\.png under"),
    "size": (
        lambda root: rewritten(mask(root), lambda it: it[:50]),
        r"instance mask of .*P0003\.png is 50×48 and the image is 64×48",
    ),
    "two bands": (
        lambda root: rewritten(mask(root), lambda it: it[..., :2]),
        r"mask .*P0003_instance_id_RGB\.png has 2 bands of uint8; 8-bit RGB",
    ),
    "no image": (lambda root: photo(root).write_bytes(b"no"), r"P0003\.png cannot be read as a raster"),
    "cut off": (lambda root: mask(root).write_bytes(mask(root).read_bytes()[:120]), r"id_RGB\.png cannot be read as a raster"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(root, fault):
    change, message = FAULTS[fault]
    arguments = change(root)
    with pytest.raises(DataError, match=message):
        isaid_scenes(root, **({"split": "val"} | (arguments if isinstance(arguments, dict) else {})))[0].cut(
            slice(0, 64), slice(0, 48)
        )


def test_an_image_of_16_bit(root):
    cv2.imwrite(str(photo(root)), np.zeros((64, 48, 3), np.uint16))
    with pytest.raises(DataError, match=r"P0003\.png holds uint16 values; 8-bit RGB was expected"):
        isaid_scenes(root, "val")[0].cut(slice(0, 8), slice(0, 8))


@pytest.mark.parametrize("ending", ["_instance_id_RGB.png", "_instance_color_RGB.png"])
def test_a_mask_of_16_bit_is_named_itself(root, ending):
    file = next(root.rglob(f"val/**/P0003{ending}"))
    cv2.imwrite(str(file), np.zeros((64, 48, 3), np.uint16))
    with pytest.raises(DataError, match=rf"P0003{ending} has 3 bands of uint16; 8-bit RGB was expected"):
        isaid_scenes(root, "val")[0].cut(slice(0, 8), slice(0, 8))
