import numpy as np
import pytest

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.isaid import ISAID

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
