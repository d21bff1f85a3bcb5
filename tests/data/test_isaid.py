import math

import miniatures
import numpy as np
import pytest

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.isaid import ISAID, isaid_patches

IDS = (1, 2**24 - 1, 256, 65536)  # one in each byte: 8-bit arithmetic would join some of them


def colours(ids):
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)


@pytest.fixture
def ids():
    ids = np.zeros((24, 30), np.int64)
    for k, value in enumerate(IDS):
        ids[3:9, 2 + 7 * k : 7 + 7 * k] = value
    return ids


@pytest.fixture
def semantic(ids):
    image = np.zeros((24, 30, 3), np.uint8)
    image[(ids == IDS[0])] = (0, 0, 63)
    image[(ids == IDS[1])] = (0, 100, 155)
    image[(ids == IDS[2])] = (9, 9, 9)  # no colour of iSAID
    image[(ids == IDS[3])] = (0, 127, 255)
    image[3, 2] = (0, 0, 127)  # one stray pixel of another class
    return image


LAYOUTS = {
    "archives": ("Instance_masks/images/", "Semantic_masks/images/"),
    "patches": ("Instance_masks/", "Semantic_masks/"),
    "devkit": ("images/", "images/"),
}


@pytest.fixture
def write(written, ids, semantic):
    def layout(name):
        instance_folder, semantic_folder = LAYOUTS[name]
        written("val/images/P0003.png", np.full((24, 30, 3), 9, np.uint8))
        written(f"val/{instance_folder}P0003_instance_id_RGB.png", colours(ids))
        written(f"val/{semantic_folder}P0003_instance_color_RGB.png", semantic)

    return layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reads_every_layout(tmp_path, write, layout, ids):
    write(layout)
    of = ISAID(tmp_path, "val")
    assert [(it.id, it.category, it.area) for it in of.records] == [
        ("P0003/1", "ship", 30),
        ("P0003/256", "", 30),
        ("P0003/65536", "plane", 30),
        (f"P0003/{2**24 - 1}", "harbor", 30),
    ]
    assert np.array_equal(of[3].mask[0].numpy(), ids == 2**24 - 1)
    assert not of[3].ignore.any()
    assert of[0].image.shape == (3, 24, 30)


def test_without_semantic_masks(tmp_path, write):
    write("patches")
    (tmp_path / "val/Semantic_masks/P0003_instance_color_RGB.png").unlink()
    assert {record.category for record in ISAID(tmp_path).records} == {""}


def test_faults(tmp_path, write, written, ids):
    with pytest.raises(DataError, match=r"There is no folder .*val/images. Expected <root>/<split>/images"):
        ISAID(tmp_path)
    write("patches")
    written("val/images/P0004.png", np.zeros((24, 30, 3), np.uint8))
    with pytest.raises(DataError, match=r"P0004\.png has no P0004_instance_id_RGB\.png under"):
        ISAID(tmp_path)
    written("val/Instance_masks/P0004_instance_id_RGB.png", colours(ids[:20]))
    with pytest.raises(DataError, match=r"instance mask of .*P0004\.png is 20×30 and the image is 24×30"):
        ISAID(tmp_path)
    written("val/Instance_masks/P0004_instance_id_RGB.png", colours(ids))
    written("val/Semantic_masks/P0004_instance_color_RGB.png", colours(ids[:, :9]))
    with pytest.raises(DataError, match=r"semantic mask of .*P0004\.png is 24×9"):
        ISAID(tmp_path)
    with pytest.raises(DataError, match=r"semantic mask of .*P0004\.png is 24×9") as caught:
        ISAID(tmp_path)
    assert len(caught.value.faults) == 1
    written("val/Instance_masks/P0003_instance_id_RGB.png", colours(ids[:5]))
    with pytest.raises(DataError, match=r"instance mask of .*P0003\.png is 5×30 .*1 more such faults") as caught:
        ISAID(tmp_path)
    assert len(caught.value.faults) == 2


def test_images_left_out(tmp_path, write, written, ids):
    write("patches")
    written("val/images/P1527.png", np.zeros((24, 30, 3), np.uint8))
    written("val/Instance_masks/P1527_instance_id_RGB.png", colours(ids[:20]))
    assert {record.image for record in ISAID(tmp_path, leave_out=["P1527"]).records} == {"P0003"}


def test_an_image_without_objects(tmp_path, write, written):
    write("patches")
    written("val/images/P0004.png", np.zeros((24, 30, 3), np.uint8))
    written("val/Instance_masks/P0004_instance_id_RGB.png", np.zeros((24, 30, 3), np.uint8))
    assert ISAID(tmp_path).unlabelled_images() == ("P0004",)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_archives_as_they_unpack(tmp_path, split):
    truths = miniatures.isaid(tmp_path)
    of = ISAID(tmp_path, split)
    assert {(it.split, it.image, it.instance): (it.area, it.category) for it in of.records} == {
        key: (it.area, it.category) for key, it in truths.items() if key[0] == split
    }
    assert all(math.isnan(it.gsd) for it in of.records)
    for index, record in enumerate(of.records):
        assert int(of[index].mask.sum()) == record.area
        assert of.read_id_map(record).mask(record.instance).equal(of[index].mask)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_patches_of_the_devkit_in_both_forms(tmp_path, split):
    truths = miniatures.isaid_coco(tmp_path)
    of = isaid_patches(tmp_path, split)
    assert {(it.split, it.image, it.instance): (it.area, it.category) for it in of.records} == {
        key: (it.area, it.category) for key, it in truths.items() if key[0] == split
    }
    masks = ISAID(tmp_path, split)
    by_masks = {(it.image, it.category): index for index, it in enumerate(masks.records)}
    for index, record in enumerate(of.records):
        drawn, exact = of[index].mask, masks[by_masks[record.image.removesuffix(".png"), record.category]].mask
        assert not (drawn & ~exact).any()  # through the centres of the outermost pixels: somewhat smaller
        assert 0.6 < drawn.sum() / exact.sum() < 1
    assert of[0].image.equal(masks[0].image)


def test_faults_of_the_patches(tmp_path):
    miniatures.isaid_coco(tmp_path)
    with pytest.raises(DataError, match="Unknown split of iSAID 'test'"):
        isaid_patches(tmp_path, "test")
    (tmp_path / "val/instancesonly_filtered_val.json").rename(tmp_path / "val/instance_only_filtered_val.json")
    assert len(isaid_patches(tmp_path, "val")) == 2
    (tmp_path / "val/instance_only_filtered_val.json").unlink()
    with pytest.raises(DataError, match=r"has no COCO annotations of val\. Looked for 'val/instancesonly_filtered_val\.json'"):
        isaid_patches(tmp_path, "val")
