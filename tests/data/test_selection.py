import pytest

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.selection import image_split, opened, where


def images(of):
    return {record.image for record in of.records}


def test_split_shares_no_image_and_loses_none(blocks):
    of = blocks(40)
    for block in (1, 4):
        train, val = (image_split(of, part, 0.2, block) for part in ("train", "val"))
        assert images(train) & images(val) == set()
        assert len(train) + len(val) == len(of)
        assert len(images(val)) == 8
        assert val.records == image_split(blocks(40), "val", 0.2, block).records


def test_blocks_keep_neighbours_together(blocks):
    names = sorted(images(blocks(40)))
    places = sorted(names.index(name) for name in images(image_split(blocks(40), "val", 0.2, 4)))
    assert all(places[k : k + 4] == list(range(places[k], places[k] + 4)) for k in (0, 4))


def test_sets_may_be_opened_later(blocks):
    of = blocks(4)
    assert opened(of) is of
    assert len(where(lambda: of, limit=5)) == 5
    assert len(image_split(lambda: of, "val", 0.25)) == 3


def test_faults(blocks):
    with pytest.raises(DataError, match="Unknown part 'test'"):
        image_split(blocks(4), "test")
    for fraction, block in ((0.0, 1), (1.0, 1), (0.5, 100)):
        with pytest.raises(DataError, match="leaves nothing on one side"):
            image_split(blocks(4), "val", fraction, block)
