import json
import math

import pytest
from miniatures import nwpu as make

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.nwpu import nwpu


@pytest.fixture
def made(tmp_path):
    return tmp_path, make(tmp_path)


@pytest.mark.parametrize("split", ["positive", "train", "val"])
def test_objects_of_the_positive_images(made, split):
    root, truths = made
    of = nwpu(root, split)
    expected = {(image, number): (it.area, it.category) for (part, image, number), it in truths.items() if part == split}
    assert {(it.image, it.instance): (it.area, it.category) for it in of.records} == expected
    assert all(math.isnan(it.gsd) and it.split == split for it in of.records)
    assert all(int(of[index].mask.sum()) == record.area for index, record in enumerate(of.records))


def test_other_places(made):
    root, truths = made
    inner = root / "NWPU VHR-10 dataset"
    assert len(nwpu(inner)) == 8
    (inner / "annotations.json").rename(root / "annotations.json")
    assert len(nwpu(root)) == 8
    (inner / "positive image set").rename(root / "imgs")  # RSPrompter's
    assert len(nwpu(root, "val")) == sum(key[0] == "val" for key in truths)


def test_faults(made):
    root, _ = made
    with pytest.raises(DataError, match=r"Unknown split of NWPU VHR-10 'test'. Choose one of 'positive', 'train', 'val'"):
        nwpu(root, "test")
    (root / "annotations/NWPU_instances_val.json").unlink()
    with pytest.raises(
        DataError, match=r"has no NWPU_instances_val\.json. Looked for 'NWPU_instances_val\.json', 'annotations"
    ):
        nwpu(root, "val")
    (root / "annotations/NWPU_instances_train.json").write_text(json.dumps({"images": []})[:-2])
    with pytest.raises(DataError, match=r"NWPU_instances_train\.json is no readable JSON"):
        nwpu(root, "train")
    (root / "NWPU VHR-10 dataset/positive image set/001.jpg").unlink()
    with pytest.raises(DataError, match=r"annotations\.json lists '001\.jpg', and there is no .*positive image set/001\.jpg"):
        nwpu(root)
    with pytest.raises(
        DataError, match=r"none has no images of NWPU VHR-10. .*found there: nothing, there is no folder .*none"
    ):
        nwpu(root / "none")
