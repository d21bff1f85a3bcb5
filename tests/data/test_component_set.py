import pickle

import numpy as np
import pytest
from PIL import Image

from vfm_isrefiner.data.component_set import MAX_UNKNOWN, ComponentSet, Tile, settled
from vfm_isrefiner.data.components import IGNORE, UNKNOWN
from vfm_isrefiner.data.errors import DataError


class Maps(ComponentSet):
    """Maps of classes 1 and 2; 9 is ignored."""

    def read_classes(self, path):
        values = np.array(Image.open(path))
        classes = np.where(values == 9, IGNORE, np.where(values > 2, UNKNOWN, values)).astype(np.uint8)
        return settled(path, classes, lambda row, column: f"value {values[row, column]}", "0, 1, 2 and 9")


@pytest.fixture
def values():
    values = np.zeros((40, 50), np.uint8)
    values[2:10, 3:12] = 1
    values[2:10, 20:30] = 2
    values[10, 30] = 2  # by a corner
    values[20:30, 5:25] = 1
    values[24:26, :] = 9
    return values


@pytest.fixture
def maps(written, values):
    image = written("im.png", np.full((40, 50, 3), 7, np.uint8))
    label = written("label.png", values)
    return lambda categories: Maps("maps", {"im": Tile(image, label, "val")}, categories, 0.5)


def test_regions_of_every_wanted_class(maps, values):
    of = maps({2: "two", 1: "one"})
    assert [(it.id, it.category, it.area, it.bbox) for it in of.records] == [
        ("im/1", "two", 81, (20, 2, 11, 9)),
        ("im/2", "one", 72, (3, 2, 9, 8)),
        ("im/3", "one", 80, (5, 20, 20, 4)),
        ("im/4", "one", 80, (5, 26, 20, 4)),
    ]
    ignored = values == 9
    for index, record in enumerate(of.records):
        item = of[index]
        assert np.array_equal(item.ignore[0].numpy(), ignored)
        assert int(item.mask.sum()) == record.area
        assert not (item.mask & item.ignore).any()
        ids = of.read_id_map(record)
        assert ids.mask(record.instance).equal(item.mask)
        assert ids.ignore().equal(item.ignore)
    assert (of.records[0].split, of.records[0].gsd) == ("val", 0.5)
    assert pickle.loads(pickle.dumps(of))[1].mask.equal(of[1].mask)


def test_images_without_a_wanted_region(written, values):
    image = written("im.png", np.zeros((40, 50, 3), np.uint8))
    label, empty = written("label.png", values), written("empty.png", np.zeros_like(values))
    of = Maps("maps", {"full": Tile(image, label, ""), "empty": Tile(image, empty, "")}, {1: "one"}, 0.5)
    assert of.unlabelled_images() == ("empty",)


def test_as_many_unknown_values_as_are_passed_over(maps, written, values):
    allowed = int(MAX_UNKNOWN * values.size)
    values[0, :allowed] = 5
    written("label.png", values)
    of = maps({1: "one"})
    assert of.unknown == {"im": allowed}
    assert of[0].ignore[0, 0, :allowed].all()
    values[0, : allowed + 1] = 5
    written("label.png", values)
    with pytest.raises(DataError, match=r"label\.png holds value 5 at row 0, column 0, .* 0\.15 % .*Expected 0, 1, 2 and 9"):
        maps({1: "one"})


def test_every_faulty_file_is_told(written, values):
    image = written("im.png", np.zeros((40, 50, 3), np.uint8))
    wrong, wild = written("wrong.png", values[:30]), written("wild.png", np.full_like(values, 77))
    with pytest.raises(DataError, match=r"wrong\.png is 30×50 and its image .*1 more such faults") as caught:
        Maps("maps", {"a": Tile(image, wrong, ""), "b": Tile(image, wild, "")}, {1: "one"}, 0.5)
    assert "wild.png holds value 77 at row 0, column 0" in caught.value.faults[1]
